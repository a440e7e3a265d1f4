"""Faults of machine, network and clients that stand in no list: what somebody else might try."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import zmq

from evapd.link import LinkFlag, LinkRecord, encode, short_digest
from evapd.stream.frame import HITS
from support.bench_processes import SubscriberProcess, rss_mb
from support.faults_account import Account
from support.faults_machine import Shim
from support.faults_measure import Fault
from support.faults_rig import FaultRig, fault_rig

NO_RISE_V = 20.0


@pytest.fixture(scope="module")
def shimmed() -> Iterator[tuple[FaultRig, Shim]]:
    made: list[Shim] = []
    with fault_rig(prepare=lambda daemon: made.append(Shim(daemon))) as rig:
        yield rig, made[0]


def pid(rig: FaultRig, name: str = "acquire") -> int:
    return rig.daemon.processes[name].pid


def open_files(process: int) -> int:
    """How many files and sockets a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def goes_on(fault: Fault, slowest_s: float = 0.0) -> Account:
    """The run goes on at its target, nothing is lost, answers came in time."""
    assert fault.runs(), "the run did not go on"
    assert fault.rig.energy() == "evaporating"
    told = fault.accounted()
    fault.nothing_lost(told, tail_s=0.5)
    fault.rises_at_most(NO_RISE_V)
    assert slowest_s < 0.5, f"the slowest answer took {slowest_s:.2f} s"
    return told


def slowest_answer_s(rig: FaultRig, times: int = 5) -> float:
    """Longest time of some requests."""
    slowest_s = 0.0
    for _ in range(times):
        since_s = time.monotonic()
        assert rig.daemon.status() is not None
        slowest_s = max(slowest_s, time.monotonic() - since_s)
    return slowest_s


@contextmanager
def zmq_socket(kind: int, address: str) -> Iterator["zmq.Socket[bytes]"]:
    """A bare socket of a program that knows nothing of ours."""
    context = zmq.Context()
    made = context.socket(kind)
    made.linger = 0
    made.connect(address)
    try:
        yield made
    finally:
        made.close()
        context.term()


def ended_by_disk(fault: Fault) -> None:
    """A run whose record cannot go on ends by itself, down, and says that it is incomplete."""
    fault.inhibited_within(10.0)
    fault.descends_within(10.0)
    fault.rig.await_run("idle", 60.0)
    assert any("journal" in alarm or "record" in alarm for alarm in fault.alarms()), fault.alarms()
    fault.row.condition = str((fault.rig.daemon.status() or {})["last_run"]["conditions"])
    assert "INCOMPLETE" in fault.row.condition
    fault.rises_at_most(NO_RISE_V)


def test_disk_becomes_read_only(shimmed: tuple[FaultRig, Shim]) -> None:
    rig, shim = shimmed
    with rig.fault("N20", "the disk of the runs becomes read-only", "EROFS for every write, open, mkdir and rename below runs/, for both processes (C library shim)",
                   "run ends by itself < 10 s, INCOMPLETE and told, pulses off and V down, a next run is possible when it is healed") as fault:  # fmt: skip
        try:
            fault.now(lambda: shim.set(read_only=True))
            ended_by_disk(fault)
        finally:
            shim.set()
    with rig.fault(
        "N20", "the next run after a disk that was read-only", "healed", "a run at its target"
    ) as fault:
        fault.now(lambda: None)
        fault.goes_on(1.0)


@pytest.mark.parametrize("what", ["folder", "file", "run"])
def test_journal_is_removed(rig: FaultRig, what: str) -> None:
    with rig.fault("N21", f"somebody removes the journal in a run: {what}", "`rm -r` of the journal folder, of acquire's file in it, of the whole run",
                   "told, run ends by itself < 10 s, INCOMPLETE, pulses off and V down: not recorded into nothing for the rest of the night") as fault:  # fmt: skip
        store = rig.store()

        def remove() -> None:
            if what == "file":
                for path in store.journal.glob("acquire*"):
                    path.unlink()
            else:
                shutil.rmtree(store.journal if what == "folder" else store.folder)

        fault.now(remove)
        ended_by_disk(fault)


