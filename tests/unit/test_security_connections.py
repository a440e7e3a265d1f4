"""Too many connections, half-open ones and slow ones: who is in is served on, and nothing runs out."""

import os
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import pytest

from evapd.guard.process import _readable
from evapd.rpc import Command, NoArgs, Requester, Service
from evapd.security.access import Access
from evapd.security.descriptors import descriptors, raise_descriptor_limit
from evapd.security.listener import BACKLOG, connections_by_port
from evapd.stream import sockets
from support.raw_zmtp import SIGNATURE, dial, greeting, hangs_up
from support.wait import wait_for

PATIENCE_S = 30.0  # for what does come
TCP = "tcp://127.0.0.1:*"
COMMANDS = [Command("look", NoArgs, lambda _: {"seen": True})]


@pytest.fixture
def opened():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def _short_handshakes(monkeypatch):
    monkeypatch.setattr(sockets, "HANDSHAKE_MS", 400)


def port_of(service):
    return int(service.address.rpartition(":")[2])


def half_open(opened, port, how_many, timeout_s=0.1):
    """Connect and say nothing; gives the connections that were let in."""
    links = []
    for _ in range(how_many):
        link = opened.enter_context(socket.socket())
        link.settimeout(timeout_s)
        with suppress(OSError):
            link.connect(("127.0.0.1", port))
            links.append(link)
    return links


def test_connections_are_counted_by_their_port_here(opened):
    service = opened.enter_context(Service(TCP, COMMANDS))
    links = half_open(opened, port_of(service), 3)
    wait_for(lambda: connections_by_port().get(port_of(service)) == 3, "three connections")
    for link in links:
        link.close()
    wait_for(lambda: port_of(service) not in connections_by_port(), "none")


def test_a_socket_takes_so_many_connections_and_serves_those_it_has(opened, monkeypatch, caplog):
    monkeypatch.setattr(sockets, "HANDSHAKE_MS", 600_000)  # who is half in stays, however slow the machine is
    service = opened.enter_context(Service(TCP, COMMANDS, access=Access(max_connections=20)))
    requester = opened.enter_context(Requester(service.address, PATIENCE_S))
    requester.request("look")

    def full():
        half_open(opened, port_of(service), 5, 0.02)
        return "new connections wait" in caplog.text

    wait_for(full, "the gate to shut the listener", every_s=0.1)
    there = connections_by_port()[port_of(service)]
    for _ in range(3):
        half_open(opened, port_of(service), 40, 0.02)
        assert requester.request("look")
    assert there >= 20
    assert connections_by_port()[port_of(service)] <= there + BACKLOG + 1


@pytest.mark.usefixtures("_short_handshakes")
def test_after_a_flood_everybody_gets_in_again(opened):
    service = opened.enter_context(Service(TCP, COMMANDS, access=Access(max_connections=10)))
    with ExitStack() as flood:
        half_open(flood, port_of(service), 60, 0.02)
        wait_for(lambda: connections_by_port().get(port_of(service), 0) >= 10, "the flood")
    with Requester(service.address, PATIENCE_S) as requester:
        assert requester.request("look")


@pytest.mark.usefixtures("_short_handshakes")
@pytest.mark.parametrize("said", [b"", b"\xff", SIGNATURE, greeting(), greeting() + b"\x04\x29\x05REA"])
def test_who_does_not_finish_its_handshake_is_sent_away(opened, said):
    service = opened.enter_context(Service(TCP, COMMANDS))
    link = opened.enter_context(dial(port_of(service)))
    link.sendall(said)
    assert hangs_up(link, PATIENCE_S)


@pytest.mark.usefixtures("_short_handshakes")
def test_a_greeting_that_drips_is_cut_off_when_the_time_is_over(opened):
    service = opened.enter_context(Service(TCP, COMMANDS))
    link = opened.enter_context(dial(port_of(service)))
    link.settimeout(0.5)
    gone = False
    for byte in greeting():  # half a minute of it, where a handshake may take 0.4 s
        try:
            link.sendall(bytes([byte]))
            gone = link.recv(100) == b"" or gone
        except TimeoutError:
            continue
        except OSError:
            gone = True
        if gone:
            break
    assert gone


CHILD = """
import resource, sys, time
from evapd.rpc import Command, NoArgs, Service
from evapd.security.access import Access
from evapd.stream import sockets
sockets.HANDSHAKE_MS = 1000
def look(_):
    return {"cpu_s": time.process_time()}
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
with Service("tcp://127.0.0.1:*", [Command("look", NoArgs, look)]) as far:
    print(far.address, flush=True)
    sys.stdin.read()
"""


def test_with_few_descriptors_and_hundreds_of_connections_a_standing_client_is_served(opened):
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, "128"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as child:  # fmt: skip
        address = child.stdout.readline().strip()
        standing = opened.enter_context(Requester(address, PATIENCE_S))
        before, began_s = standing.request("look"), time.monotonic()
        while time.monotonic() < began_s + 3.0:
            half_open(opened, int(address.rpartition(":")[2]), 100, 0.01)
            assert standing.request("look")
        busy = standing.request("look")["cpu_s"] - before["cpu_s"]
        lasted_s = time.monotonic() - began_s
        opened.pop_all().close()  # the flood is over
        with Requester(address, PATIENCE_S) as fresh:
            assert fresh.request("look")
        child.stdin.close()
    assert child.returncode == 0
    assert busy < 0.67 * lasted_s  # who asks the kernel again and again is busy all the time


def test_the_limit_of_descriptors_is_raised_as_far_as_it_goes():
    code = (
        "import resource; from evapd.security.descriptors import raise_descriptor_limit as up\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512)); print(up(), up(100), resource.getrlimit(7))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=2) == ["512", "512", "(512, 512)\n"]


def test_descriptors_are_counted_also_when_none_is_left():
    left, used = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert left + used == soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used - 1, hard))
        assert descriptors()[0] == 0
        assert connections_by_port() == {}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert raise_descriptor_limit(1) == soft


def test_the_guard_waits_on_any_descriptor():
    here, there = os.pipe()
    far = os.dup2(here, 2000)
    try:
        assert _readable([here, far], 1_000_000) == []
        os.write(there, b"x")
        assert sorted(_readable([here, far], 10**9)) == sorted([here, far])
        assert _readable([here], 10**9) == [here]
    finally:
        for descriptor in (here, there, far):
            os.close(descriptor)
