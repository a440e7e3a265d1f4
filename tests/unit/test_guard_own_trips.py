"""A supply that trips by itself, in each state; and a crowbar that closes only when energy must go, never before the pulses are off."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.errors import StateError
from evapd.guard.energy import EnergyState
from support.guard_bench import DIGEST, Bench
from support.wired_bench import D, S, WiredBench


def in_state(state: S) -> Bench:
    """A bench that has come to a state the way a day brings it."""
    bench = Bench(threshold_v=1600.0)
    if state is S.RAMPING:
        bench.begin().run_s(2.0)
        assert bench.state is state
        return bench
    bench.evaporating().run_s(1.0)
    if state in (S.HOLDING, S.ALIGNING):
        bench.core.hold(True, bench.now_s)
    if state is S.ALIGNING:
        bench.run_s(1.0)
        bench.core.align(bench.now_s)
    if state is S.PAUSED:
        bench.core.pause(bench.now_s)
    if state is S.INHIBITED:
        bench.core.inhibit(True, bench.now_s)
    bench.run_s(2.0)
    assert bench.state is state
    return bench


def trip(bench: Bench, *, told: bool) -> None:
    """The output is gone and stays so, whatever is set; a supply may or may not say that it has tripped."""
    bench.follows = False
    if told:
        bench.state_flags = {"tripped": True}


LIVE = [S.RAMPING, S.EVAPORATING, S.HOLDING, S.PAUSED, S.ALIGNING, S.INHIBITED]


@pytest.mark.parametrize("state", LIVE)
@pytest.mark.parametrize("told", [True, False])
def test_a_trip_latches_in_every_state_with_a_voltage_and_nothing_comes_back_by_itself(state, told):
    bench = in_state(state)
    trip(bench, told=told)
    bench.until(S.FAULT_LATCHED, 0.11 if told else 1.5)
    assert not bench.enabled
    bench.follows, bench.state_flags = True, {}
    count = len(bench.decisions)
    bench.run_s(10.0)
    assert bench.state is S.FAULT_LATCHED
    assert bench.v_v < 50.0
    assert not any(one.output or one.pulser_enable for one in bench.decisions[count:])


def test_a_trip_while_outputs_are_switched_on_latches():
    bench = Bench(threshold_v=1600.0).begin()
    assert bench.core.movement.preparing
    trip(bench, told=True)
    bench.until(S.FAULT_LATCHED, 0.11)


def test_a_trip_on_the_way_down_is_a_way_down():
    bench = in_state(S.EVAPORATING)
    bench.core.run_end("done", bench.now_s)
    bench.tick()
    trip(bench, told=True)
    bench.until(S.SAFE, 5.0)


@pytest.mark.parametrize("state", [S.STANDBY, S.SAFE])
def test_a_trip_while_nothing_stands_refuses_the_next_run(state):
    bench = Bench()
    bench.until(S.STANDBY, 2.0)
    if state is S.SAFE:
        bench.core.abort("x", bench.now_s)
        bench.until(S.SAFE, 3.0)
    bench.state_flags = {"tripped": True}
    bench.run_s(2.0)
    assert bench.state is state
    with pytest.raises(StateError, match="has tripped"):
        bench.core.run_begin("run-1", DIGEST, bench.now_s)


CROWBAR = st.sampled_from(["door", "valve", "water", "ups", "abort", "stop", "trip", "hold", "wait"])


@settings(max_examples=4, deadline=None)
@given(st.lists(CROWBAR, min_size=1, max_size=5))
def test_the_crowbar_closes_only_with_the_pulses_off_and_for_a_latched_cause_or_an_abort(doings):
    bench = WiredBench(threshold_v=1600.0).wired_run()
    aborted = False
    for doing in doings:
        if doing in bench.wired.levels:
            bench.wired.levels[doing] = False
        elif doing == "abort":
            aborted = True
            bench.core.abort("x", bench.now_s)
        elif doing == "stop":
            bench.core.run_end("x", bench.now_s)
        elif doing == "trip":
            bench.state_flags = {"tripped": True}
        elif doing == "hold" and bench.state is S.EVAPORATING:
            bench.core.hold(True, bench.now_s)
        count = len(bench.decisions)
        bench.run_s(0.3)
        for decision in bench.decisions[count:]:
            if decision.crowbar:
                assert decision.pulser_enable is False
                assert aborted or decision.state is EnergyState.FAULT_LATCHED
                assert decision.output is not True
                assert not decision.v_dc_v
    assert bench.core.wiring.detector.state in D
