"""The states of a run."""

import itertools

import pytest

from evapd.acquire.state import RunEvent, RunMachine, RunState
from evapd.errors import StateError


def machine_in(state: RunState) -> RunMachine:
    machine = RunMachine(lambda before, event, after: None)
    machine.state = state
    return machine


@pytest.mark.parametrize(("state", "event"), list(itertools.product(RunState, RunEvent)))
def test_every_state_meets_every_event_with_a_state_or_a_refusal_that_changes_nothing(
    state: RunState, event: RunEvent
) -> None:
    machine = machine_in(state)
    if machine.may(event):
        assert machine.move(event) in RunState
    else:
        with pytest.raises(StateError, match=event):
            machine.move(event)
        assert machine.state is state


@pytest.mark.parametrize("state", RunState)
def test_stop_always_works(state: RunState) -> None:
    assert machine_in(state).may(RunEvent.STOP)


def test_only_an_idle_daemon_starts_a_run() -> None:
    assert [state for state in RunState if machine_in(state).may(RunEvent.START)] == [RunState.IDLE]


def test_from_every_state_idle_can_be_reached() -> None:
    for state in RunState:
        reached, frontier = {state}, [state]
        while frontier:
            here = frontier.pop()
            nexts = {machine_in(here).move(event) for event in RunEvent if machine_in(here).may(event)}
            frontier += [there for there in nexts if there not in reached]
            reached |= nexts
        assert RunState.IDLE in reached
