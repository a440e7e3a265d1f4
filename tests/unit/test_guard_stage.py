"""Orders to the stages: judged by readings made after the order before, never by older ones."""

import pytest

from evapd.config.stage import KeepOut, StageSection
from evapd.device import DeviceWorker
from evapd.device.readings import AxisReading, Identity, StageReading
from evapd.errors import DeviceTimeout, StateError
from evapd.guard.energy import EnergyState
from evapd.guard.stage import StageOrders

AT_REST = EnergyState.STANDBY
SECTION = StageSection(keep_out=(KeepOut(name="electrode", axes={"x": (4.0, 6.0), "z": (5.0, 20.0)}),))


class Clock:
    now_s = 10.0

    def __call__(self):
        return self.now_s


class ScriptedStage:
    """Two axes that go 1 mm/s from the moment in which the move is carried out."""

    def __init__(self, clock, names=("x", "z")):
        self.clock, self.calls, self.silent = clock, [], False
        self.from_to_at = dict.fromkeys(names, (0.0, 0.0, 0.0))

    def open(self):
        return Identity(vendor="Example", model="stage", serial="1")

    def close(self):
        pass

    def read(self):
        if self.silent:
            raise DeviceTimeout("silence")
        return StageReading(t_mono_s=self.clock(), axes={name: self._axis(name) for name in self.from_to_at})

    def _axis(self, name):
        start, target, at_s = self.from_to_at[name]
        left = max(0.0, abs(target - start) - (self.clock() - at_s))
        mm = target - left if target > start else target + left
        return AxisReading(position_mm=mm, referenced=True, moving=left > 0.0, in_position=left == 0.0)

    def move(self, axis, mm):
        self.calls.append((axis, mm))
        self.from_to_at[axis] = (self._axis(axis).position_mm, mm, self.clock())

    def reference(self, axis):
        self.calls.append((axis, "mark"))

    def make_safe(self):
        for name in self.from_to_at:
            here = self._axis(name).position_mm
            self.from_to_at[name] = (here, here, self.clock())
        self.calls.append("stop")


class Rig:
    def __init__(self, **names):
        self.clock = Clock()
        self.drivers = {name: ScriptedStage(self.clock, axes) for name, axes in names.items()}
        self.workers = {
            name: DeviceWorker(name, driver, period_s=0.5, stale_s=2.0, clock=self.clock)
            for name, driver in self.drivers.items()
        }
        self.orders = StageOrders(SECTION, self.drivers, self.workers, self.clock)
        self.step()

    def step(self, s=0.0):
        self.clock.now_s += s
        for worker in self.workers.values():
            worker.step()


@pytest.fixture
def rig():
    return Rig(stage=("x", "z"))


def test_a_move_is_carried_out_by_the_stages_own_thread(rig):
    rig.orders.move("x", 3.0, AT_REST)
    assert rig.drivers["stage"].calls == []
    rig.step()
    assert rig.drivers["stage"].calls == [("x", 3.0)]


def test_between_an_order_and_the_reading_after_it_no_other_order_is_taken(rig):
    rig.orders.move("x", 3.0, AT_REST)
    with pytest.raises(StateError, match="just told to"):
        rig.orders.move("z", 1.0, AT_REST)


def test_while_an_axis_moves_no_other_begins_and_nobody_may_energise(rig):
    rig.orders.move("x", 3.0, AT_REST)
    assert rig.orders.moving == ["stage"]
    rig.step(0.6)
    assert rig.orders.moving == ["x"]
    with pytest.raises(StateError, match="x moves"):
        rig.orders.move("z", 1.0, AT_REST)
    rig.step(5.0)
    assert rig.orders.moving == []
    rig.orders.move("z", 1.0, AT_REST)


def test_a_way_into_the_keep_out_box_is_refused_and_nothing_is_sent(rig):
    rig.orders.move("z", 10.0, AT_REST)
    rig.step()
    rig.step(11.0)
    with pytest.raises(StateError, match="electrode"):
        rig.orders.move("x", 5.0, AT_REST)
    rig.step()
    assert rig.drivers["stage"].calls == [("z", 10.0)]


def test_energised_nothing_moves_but_everything_stops(rig):
    with pytest.raises(StateError, match="evaporating"):
        rig.orders.move("x", 1.0, EnergyState.EVAPORATING)
    rig.orders.stop()
    rig.step()
    assert rig.drivers["stage"].calls == ["stop"]


def test_stop_overtakes_a_move_that_waits(rig):
    rig.orders.move("x", 3.0, AT_REST)
    rig.orders.stop()
    rig.step()
    assert rig.drivers["stage"].calls == ["stop"]


def test_a_stage_that_is_silent_is_not_moved(rig):
    rig.drivers["stage"].silent = True
    rig.step(0.6)
    with pytest.raises(StateError, match="stage is"):
        rig.orders.move("x", 1.0, AT_REST)


def test_an_order_lost_with_its_link_does_not_block_for_ever(rig):
    rig.orders.move("x", 3.0, AT_REST)
    rig.drivers["stage"].silent = True
    rig.drivers["stage"].move = lambda *_: (_ for _ in ()).throw(DeviceTimeout("silence"))
    rig.step()
    rig.drivers["stage"].silent = False
    del rig.drivers["stage"].move
    rig.step(1.0)
    rig.step(1.0)
    rig.orders.move("x", 3.0, AT_REST)


def test_an_order_that_waited_behind_a_hung_reading_is_not_carried_out_any_more(rig):
    rig.orders.move("x", 3.0, AT_REST)
    rig.clock.now_s += 6.0  # its thread hangs in a reading; a run may have begun meanwhile
    assert rig.orders.moving == []
    rig.step()
    assert rig.drivers["stage"].calls == []


def test_an_order_that_takes_long_counts_as_a_move_until_it_is_through(rig):
    during = []

    def slow(axis, mm):
        rig.clock.now_s += 10.0
        during.append(rig.orders.moving)

    rig.drivers["stage"].move = slow
    rig.orders.move("x", 3.0, AT_REST)
    rig.step()
    assert during == [["stage"]]


def test_axes_of_two_stages_are_told_apart_by_name_and_judged_together():
    rig = Rig(coarse=("x",), fine=("z",))
    rig.orders.move("z", 10.0, AT_REST)
    rig.step()
    rig.step(11.0)
    assert rig.drivers["fine"].calls == [("z", 10.0)]
    with pytest.raises(StateError, match="electrode"):
        rig.orders.move("x", 5.0, AT_REST)


def test_two_axes_of_one_name_are_no_names():
    rig = Rig(coarse=("x",), fine=("x",))
    with pytest.raises(StateError, match="'x' is an axis of coarse and of fine"):
        rig.orders.move("x", 1.0, AT_REST)


def test_a_search_past_a_box_wants_a_person_who_has_looked(rig):
    with pytest.raises(StateError, match="--clear"):
        rig.orders.reference("x", AT_REST, clear=False)
    rig.orders.reference("x", AT_REST, clear=True)
    rig.step()
    assert rig.drivers["stage"].calls == [("x", "mark")]


def test_without_a_stage_it_is_said():
    with pytest.raises(StateError, match="no device has the role stage"):
        Rig().orders.move("x", 1.0, AT_REST)
