"""A start is accepted or refused, never dropped, and never carried out later than it was meant."""

from types import SimpleNamespace

import pytest

from evapd.acquire import conductor as module
from evapd.acquire.conductor import Conductor
from evapd.acquire.state import RunState
from evapd.errors import StateError


class Bus(SimpleNamespace):
    def event(self, *_: object, **__: object) -> None:
        """Nobody listens."""

    def forget_alarms(self) -> None:
        """There are none."""


@pytest.fixture
def conductor(tmp_path) -> Conductor:
    loaded = SimpleNamespace(
        layout=SimpleNamespace(runs=tmp_path),
        rig=SimpleNamespace(specimen=SimpleNamespace(name="tip"), record=None),
    )
    made = Conductor(loaded, None, None, Bus(recording=False), None)
    made.backlog = SimpleNamespace(tick=lambda: None, pause=lambda: None, progress=None)
    return made


def when_the_run_is_made(monkeypatch, act) -> None:
    """Do something at the moment between a start that was taken and the state that shows it."""

    def make(*_: object, **__: object) -> SimpleNamespace:
        act()
        return SimpleNamespace(id="run")

    monkeypatch.setattr(module, "ActiveRun", make)


def test_a_second_start_at_the_worst_moment_is_refused(conductor, monkeypatch):
    refused = []

    def again() -> None:
        with pytest.raises(StateError, match="stop it first") as caught:
            conductor.request_start("second", "")
        refused.append(caught.value)

    when_the_run_is_made(monkeypatch, again)
    conductor.request_start("first", "")
    conductor._idle()
    assert refused
    assert conductor.machine.state is RunState.ARMING
    assert conductor._start_wanted is None


def test_a_stop_at_the_same_moment_keeps_the_run_from_beginning(conductor, monkeypatch):
    when_the_run_is_made(monkeypatch, lambda: conductor.request_stop("changed my mind"))
    conductor.request_start("first", "")
    conductor._idle()
    conductor._idle()
    assert (conductor.machine.state, conductor.run) == (RunState.IDLE, None)


def test_a_second_start_before_the_first_is_looked_at_is_refused(conductor):
    conductor.request_start("first", "")
    with pytest.raises(StateError, match="about to start"):
        conductor.request_start("second", "")


def test_from_a_start_to_its_open_record_a_run_is_being_opened(conductor, monkeypatch):
    when_the_run_is_made(monkeypatch, lambda: None)
    assert not conductor.opening
    conductor.request_start("first", "")
    assert conductor.opening
    conductor._idle()
    assert conductor.opening
    conductor._bus.recording = True
    assert not conductor.opening
