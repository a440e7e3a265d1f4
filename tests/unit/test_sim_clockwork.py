import os
import socket
import threading
from pathlib import Path

import pytest

from evapd_sim.clockwork import BURST_S, GIVE_UP_S, Clockwork
from evapd_sim.ready import notify


class VirtualStop(threading.Event):
    """An event whose waiting moves a virtual clock; it is set when the clock reaches the end."""

    def __init__(self, end_s: float) -> None:
        super().__init__()
        self.now_s = 0.0
        self.end_s = end_s

    def clock(self) -> float:
        return self.now_s

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        if self.now_s >= self.end_s:
            self.set()

    def wait(self, timeout: float | None = None) -> bool:
        self.pass_time(max(timeout or 0.0, 1e-6))
        return self.is_set()


def run(stop: VirtualStop, costs: dict[int, float]) -> tuple[list[float], Clockwork]:
    """Step until the end; step number n costs `costs[n]` seconds."""
    steps: list[float] = []

    def advance(dt_s: float) -> None:
        steps.append(dt_s)
        stop.pass_time(costs.get(len(steps), 0.0))

    clockwork = Clockwork(0.005, advance, stop.clock, stop)
    clockwork.run()
    return steps, clockwork


def test_steps_add_up_to_the_time_that_passed() -> None:
    steps, _ = run(VirtualStop(1.0), {})
    assert sum(steps) == pytest.approx(1.0, abs=0.006)
    assert max(steps) < 0.006


def test_a_delay_is_made_up_without_bursts() -> None:
    steps, clockwork = run(VirtualStop(2.0), {10: 0.4})
    assert sum(steps) == pytest.approx(2.0, abs=0.01)
    assert max(steps) == BURST_S
    assert clockwork.lost_s == 0.0
    assert clockwork.late_s == pytest.approx(0.395, abs=0.006)


def test_after_a_long_pause_the_rest_is_let_go_and_counted() -> None:
    steps, clockwork = run(VirtualStop(40.0), {10: 30.0})
    assert clockwork.lost_s == pytest.approx(30.0 - GIVE_UP_S, abs=0.01)
    assert sum(steps) == pytest.approx(40.0 - clockwork.lost_s, abs=0.01)


def receiver(address: str | bytes) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(address)
    server.settimeout(20.0)
    return server


def test_readiness_reaches_a_socket_with_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with receiver(path) as server:
        notify("READY=1")
        assert server.recv(100) == b"READY=1"


def test_readiness_reaches_an_abstract_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"evapd-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    with receiver(b"\0" + name.encode()) as server:
        notify("READY=1")
        assert server.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
