"""The control socket over real ZeroMQ: both ways to serve, hostile peers, late replies, restarts."""

import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from evapd.errors import ConfigError, RequestError, RequestTimeout, StateError, StreamError
from evapd.rpc import Args, Command, NoArgs, Requester, Service
from support.rig_files import free_ports

TCP = "tcp://127.0.0.1:*"


class EchoArgs(Args):
    text: str


def refuse(_: dict[str, Any]) -> dict[str, Any]:
    raise StateError("no run is under way")


COMMANDS = [Command("echo", EchoArgs, lambda args: args), Command("stop", NoArgs, refuse)]


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(TCP, COMMANDS) as running:
        yield running


@pytest.fixture
def raw(service: Service) -> Iterator[zmq.Socket[bytes]]:
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.rcvtimeo = 30_000
    dealer.connect(service.address)
    yield dealer
    context.destroy(linger=0)


def echo(request_id: str = "1") -> bytes:
    return json.dumps({"v": 1, "id": request_id, "cmd": "echo", "args": {"text": "hi"}}).encode()


def wait_for(condition: Any, limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        select.select([], [], [], 0.005)


def test_a_request_is_answered(service):
    with Requester(service.address, 30.0) as requester:
        assert requester.request("echo", {"text": "hi"}) == {"text": "hi"}


def test_an_error_reply_is_raised_with_its_kind(service):
    with Requester(service.address, 30.0) as requester, pytest.raises(RequestError, match="no run") as caught:
        requester.request("stop")
    assert caught.value.kind == "StateError"


def test_a_req_socket_gets_its_empty_delimiter_back(service):
    context = zmq.Context()
    req = context.socket(zmq.REQ)
    req.rcvtimeo = 30_000
    req.connect(service.address)
    req.send(echo())
    assert json.loads(req.recv())["ok"] is True
    context.destroy(linger=0)


@pytest.mark.parametrize("parts", [[b"", b"", b"x"], [b"x", echo()], [b""] * 50, [b"", echo(), b""]])
def test_a_wrong_number_of_parts_is_counted_and_the_service_goes_on(service, raw, parts):
    raw.send_multipart(parts)
    raw.send(echo("after"))
    assert json.loads(raw.recv())["id"] == "after"
    assert service.rejected == 1


def test_raw_bytes_on_the_port_never_become_requests(service):
    host, port = service.address.removeprefix("tcp://").split(":")
    for garbage in (
        b"\x00" * 300,
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(256)) * 4,
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f",
    ):
        with socket.create_connection((host, int(port))) as scanner:
            scanner.sendall(garbage)
    with Requester(service.address, 30.0) as requester:
        assert requester.request("echo", {"text": "hi"}) == {"text": "hi"}
    assert service.rejected == 0


def test_a_message_far_too_large_closes_that_connection_only(service, raw):
    raw.send(b"x" * 1_000_000)
    with Requester(service.address, 30.0) as requester:
        assert requester.request("echo", {"text": "hi"}) == {"text": "hi"}


def test_the_owners_loop_can_poll_the_service_itself():
    service = Service(TCP, COMMANDS)
    with Requester(service.open(), 30.0) as requester:
        asked = threading.Thread(target=requester.request, args=("echo", {"text": "hi"}))
        asked.start()
        wait_for(lambda: service.poll_once() == 1)
        asked.join()
    assert service.poll_once() == 0
    service.close()


def test_the_descriptor_of_a_polled_service_says_that_a_request_waits():
    service = Service(TCP, COMMANDS)
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.connect(service.open())
    dealer.send(echo())
    wait_for(lambda: bool(select.select([service.fd], [], [], 0.1)[0]) and service.poll_once() == 1)
    context.destroy(linger=0)
    service.close()


def test_a_silent_service_is_a_timeout_that_names_the_address():
    service = Service(TCP, COMMANDS)
    with (
        Requester(service.open(), timeout_s=0.05) as requester,
        pytest.raises(RequestTimeout, match="tcp://127"),
    ):
        requester.request("echo", {"text": "hi"})
    service.close()


def test_a_late_reply_never_answers_the_next_request():
    service = Service(TCP, COMMANDS)
    with Requester(service.open(), timeout_s=0.1) as requester:

        def answered_too_late() -> bool:
            with pytest.raises(RequestTimeout):
                requester.request("echo", {"text": "first"})
            return service.poll_once() == 1  # the late reply leaves now

        wait_for(answered_too_late)
        serving = threading.Thread(target=lambda: wait_for(lambda: service.poll_once() == 1))
        serving.start()
        assert requester.request("echo", {"text": "second"}, timeout_s=30) == {"text": "second"}
        serving.join()
    service.close()