def test_acquire_stopped_for_three_seconds(rig: FaultRig) -> None:
    with rig.fault("N22", "acquire stopped for 3 s", "`kill -STOP`, `-CONT`",
                   "pulses off < 250 ms, < 5 V rise, goes on by itself, nothing lost") as fault:  # fmt: skip
        fault.kill("acquire", signal.SIGSTOP)
        fault.inhibited_within(0.25)
        fault.waits(3.0)
        os.kill(pid(rig), signal.SIGCONT)
        fault.goes_on(4.0)
        fault.is_over()
        fault.rises_at_most(5.0)
        rig.await_energy("evaporating", timeout_s=20.0)
        fault.drained(10.0)


def test_readers_that_never_read(rig: FaultRig) -> None:
    sockets = rig.daemon.loaded.rig.sockets
    with rig.fault("N23", "a subscriber that never reads, and one that asks for everything again and never reads", "bare SUB on stream and live, DEALER with 2000 requests to replay, for 8 s",
                   "a good reader loses 0, acquire grows < 80 MB, goes on, nothing lost") as fault:  # fmt: skip
        with (
            SubscriberProcess(sockets.stream, sockets.replay, HITS) as good,
            zmq_socket(zmq.SUB, sockets.stream) as stream,
            zmq_socket(zmq.SUB, sockets.live) as live,
            zmq_socket(zmq.DEALER, sockets.replay) as replay,
        ):
            stream.subscribe(b"")
            live.subscribe(b"")
            before_mb = rss_mb(pid(rig))
            instance = (rig.daemon.status() or {})["instance"]
            fault.now(lambda: None)
            for _ in range(2000):
                request = {
                    "v": 1,
                    "id": uuid.uuid4().hex,
                    "instance": instance,
                    "topic": HITS,
                    "first_seq": 0,
                    "last_seq": 10**6,
                }
                with suppress(zmq.Again):
                    replay.send(json.dumps(request).encode(), zmq.NOBLOCK)
            fault.waits(8.0)
            grown_mb = rss_mb(pid(rig)) - before_mb
            slowest_s = slowest_answer_s(rig)
            lost = good.end()["lost"]
        fault.row.reaction = f"acquire grew by {grown_mb:.1f} MB, good reader lost {lost}"
        assert lost == 0
        assert grown_mb < 80.0
        goes_on(fault, slowest_s)


@pytest.mark.parametrize("socket_name", ["control", "stream", "guard"])
def test_a_thousand_connections(rig: FaultRig, socket_name: str) -> None:
    loaded = rig.daemon.loaded
    with rig.fault("N24", f"1000 connections at once to {socket_name}", "raw sockets that say nothing, held for 5 s",
                   "answers < 500 ms meanwhile, goes on, nothing lost, guard's loop not late; files given back") as fault:  # fmt: skip
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        process = pid(rig, "guard" if socket_name == "guard" else "acquire")
        open_before = open_files(process)
        with ExitStack() as links:
            fault.now(lambda: None)
            made = 0
            for _ in range(1000):
                if socket_name == "guard":
                    one = links.enter_context(socket.socket(socket.AF_UNIX))
                    address: object = loaded.layout.guard_ipc.removeprefix("ipc://")
                else:
                    one = links.enter_context(socket.socket())
                    address = ("127.0.0.1", port_of(getattr(loaded.rig.sockets, socket_name)))
                one.settimeout(0.2)
                with suppress(OSError):
                    one.connect(address)
                    made += 1
            slowest_s = slowest_answer_s(rig)
            fault.waits(5.0)
            slowest_s = max(slowest_s, slowest_answer_s(rig))
            held = open_files(process) - open_before
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        fault.row.reaction = (
            f"{made} made, {held} held by the daemon, slowest answer {1e3 * slowest_s:.0f} ms"
        )
        goes_on(fault, slowest_s)


