import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import StateError
from evapd.guard.energy import ENERGISED, ENERGISING, TABLE, EnergyEvent, EnergyMachine, EnergyState

S, E = EnergyState, EnergyEvent
REACHED_UPWARDS = {S.RAMPING, S.EVAPORATING}


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("event", list(E))
def test_every_state_answers_every_event_by_the_table_or_refuses_unchanged(state, event):
    machine = EnergyMachine()
    machine.state = state
    if (state, event) in TABLE:
        machine.move(event)
        assert machine.state is TABLE[state, event]
    else:
        with pytest.raises(StateError, match=state.label):
            machine.move(event)
        assert machine.state is state


def test_only_a_command_of_a_person_or_a_run_leads_to_a_ramp_upwards():
    ways = {(state, event) for (state, event), target in TABLE.items() if target is S.RAMPING}
    assert ways - {(S.INHIBITED, E.RELEASED)} == {way for way in ways if way[1] in ENERGISING}


def test_from_states_where_nothing_evaporates_only_commands_lead_to_evaporation():
    quiet = set(S) - REACHED_UPWARDS - {S.INHIBITED}
    ways = {event for (state, event), target in TABLE.items() if state in quiet and target in REACHED_UPWARDS}
    assert ways == ENERGISING | {E.OBSERVE}


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("event", [E.INHIBIT, E.RAMP_DOWN, E.FAULT])
def test_what_leads_to_safety_is_legal_in_every_state(state, event):
    assert TABLE[state, event] not in REACHED_UPWARDS


@pytest.mark.parametrize("event", [one for one in E if one is not E.ACKNOWLEDGE])
def test_a_latched_fault_is_left_by_an_acknowledgement_only(event):
    assert TABLE.get((S.FAULT_LATCHED, event), S.FAULT_LATCHED) is S.FAULT_LATCHED


@given(st.lists(st.sampled_from(list(E)), max_size=40))
def test_no_sequence_of_events_without_a_command_energises(events):
    machine = EnergyMachine()
    for event in events:
        if event in ENERGISING | {E.OBSERVE} or not machine.allows(event):
            continue
        machine.move(event)
        assert machine.state not in REACHED_UPWARDS


def test_every_energised_state_can_be_ramped_down_and_verified():
    for state in ENERGISED:
        assert TABLE[state, E.RAMP_DOWN] is S.RAMPING_DOWN
    assert TABLE[S.RAMPING_DOWN, E.VERIFIED_DOWN] is S.SAFE


@pytest.mark.parametrize("wanted", list(S))
def test_every_state_can_be_reached_from_the_start(wanted):
    reached = {S.OFF}
    for _ in S:
        reached |= {target for (state, _), target in TABLE.items() if state in reached}
    assert wanted in reached