def test_asking_again_with_the_same_id_after_a_timeout_executes_once():
    calls: list[int] = []
    count = Command("count", NoArgs, lambda _: {"n": calls.append(1) or len(calls)})
    service = Service(TCP, [count])
    with Requester(service.open(), timeout_s=0.1) as requester:
        with pytest.raises(RequestTimeout):
            requester.request("count", request_id="once")
        # On a busy machine the first may never have been sent; then the second is the only one.
        answered = threading.Event()

        def serve() -> None:
            while not answered.wait(0.001):
                service.poll_once()

        serving = threading.Thread(target=serve)
        serving.start()
        assert requester.request("count", request_id="once", timeout_s=30) == {"n": 1}
        answered.set()
        serving.join()
    service.close()
    assert calls == [1]


def test_a_request_that_could_not_be_sent_is_never_executed_later(tmp_path):
    address = f"ipc://{tmp_path / 'c.ipc'}"
    calls: list[int] = []
    with Requester(address, timeout_s=0.05) as requester:
        with pytest.raises(RequestTimeout):
            requester.request("count")
        count = Command("count", NoArgs, lambda _: {"n": calls.append(1) or len(calls)})
        with Service(address, [count]):
            assert requester.request("count", timeout_s=30) == {"n": 1}


def test_a_requester_finds_a_restarted_service(tmp_path):
    address = f"ipc://{tmp_path / 'c.ipc'}"
    with Requester(address, timeout_s=30) as requester:
        for _ in range(2):
            with Service(address, COMMANDS):
                assert requester.request("echo", {"text": "hi"}) == {"text": "hi"}


def test_threads_share_a_requester(service):
    results: list[str] = []
    with Requester(service.address, timeout_s=30) as requester:

        def ask(text: str) -> None:
            results.extend(requester.request("echo", {"text": text})["text"] for _ in range(20))

        threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == sorted("abcd" * 20)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "ipc://{folder}/c.ipc"])
def test_two_services_on_one_address_the_second_is_refused(tmp_path, address):
    (port,) = free_ports(1)
    with Service(address.format(port=port, folder=tmp_path), COMMANDS) as first:
        with pytest.raises(StreamError, match="another evapd"):
            Service(first.address, COMMANDS).start()
        with Requester(first.address, 30.0) as requester:
            assert requester.request("echo", {"text": "hi"}) == {"text": "hi"}


def test_a_socket_file_left_by_a_dead_daemon_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "c.ipc"))
    with (
        Service(f"ipc://{tmp_path / 'c.ipc'}", COMMANDS) as service,
        Requester(service.address, 30.0) as requester,
    ):
        assert requester.request("echo", {"text": "hi"}) == {"text": "hi"}


@pytest.mark.parametrize(
    "address",
    ["tcp://*:1", "tcp://0.0.0.0:17604", "tcp://192.168.1.5:1", "tcp://example.org:1", "udp://127.0.0.1:1",
     "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "", "ipc://", "ipc:///" + "x" * 120],
)  # fmt: skip
def test_an_address_that_others_could_reach_is_refused(address):
    with pytest.raises(ConfigError):
        Service(address, COMMANDS).open()
    with pytest.raises(ConfigError):
        Requester(address)


def test_a_service_that_is_not_open_says_what_to_do():
    with pytest.raises(StateError, match="open"):
        Service(TCP, COMMANDS).poll_once()


def test_the_requests_module_loads_neither_asyncio_nor_numpy():
    code = "import sys, evapd.rpc; print(sorted({'asyncio', 'numpy', 'numba', 'h5py'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_file_descriptors_a_request_is_an_error_with_advice(service: Service) -> None:
    code = (
        "import os, resource, sys, time, zmq; from evapd.errors import StreamError; from evapd.rpc import Requester\n"
        "def opened(): return len(os.listdir('/proc/self/fd'))\n"
        "with zmq.Context() as context, context.socket(zmq.PAIR), Requester(sys.argv[1], 20.0, context=context) as requester:\n"
        "    before = opened()\n"  # the first socket made libzmq open what it needs for itself
        "    requester.request('echo', {'text': 'hi'})\n"
        "    requester._drop()\n"
        "    give_up = time.monotonic() + 60\n"  # libzmq closes on a thread of its own, some time after close()
        "    while opened() > before and time.monotonic() < give_up: time.sleep(0.01)\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (before, before))\n"
        "    held = []\n"
        "    try:\n"
        "        while True: held.append(os.open('/dev/null', os.O_RDONLY))\n"
        "    except OSError: pass\n"
        "    try: requester.request('echo', {'text': 'hi'})\n"
        "    except StreamError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, service.address],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "ulimit -n" in done.stdout, done.stderr
