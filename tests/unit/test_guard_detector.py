"""The detector's supplies: up in steps by a person alone, together, only what is followed; down in steps or at once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from evapd.errors import StateError
from evapd.guard.detector import DetectorSupplies
from evapd.guard.detector_state import TABLE, DetectorEvent, DetectorMachine, DetectorState
from evapd.guard.energy import EnergyState
from evapd.guard.types import Decision, GuardSettings
from support.detector_rig import SUPPLIES, DetectorRig, settings
from support.guard_bench import make_rig

S, E = DetectorState, DetectorEvent


class Ramp:
    """Detector and rig, stepped together."""

    def __init__(self, **sections):
        self.rig = DetectorRig()
        self.detector = DetectorSupplies(settings(**sections))
        self.orders, self.seen = [], []

    def tick(self, *, specimen_down=True, whole=True):
        self.rig.advance()
        self.detector.take(self.rig.inputs(), self.rig.now_s)
        supplies, told = self.detector.plan(specimen_down=specimen_down, whole=whole)
        self.rig.carry_out(Decision(state=EnergyState.STANDBY, supplies=supplies, make_safe=told))
        self.orders += [{order.name: order.v_v for order in supplies}] if supplies else []
        self.seen.append({name: one.v_v for name, one in self.rig.supplies.items()})

    def until(self, state, within_s=60.0, **how):
        for _ in range(round(within_s / 0.05)):
            if self.detector.state is state:
                return self
            self.tick(**how)
        raise AssertionError(f"{self.detector.state} instead of {state}")

    def on(self):
        self.until(S.OFF)
        self.detector.turn_on([], self.rig.now_s)
        return self.until(S.ON)


def test_it_is_off_only_once_every_supply_was_read():
    ramp = Ramp()
    ramp.rig.unknown = {"signal"}
    ramp.tick()
    assert ramp.detector.state is S.UNKNOWN
    ramp.rig.unknown = set()
    ramp.tick()
    assert ramp.detector.state is S.OFF


def test_turned_on_every_supply_ends_at_its_voltage():
    ramp = Ramp().on()
    assert {name: one.v_v for name, one in ramp.rig.supplies.items()} == {
        name: pytest.approx(one["v_v"], rel=0.02) for name, one in SUPPLIES.items()
    }


def test_no_step_is_larger_than_any_supply_allows_and_each_dwells():
    ramp = Ramp().on()
    steps = [now["mcp"] - before["mcp"] for before, now in pairwise(ramp.orders)]
    assert max(steps) <= SUPPLIES["mcp"]["step_v"] + 1e-9
    ticks = [number for number, step in enumerate(steps) if step > 0]
    assert min(later - earlier for earlier, later in pairwise(ticks)) >= 4  # dwell_s in ticks


def test_signal_and_reference_wire_stay_together_on_the_way():
    ramp = Ramp().on()
    ramp.detector.turn_off("test", ramp.rig.now_s)
    ramp.until(S.OFF)
    assert max(abs(seen["signal"] - seen["reference"]) for seen in ramp.seen) < 100.0


def test_nothing_rises_between_ticks():
    ramp = Ramp().until(S.OFF)
    ramp.detector.turn_on([], ramp.rig.now_s)
    for _ in range(100):
        ramp.tick(whole=False)
    assert max(max(orders.values()) for orders in ramp.orders) == 0.0


def test_a_step_that_is_not_followed_ends_the_way_up_and_is_told():
    ramp = Ramp().until(S.OFF)
    ramp.detector.turn_on([], ramp.rig.now_s)
    for _ in range(40):
        ramp.tick()
    ramp.rig.supplies["mcp"].deaf = True
    highest_v = ramp.rig.supplies["mcp"].v_set_v
    for _ in range(100):
        ramp.tick()
    assert "step" in ramp.detector.view().stuck
    assert ramp.orders[-1]["mcp"] <= highest_v + SUPPLIES["mcp"]["step_v"]


def test_an_unknown_supply_stops_the_way_up():
    ramp = Ramp().until(S.OFF)
    ramp.detector.turn_on([], ramp.rig.now_s)
    for _ in range(40):
        ramp.tick()
    ramp.rig.unknown = {"reference"}
    before = ramp.orders[-1]
    for _ in range(100):
        ramp.tick()
    assert ramp.orders[-1] == before


def test_turned_off_it_goes_down_in_steps_switches_off_and_verifies():
    ramp = Ramp().on()
    ramp.orders.clear()
    ramp.detector.turn_off("test", ramp.rig.now_s)
    ramp.until(S.OFF)
    falls = [before["mcp"] - now["mcp"] for before, now in pairwise(ramp.orders)]
    assert min(falls) >= 0
    assert max(falls) <= SUPPLIES["mcp"]["step_v"] + 1e-9
    assert not any(one.on for one in ramp.rig.supplies.values())


def test_a_supply_that_stays_up_is_never_off():
    ramp = Ramp().on()
    ramp.rig.supplies["mcp"].deaf = True
    ramp.detector.turn_off("test", ramp.rig.now_s)
    for _ in range(400):
        ramp.tick()
    assert ramp.detector.state is S.RAMPING_DOWN
    assert "not verified down" in ramp.detector.view().stuck


def test_a_fault_brings_everything_down_at_once_and_again_until_it_is_read():
    ramp = Ramp().on()
    ramp.rig.supplies["signal"].deaf = True
    ramp.detector.fault("arc", ramp.rig.now_s)
    ramp.tick()
    assert not ramp.rig.supplies["mcp"].on
    ramp.rig.supplies["signal"].deaf = False
    for _ in range(40):
        ramp.tick()
    assert not ramp.rig.supplies["signal"].on
    assert ramp.detector.state is S.FAULT


def test_a_fault_is_left_by_a_person_once_it_is_verified_down():
    ramp = Ramp().on()
    ramp.detector.fault("arc", ramp.rig.now_s)
    with pytest.raises(StateError, match="not verified down: mcp"):
        ramp.detector.acknowledge()
    for _ in range(40):
        ramp.tick()
    ramp.detector.acknowledge()
    assert ramp.detector.state is S.OFF


def test_after_a_fault_it_can_be_turned_on_again():
    ramp = Ramp().on()
    ramp.detector.fault("arc", ramp.rig.now_s)
    for _ in range(40):
        ramp.tick()
    ramp.detector.acknowledge()
    ramp.on()


def test_asked_to_follow_the_specimen_it_waits_for_it():
    ramp = Ramp().on()
    ramp.detector.turn_off_after_specimen("made safe")
    for _ in range(40):
        ramp.tick(specimen_down=False)
    assert ramp.detector.state is S.ON
    ramp.until(S.OFF)


def test_found_standing_at_a_restart_it_is_on_and_nothing_is_sent():
    ramp = Ramp()
    for name, one in ramp.rig.supplies.items():
        one.v_v = one.v_set_v = SUPPLIES[name]["v_v"]
        one.on = True
    ramp.until(S.ON)
    ramp.tick()
    assert ramp.orders == []


def test_found_half_way_at_a_restart_it_goes_down():
    ramp = Ramp()
    ramp.rig.supplies["mcp"] = type(ramp.rig.supplies["mcp"])(v_v=900.0, v_set_v=900.0, on=True)
    ramp.until(S.RAMPING_DOWN)
    ramp.until(S.OFF)
    assert max(max(orders.values()) for orders in ramp.orders) <= 900.0


def test_voltage_that_nobody_asked_for_is_brought_down():
    ramp = Ramp().until(S.OFF)
    ramp.rig.supplies["mcp"].v_set_v, ramp.rig.supplies["mcp"].on = 500.0, True
    ramp.until(S.RAMPING_DOWN)
    ramp.until(S.OFF)


def test_a_supply_that_trips_while_it_stands_is_not_switched_on_again():
    ramp = Ramp().on()
    mcp = ramp.rig.supplies["mcp"]
    mcp.on, mcp.flags = False, {"tripped": True}
    orders = len(ramp.orders)
    for _ in range(30):
        ramp.rig.advance()
        ramp.detector.take(ramp.rig.inputs(), ramp.rig.now_s)
    assert ramp.detector.view().off_band_s > 1.0
    assert len(ramp.orders) == orders


@pytest.mark.parametrize(
    ("against", "why"), [(["a gauge"], "a gauge"), ([], "'unknown'")], ids=["surroundings", "not read yet"]
)
def test_what_speaks_against_it_is_listed(against, why):
    with pytest.raises(StateError, match=why):
        Ramp().detector.turn_on(against, 0.0)


def test_without_a_section_there_is_nothing_to_turn_on_and_nothing_is_up():
    detector = DetectorSupplies(GuardSettings(rig=make_rig()))
    with pytest.raises(StateError, match="no section `detector`"):
        detector.turn_on([], 0.0)
    assert detector.down
    assert detector.against_run() == []


def test_a_plate_without_a_section_speaks_against_a_run():
    rig = make_rig(devices={"plate": {"driver": "x", "role": "mcp", "settings": {}}})
    assert "plate" in DetectorSupplies(GuardSettings(rig=rig)).against_run()[0]


def test_the_table_leads_upwards_by_a_person_alone():
    upward = {(state, event) for (state, event), target in TABLE.items() if target in (S.RAMPING, S.ON)}
    assert upward == {(S.UNKNOWN, E.FOUND_ON), (S.OFF, E.TURN_ON), (S.RAMPING, E.REACHED)}


@pytest.mark.parametrize("state", list(S))
def test_a_fault_and_turning_off_are_legal_in_every_state(state):
    for event, allowed in ((E.FAULT, {S.FAULT}), (E.TURN_OFF, {S.OFF, S.FAULT, S.RAMPING_DOWN})):
        machine = DetectorMachine()
        machine.state = state
        machine.move(event)
        assert machine.state in allowed


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["wait", "off", "fault", "acknowledge", "on", "unknown", "known", "deaf", "hears", "late"]
        ),
        st.integers(1, 15),
    ),
    max_size=12,
)


@effort(max_examples=60, deadline=None)
@given(ACTIONS)
def test_whatever_happens_no_order_rises_but_on_a_way_up_that_a_person_began(actions):
    ramp = Ramp().until(S.OFF)
    for action, ticks in actions:
        now_s, detector = ramp.rig.now_s, ramp.detector
        match action:
            case "off":
                detector.turn_off("x", now_s)
            case "late":
                detector.turn_off_after_specimen("x")
            case "fault":
                detector.fault("x", now_s)
            case "unknown":
                ramp.rig.unknown = {"mcp"}
            case "known":
                ramp.rig.unknown = set()
            case "deaf" | "hears":
                ramp.rig.supplies["signal"].deaf = action == "deaf"
            case "on" | "acknowledge":
                try:
                    detector.turn_on([], now_s) if action == "on" else detector.acknowledge()
                except StateError:
                    continue
        for _ in range(ticks):
            count, before = len(ramp.orders), ramp.orders[-1] if ramp.orders else {}
            ramp.tick()
            if len(ramp.orders) > count and detector.state is not S.RAMPING and detector.state is not S.ON:
                assert all(abs(v_v) <= abs(before.get(name, 1e9)) for name, v_v in ramp.orders[-1].items())
