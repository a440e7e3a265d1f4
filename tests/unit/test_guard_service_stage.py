"""While an axis of the stage moves, nothing is asked of the guard that lets the voltage rise; everything that lowers it goes through."""

import uuid
from types import SimpleNamespace

import pytest

from evapd.config import load_rig
from evapd.errors import StateError
from evapd.guard.service import GuardService
from evapd.stream.frame import Framer
from support.rig_files import rig_folder, write_rig


@pytest.fixture
def guard():
    """A guard that was never started, with a stage that moves."""
    with rig_folder() as folder:
        loaded = load_rig(write_rig(folder))
        loaded.layout.make()
        service = GuardService(
            loaded, Framer(instance=str(uuid.uuid4()), t_mono_us=lambda: 0, t_utc_us=lambda: 0)
        )
        stopped = []
        service.instruments.stages = SimpleNamespace(
            moving=["x"], stopped=stopped, stop=lambda: stopped.append(True)
        )
        try:
            yield service
        finally:
            service.close()


@pytest.mark.parametrize(
    "upwards",
    [
        lambda guard: guard.resume(),
        lambda guard: guard.hold(on=False),
        lambda guard: guard.inhibit(on=False),
        lambda guard: guard.set({"hold": False}),
        lambda guard: guard.run_begin("run", guard._loaded.layout.runs / "run", ""),
    ],
)
def test_nothing_goes_up_while_an_axis_moves(guard, upwards):
    with pytest.raises(StateError, match="x of the stage moves"):
        upwards(guard)


def test_what_leads_down_is_never_refused_for_it(guard):
    assert guard.abort("a person")["accepted"]
    assert guard.run_end("a person")["accepted"]
    assert guard.inhibit(on=True)["accepted"]


def test_an_abort_stops_the_stage_too(guard):
    guard.abort("it goes towards the electrode")
    assert guard.instruments.stages.stopped == [True]


def test_while_the_voltage_is_still_drawn_down_for_aligning_nothing_moves(guard):
    guard.core.steering.drawdown.begin(5000.0, 2000.0, 0.0)
    with pytest.raises(StateError, match="still on its way"):
        guard.stage_move("x", 1.0)
