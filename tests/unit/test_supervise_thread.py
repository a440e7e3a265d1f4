"""The worker's thread: it wakes at once, and nobody waits for a driver that hangs."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from evapd.device import DeviceState, DeviceWorker, Identity, Reading


class Gate:
    """A driver whose calls the test can hold up."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.calls: list[str] = []

    def do(self, what: str) -> None:
        self.go.wait()
        self.calls.append(what)

    def open(self) -> Identity:
        self.do("open")
        return Identity(vendor="v", model="m")

    def close(self) -> None:
        self.do("close")

    def read(self) -> Reading:
        self.do("read")
        return Reading(t_mono_s=time.monotonic())

    def make_safe(self) -> None:
        self.do("make_safe")


def wait_for(condition: Callable[[], bool]) -> None:
    event, deadline_s = threading.Event(), time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen within 30 s"
        event.wait(0.001)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.go.set()


def online(gate: Gate, events: list[str] | None = None) -> DeviceWorker:
    seen = events if events is not None else []
    worker = DeviceWorker(
        "d", gate, period_s=3600.0, stale_s=7200.0, on_event=lambda _, kind, __: seen.append(kind)
    )
    worker.start()
    wait_for(lambda: worker.latest().state is DeviceState.ONLINE)
    return worker


def test_a_command_wakes_the_thread_in_the_middle_of_a_long_period(gate: Gate) -> None:
    worker = online(gate)
    worker.command("voltage", lambda: gate.do("1000 V"))
    wait_for(lambda: gate.calls[2:] == ["1000 V", "read"])
    assert worker.stop(10.0)


def test_stop_closes_the_driver(gate: Gate) -> None:
    assert online(gate).stop(10.0)
    assert gate.calls == ["open", "read", "close"]


def test_stop_sends_a_waiting_make_safe_first(gate: Gate) -> None:
    worker = online(gate)
    worker.safe()
    assert worker.stop(10.0)
    assert gate.calls.count("make_safe") == 1
    assert gate.calls[-1] == "close"


def test_no_caller_waits_for_a_hung_driver_and_stop_reports_it(gate: Gate) -> None:
    events: list[str] = []
    worker = online(gate, events)
    gate.go.clear()
    worker.wake()
    worker.command("voltage", lambda: None)
    worker.safe()
    worker.latest()
    assert not worker.stop(0.05)
    assert events[-1] == "hung"
    gate.go.set()
    wait_for(lambda: gate.calls[-1] == "close")


def test_a_stopped_worker_takes_no_commands(gate: Gate) -> None:
    worker = online(gate)
    worker.stop(10.0)
    assert not worker.command("voltage", lambda: None)


def test_stopping_a_worker_that_never_started_opens_nothing(gate: Gate) -> None:
    assert DeviceWorker("d", gate, period_s=1.0, stale_s=2.0).stop(1.0)
    assert gate.calls == []