def test_no_more_files_can_be_opened(rig: FaultRig) -> None:
    with rig.fault("N25", "neither process can open a file or socket any more, for 6 s", "RLIMIT_NOFILE set to what is open",
                   "goes on and nothing lost, or ends down; stop works") as fault:  # fmt: skip
        before = {
            name: resource.prlimit(pid(rig, name), resource.RLIMIT_NOFILE) for name in ("guard", "acquire")
        }
        try:
            fault.now(lambda: None)
            for name, (_, hard) in before.items():
                resource.prlimit(
                    pid(rig, name),
                    resource.RLIMIT_NOFILE,
                    (open_files(pid(rig, name)), hard),
                )
            fault.waits(6.0)
            assert rig.daemon.ask("stop", reason="no files")["accepted"]
            fault.inhibited_within(7.5)
            fault.descends_within(7.5)
        finally:
            for name, limits in before.items():
                resource.prlimit(pid(rig, name), resource.RLIMIT_NOFILE, limits)
        fault.nothing_lost(fault.closed(), tail_s=0.5)
        fault.rises_at_most(NO_RISE_V)


@pytest.mark.parametrize("size_mb", [0.1, 64])
def test_a_huge_request(rig: FaultRig, size_mb: float) -> None:
    with rig.fault("N26", f"a request of {size_mb:g} MB", "one JSON text to the control socket by DEALER, ten times",
                   "refused or thrown out, acquire grows < 80 MB, answers < 500 ms, goes on") as fault:  # fmt: skip
        before_mb = rss_mb(pid(rig))
        program = (
            "import sys, zmq\n"
            f'body = b\'{{"v":1,"id":"big","cmd":"note","args":{{"text":"\' + b\'x\' * {int(1e6 * size_mb)} + b\'"}}}}\'\n'
            "for _ in range(10):\n"
            "    with zmq.Context() as context, context.socket(zmq.DEALER) as made:\n"
            "        made.linger = 0\n"
            f"        made.connect({rig.daemon.loaded.rig.sockets.control!r})\n"
            "        made.send(body)\n"
            "        assert not made.poll(300) or b'\"ok\":false' in made.recv()\n"
        )
        fault.now(lambda: None)
        slowest_s = 0.0
        with subprocess.Popen([sys.executable, "-c", program]) as stranger:
            while stranger.poll() is None:
                slowest_s = max(slowest_s, slowest_answer_s(rig, 1))
                rig.wait(0.1)
        assert stranger.returncode == 0
        grown_mb = rss_mb(pid(rig)) - before_mb
        fault.row.reaction = f"acquire grew by {grown_mb:.1f} MB, slowest answer {1e3 * slowest_s:.0f} ms"
        assert grown_mb < 80.0
        goes_on(fault, slowest_s)


def test_a_stranger_on_the_link(rig: FaultRig) -> None:
    loaded = rig.daemon.loaded
    with rig.fault("N27", "a stranger connects to the guard's link and sends records with a rate of 0", "AF_UNIX SEQPACKET, 300 records beside acquire's, and 200 connections",
                   "turned away: goes on, V does not rise by them, guard's loop late by < 20 ms") as fault:  # fmt: skip

        def lie() -> None:
            digest = short_digest(loaded.digest)
            for seq in range(200):
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link, suppress(OSError):
                    link.settimeout(0.05)
                    link.connect(str(loaded.layout.link_socket))
                    for again in range(2):
                        record = LinkRecord(
                            seq=10**6 + 2 * seq + again, t_mono_ns=time.monotonic_ns(), flags=LinkFlag.ARMED | LinkFlag.RUN_ACTIVE,
                            pulse_counter=10**7, live_pulses=10**7, hits_window=0, background_hits=0, hits_total=0, words=0, triggers=0,
                            early_hits=0, map_hits=0, hot_hits=0, heartbeat_age_us=0, config=digest,
                        )  # fmt: skip
                        link.send(encode(record))

        fault.now(lie)
        fault.waits(3.0)
        told = goes_on(fault)
        late_ms = told.loop["lateness_us"][told.loop["t_mono_us"] > 1e6 * fault.since_s].max() / 1e3
        fault.row.reaction = f"guard's loop late by {late_ms:.1f} ms at most"
        assert late_ms < 20.0
