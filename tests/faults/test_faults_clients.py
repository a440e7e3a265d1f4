"""Bad clients and bad configurations: they may not touch the run, the memory or the loop."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from evapd.client import Client
from evapd.errors import RequestError
from evapd.stream.frame import HITS, TOPICS
from evapd.stream.subscriber import Subscriber
from support.bench_processes import SubscriberProcess, rss_mb
from support.faults_measure import Fault
from support.faults_rig import FaultRig
from support.kernels import NUMBA_CACHE
from support.wait import wait_for

BROKEN: dict[str, tuple[str, Any]] = {
    "not YAML": ("", "{[}"),
    "no devices": ("devices", None),
    "devices is a list": ("devices", [1]),
    "unknown driver": ("devices.tdc.driver", "no-such"),
    "unknown role": ("devices.tdc.role", "toaster"),
    "two roots": ("", "a: 1\n--- \nb: 2"),
    "unknown key": ("colour", "red"),
    "negative rate": ("pulse.rate_hz", -1),
    "rate is a word": ("pulse.rate_hz", "quick"),
    "NaN target": ("control.target_rate", float("nan")),
    "target of 2": ("control.target_rate", 2),
    "unknown law": ("control.law", "hope"),
    "v_max above specimen": ("control.v_max_v", "9 kV"),
    "v_start above v_max": ("control.v_start_v", "7.5 kV"),
    "V in metres": ("control.v_max_v", "7 m"),
    "window ends before it begins": ("instrument.tof_window_ns", [100, 10]),
    "open address": ("sockets.control", "tcp://0.0.0.0:17604"),
    "no anode file": ("anode", "none.yaml"),
    "bad connect": ("devices.tdc.settings.connect", "carrier-pigeon:1"),
    "specimen without a name": ("specimen.name", ""),
}


def quiet(rig: FaultRig, fault: Fault, rise_v: float = 20.0) -> None:
    """The run goes on as if nothing had been."""
    assert fault.runs(), "the run did not go on"
    assert rig.energy() == "evaporating"
    fault.nothing_lost(fault.accounted(), tail_s=0.5)
    fault.rises_at_most(rise_v)


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def raw(port: int, data: bytes) -> None:
    """Send bytes to a port and hang up, whatever is answered."""
    with socket.create_connection(("127.0.0.1", port), 2.0) as link:
        try:
            link.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return  # it was thrown out already, as it should be


def pid(rig: FaultRig, name: str) -> int:
    return rig.daemon.processes[name].pid


def test_a_reader_stalls(rig: FaultRig) -> None:
    sockets = rig.daemon.loaded.rig.sockets
    with rig.fault("10", "one full-rate reader stalls 4 s", "`kill -STOP` of a subscriber process, then `-CONT`",
                   "the other reader loses 0, the stalled one gets its gap again, acquire grows < 80 MB") as fault:  # fmt: skip
        topics = HITS
        with (
            SubscriberProcess(sockets.stream, sockets.replay, topics) as slow,
            SubscriberProcess(sockets.stream, sockets.replay, topics) as good,
        ):
            before_mb = rss_mb(pid(rig, "acquire"))
            fault.now(lambda: os.kill(slow._process.pid, signal.SIGSTOP))
            fault.waits(4.0)
            grown_mb = rss_mb(pid(rig, "acquire")) - before_mb
            os.kill(slow._process.pid, signal.SIGCONT)
            fault.waits(5.0)
            quiet(rig, fault)
            lost = [one.end()["lost"] for one in (good, slow)]
        fault.row.reaction = f"acquire grew by {grown_mb:.1f} MB, lost {lost}"
        assert lost == [0, 0]
        assert grown_mb < 80.0


def test_subscribers_come_and_go(rig: FaultRig) -> None:
    sockets = rig.daemon.loaded.rig.sockets
    folder = Path(f"/proc/{pid(rig, 'acquire')}/fd")
    with rig.fault("11", "100 subscribers connect and leave within seconds", "`Subscriber`, one after the other",
                   "welcome < 100 ms (p95), no more open files, < 20 MB more") as fault:  # fmt: skip
        before, before_mb = len(list(folder.iterdir())), rss_mb(pid(rig, "acquire"))
        fault.now(lambda: None)
        welcomes_s = []
        for _ in range(100):
            since_s = time.monotonic()
            with Subscriber(sockets.stream, None, TOPICS) as subscriber:
                assert subscriber.await_welcome(5.0)
            welcomes_s.append(time.monotonic() - since_s)
        wait_for(lambda: len(list(folder.iterdir())) <= before + 2, "files to be closed", 10.0, every_s=0.1)
        slow_ms = 1e3 * float(np.quantile(welcomes_s, 0.95))
        grown_mb = rss_mb(pid(rig, "acquire")) - before_mb
        fault.row.reaction = f"welcome p95 {slow_ms:.0f} ms, grew by {grown_mb:.1f} MB"
        quiet(rig, fault)
        assert slow_ms < 100.0
        assert grown_mb < 20.0


def test_nonsense_on_the_control_socket(rig: FaultRig) -> None:
    port = port_of(rig.daemon.loaded.rig.sockets.control)
    noise = np.random.default_rng(12)
    with rig.fault("12", "nonsense on the control socket", "raw TCP: noise, HTTP, a greeting and 200 kB of brackets, half frames",
                   "dropped or refused, answers < 200 ms meanwhile, state unchanged") as fault:  # fmt: skip
        greeting = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48)
        deep = b"[" * 200_000
        pieces = [b"GET / HTTP/1.1\r\n\r\n", greeting, greeting + b"\x02" + struct.pack(">Q", len(deep)) + deep, greeting + b"\x01\x05abc"]  # fmt: skip
        pieces += [noise.bytes(int(noise.integers(1, 4000))) for _ in range(60)]
        fault.now(lambda: None)
        slowest_s = 0.0
        for piece in pieces:
            raw(port, piece)
            since_s = time.monotonic()
            assert rig.daemon.status() is not None
            slowest_s = max(slowest_s, time.monotonic() - since_s)
        with Client(rig.daemon.loaded.rig.sockets.control) as client:
            for command, args in (
                ("no-such", {}),
                ("set", {"target_rate": 9}),
                ("set", {"law": [1]}),
                ("note", {}),
            ):
                with pytest.raises(RequestError):
                    client._requester.request(command, args)
        fault.row.reaction = f"slowest answer {1e3 * slowest_s:.0f} ms"
        quiet(rig, fault)
        assert slowest_s < 0.2


def test_garbage_on_the_stream(rig: FaultRig) -> None:
    sockets = rig.daemon.loaded.rig.sockets
    noise = np.random.default_rng(13)
    with rig.fault("13", "garbage on the stream's ports", "raw TCP to stream, live and replay",
                   "0 of it reaches a reader, goes on") as fault:  # fmt: skip
        with Subscriber(sockets.stream, sockets.replay, TOPICS) as reader:
            assert reader.await_welcome(5.0)
            fault.now(lambda: None)
            for address in (sockets.stream, sockets.live, sockets.replay):
                for _ in range(30):
                    raw(port_of(address), noise.bytes(500))
            deadline_s, seen = time.monotonic() + 2.0, 0
            while time.monotonic() < deadline_s:
                seen += reader.receive(0.1) is not None
            assert reader.counts.garbage == 0
            assert not reader.counts.lost
            assert seen
        fault.row.reaction = "0 messages of it"
        quiet(rig, fault)


def test_invalid_configurations(rig: FaultRig, tmp_path: Path) -> None:
    good = yaml.safe_load(rig.daemon.config.read_text())
    with rig.fault("21", f"{len(BROKEN)} broken rig files", "`python -m evapd.guard` and `evapd.acquire` on each",
                   "each exits 78 and names file and line, opens no port, the running daemon is not touched") as fault:  # fmt: skip
        fault.now(lambda: None)
        bad = []
        for number, (name, (where, value)) in enumerate(BROKEN.items()):
            path = tmp_path / f"{number}.yaml"
            path.write_text(broken(good, where, value))
            module = ("evapd.guard", "evapd.acquire")[number % 2]
            done = subprocess.run(
                [sys.executable, "-m", module, str(path), "--folder", str(tmp_path / str(number))],
                check=False, capture_output=True, text=True, timeout=30, env={**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)},
            )  # fmt: skip
            if done.returncode != 78 or path.name not in done.stderr:
                bad.append((name, module, done.returncode, done.stderr[-200:]))
        fault.row.reaction = f"{len(BROKEN) - len(bad)} of {len(BROKEN)} refused with 78"
        assert not bad, bad
        quiet(rig, fault, 30.0)


def broken(good: dict[str, Any], where: str, value: Any) -> str:
    """A rig file with one fault."""
    if not where:
        return str(value)
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(good))
    *path, last = where.split(".")
    place = content
    for key in path:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return yaml.safe_dump(content, sort_keys=False)


def test_a_second_daemon_on_the_same_hardware(rig: FaultRig, tmp_path: Path) -> None:
    path = tmp_path / "second.yaml"
    content = yaml.safe_load(rig.daemon.config.read_text())
    twin = rig.daemon.loaded.layout.twin
    for device in content["devices"].values():
        device["settings"]["connect"] = device["settings"]["connect"].replace(":twin/", f":{twin}/")
    content["twin"] = None
    path.write_text(
        yaml.safe_dump({key: value for key, value in content.items() if value is not None}, sort_keys=False)
    )
    with rig.fault("22", "a second guard on the same instruments, in a folder of its own", "`python -m evapd.guard` beside the first",
                   "the ports are locked: no byte is sent, the run goes on") as fault:  # fmt: skip
        second = subprocess.Popen(
            [sys.executable, "-m", "evapd.guard", str(path), "--folder", str(tmp_path / "d")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            fault.now(lambda: None)
            fault.waits(4.0)
            quiet(rig, fault)
        finally:
            second.kill()
            second.wait()
