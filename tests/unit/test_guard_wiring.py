"""Contacts, crowbar and heartbeat: two readings open a contact, a person alone releases a crowbar or begins a heartbeat."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import StateError
from evapd.guard.detector_state import DetectorState
from evapd.guard.energy import EnergyState
from evapd.guard.types import Decision
from evapd.guard.wiring import Wiring
from support.detector_rig import DetectorRig, settings

S = EnergyState


class Chain:
    """Wiring and rig, stepped together; `state` is what the core would be in."""

    def __init__(self, **sections):
        self.rig = DetectorRig()
        self.wiring = Wiring(settings(**sections))
        self.state, self.quick, self.verified = S.STANDBY, False, True
        self.decision, self.beats, self.events = None, [], []

    def tick(self, *causes, ticks=1, whole=True):
        for _ in range(ticks):
            self.rig.advance()
            self.wiring.take(self.rig.inputs(), self.rig.now_s)
            self.wiring.follow(causes, self.state, quick=self.quick, verified=self.verified)
            self.decision = self.wiring.complete(Decision(state=self.state), whole=whole)
            self.rig.carry_out(self.decision)
            self.beats.append((self.rig.now_s, self.rig.levels["heartbeat"]))
            self.events += self.wiring.events()

    def open(self, *kinds):
        return [one.name for one in self.wiring.contacts.open(*kinds)]

    def edges(self):
        return [now for before, now in pairwise(self.beats) if before[1] is not now[1]]


def chain(ticks=3, **sections):
    made = Chain(**sections)
    made.tick(ticks=ticks)
    return made


def test_closed_contacts_are_well():
    assert chain().open() == []


def test_before_anything_was_read_no_contact_is_well():
    assert len(Chain().open()) == 5


def test_one_reading_opens_no_contact_and_two_do():
    made = chain()
    made.rig.levels["door"] = False
    made.tick()
    assert made.open() == []
    made.tick()
    assert made.open() == ["door"]


def test_the_same_reading_seen_twice_counts_once():
    made = chain()
    made.rig.levels["door"] = False
    made.tick()
    for _ in range(5):
        made.wiring.take(made.rig.inputs(), made.rig.now_s)
    assert made.open() == []


def test_a_contact_closes_with_two_readings_too():
    made = chain()
    made.rig.levels["water"] = False
    made.tick(ticks=3)
    made.rig.levels["water"] = True
    made.tick()
    assert made.open("water") == ["water"]
    made.tick()
    assert made.open() == []


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_contact_stands_where_the_newest_two_equal_readings_say(levels):
    made = chain()
    for level in levels:
        made.rig.levels["valve"] = level
        made.tick()
    seen = [True, True, *levels]
    agreed = next(
        now for before, now in zip(reversed(seen[:-1]), reversed(seen[1:]), strict=True) if before is now
    )
    assert (made.open("valve") == []) is agreed


def test_a_module_that_is_unknown_or_lacks_an_input_is_an_open_contact():
    made = chain()
    made.rig.unknown = {"dio"}
    made.tick()
    assert set(made.open()) == {"door", "valve", "water", "ups", "relay"}
    assert "UNKNOWN: dio: silent" in made.wiring.contacts.open("door")[0].what
    made.rig.unknown = set()
    del made.rig.levels["ups"]
    made.tick(ticks=3)
    assert made.open() == ["ups"]


def test_a_contact_may_mean_well_when_it_is_off():
    contacts = {"inputs": {"door": {"kind": "door", "safe_when": False}}, "heartbeat": None, "crowbar": None}
    assert chain(contacts=contacts).open() == ["door"]


# Heartbeat.


def beating(**sections):
    made = chain(**sections)
    made.wiring.begin_heartbeat(made.rig.now_s)
    made.tick(ticks=20)
    return made


def test_the_heartbeat_stands_still_until_a_command_begins_it():
    made = chain(ticks=100)
    assert made.edges() == []


def test_begun_it_changes_every_fifth_of_the_relay_s_time():
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(beating().edges())]
    assert max(gaps) < 0.16
    assert len(gaps) >= 8


def test_nothing_beats_between_ticks():
    made = beating()
    count = len(made.edges())
    made.tick(ticks=50, whole=False)
    assert len(made.edges()) == count


def test_a_latched_fault_ends_it_and_it_does_not_begin_again_by_itself():
    made = beating()
    made.state = S.FAULT_LATCHED
    made.tick()
    count = len(made.edges())
    made.state = S.STANDBY
    made.tick(ticks=100)
    assert len(made.edges()) == count
    made.wiring.acknowledge(verified=True, now_s=made.rig.now_s)
    made.tick(ticks=10)
    assert len(made.edges()) > count


def test_a_loop_that_stood_still_ends_it():
    made = beating()
    made.rig.now_s += 0.45
    made.tick()
    assert "between two ticks" in made.wiring.heartbeat_ended


def test_a_command_to_begin_at_the_head_of_a_late_tick_changes_no_level_in_it():
    made = beating()
    made.rig.now_s += 0.45
    made.tick()
    level = made.rig.levels["heartbeat"]
    made.rig.now_s += 0.45
    made.wiring.begin_heartbeat(made.rig.now_s + 0.05)  # requests are served before the tick
    made.tick()
    assert made.rig.levels["heartbeat"] is level
    made.tick()
    assert made.wiring.heartbeat.beating


def test_a_loop_whose_ticks_stay_late_never_begins_it_and_says_so():
    made = chain()
    made.wiring.begin_heartbeat(made.rig.now_s)
    for _ in range(4):
        made.rig.now_s += 0.45
        made.tick()
    assert made.edges() == []
    assert "no good tick" in made.wiring.heartbeat_ended


@pytest.mark.parametrize("lost", ["arrive", "module"])
def test_beats_that_do_not_arrive_end_it_within_the_relay_s_time(lost):
    made = beating()
    made.rig.beats_arrive = lost != "arrive"
    made.rig.unknown = {"dio"} if lost == "module" else set()
    made.tick(ticks=10)
    assert made.wiring.heartbeat_ended
    made.rig.beats_arrive, made.rig.unknown = True, set()
    made.tick(ticks=100)
    assert made.wiring.heartbeat_ended


def test_its_relay_is_given_time_to_pick_up_and_no_more():
    made = chain()
    made.rig.levels["relay"] = False
    made.tick(ticks=3)
    assert made.open() == ["relay"]
    made.wiring.begin_heartbeat(made.rig.now_s)
    made.tick(ticks=3)
    assert made.open() == []
    made.tick(ticks=120)
    assert made.open() == ["relay"]


def test_a_relay_that_drops_out_after_it_picked_up_is_open_at_once():
    made = chain()
    made.wiring.begin_heartbeat(made.rig.now_s)
    made.tick(ticks=3)
    made.rig.levels["relay"] = False
    made.tick(ticks=2)
    assert made.open() == ["relay"]


# Crowbar.


@pytest.mark.parametrize(
    ("cause", "closes"), [("interlock", True), ("valve", True), ("arc", True), ("", False)]
)
def test_a_latched_fault_closes_the_crowbar_for_the_causes_of_the_configuration(cause, closes):
    made = chain()
    made.state = S.FAULT_LATCHED
    made.tick(cause)
    assert made.rig.levels["crowbar"] is closes


def test_an_interlock_that_only_ramps_down_leaves_the_crowbar_open():
    made = chain()
    made.state = S.RAMPING_DOWN
    made.tick("interlock")
    assert not made.rig.levels["crowbar"]


def test_it_stays_closed_until_a_person_acknowledges_and_everything_is_verified_down():
    made = chain()
    made.state = S.FAULT_LATCHED
    made.tick("arc")
    made.state = S.STANDBY
    made.tick(ticks=50)
    assert made.rig.levels["crowbar"]
    with pytest.raises(StateError, match="crowbar stays closed"):
        made.wiring.acknowledge(verified=False, now_s=made.rig.now_s)
    made.wiring.acknowledge(verified=True, now_s=made.rig.now_s)
    made.tick()
    assert not made.rig.levels["crowbar"]


def test_a_crowbar_found_closed_is_left_closed_and_speaks_against_a_run():
    made = Chain()
    made.rig.levels["crowbar"] = True
    made.tick(ticks=50)
    assert made.rig.levels["crowbar"]
    assert any("crowbar" in reason for reason in made.wiring.against_run())


def test_an_abort_closes_it_where_the_configuration_says_so():
    made = chain()
    made.wiring.abort()
    made.tick()
    assert made.rig.levels["crowbar"]


# The detector's supplies beside the specimen.


def detecting():
    made = chain()
    made.wiring.turn_detector_on([], made.rig.now_s)
    made.tick(ticks=300)
    assert made.wiring.detector.state is DetectorState.ON
    return made


def test_a_valve_brings_the_detector_down_at_once_whatever_the_specimen_does():
    made = detecting()
    made.rig.levels["valve"] = False
    made.tick(ticks=2)
    assert made.wiring.detector.state is DetectorState.FAULT
    assert not any(one.on for one in made.rig.supplies.values())


def test_a_detector_cause_puts_the_detector_before_the_specimen():
    made = detecting()
    made.state, made.quick, made.verified = S.FAULT_LATCHED, True, False
    made.tick("detector")
    assert set(made.decision.make_safe) == {"mcp", "signal", "reference"}


def test_any_other_fault_leaves_the_detector_until_the_specimen_is_verified_down():
    made = detecting()
    made.state, made.quick, made.verified = S.FAULT_LATCHED, True, False
    made.tick("readback", ticks=50)
    assert made.wiring.detector.state is DetectorState.ON
    made.verified = True
    made.tick(ticks=300)
    assert made.wiring.detector.state is DetectorState.OFF


def test_on_battery_the_detector_follows_the_specimen_and_stays_down():
    made = detecting()
    made.rig.levels["ups"] = False
    made.state, made.verified = S.RAMPING_DOWN, False
    made.tick(ticks=50)
    assert made.wiring.detector.state is DetectorState.ON
    made.state, made.verified = S.SAFE, True
    made.tick(ticks=300)
    assert made.wiring.detector.state is DetectorState.OFF
    with pytest.raises(StateError, match="on battery"):
        made.wiring.turn_detector_on([], made.rig.now_s)


def test_a_run_wants_closed_contacts_and_a_detector_that_is_on():
    made = chain()
    made.rig.levels["door"] = False
    made.tick(ticks=2)
    text = "; ".join(made.wiring.against_run())
    assert "'door' is open" in text
    assert "turn it on first" in text
    assert detecting().wiring.against_run() == []


def test_a_start_before_the_module_was_read_is_no_reason_to_bring_the_detector_down():
    made = Chain()
    made.rig.unknown = {"dio"}
    made.tick(ticks=20)
    assert made.wiring.detector.state is DetectorState.OFF
    assert "UNKNOWN" in "; ".join(made.wiring.against_run())
    assert made.wiring.contacts.acting() == []


def test_a_module_that_does_not_come_in_time_is_an_open_contact():
    made = Chain()
    made.rig.unknown = {"dio"}
    made.tick(ticks=50)
    assert len(made.wiring.contacts.acting()) == 5


def test_safe_levels_do_not_open_a_crowbar_that_is_closed():
    made = chain()
    made.state = S.FAULT_LATCHED
    made.tick("arc")
    plan = made.wiring.complete(Decision(state=made.state, make_safe=("dio", "hv")), whole=True)
    assert plan.make_safe == ("hv",)
