"""Pause, align, resume: by a person's command, never upwards beyond nine tenths of the voltage that stood."""

from itertools import pairwise

import pytest

from evapd.errors import StateError
from evapd.guard.energy import EnergyState as S
from support.guard_bench import Bench, make_rig

STOOD_V = 2000.0


def running(control=None, guard=None, **bench):
    rig = make_rig(control={"v_start_v": 1900} | (control or {}), guard=guard or {})
    made = Bench(rig=rig, threshold_v=STOOD_V, **bench).evaporating()
    made.run_s(8.0)
    return made


def rate_over(bench, duration_s):
    before = bench.hits, bench.pulses
    bench.run_s(duration_s)
    return (bench.hits - before[0]) / (bench.pulses - before[1])


def test_a_pause_stops_the_pulses_at_once_and_lowers_the_voltage_by_pause_drop():
    bench = running()
    stood_v = bench.v_set_v
    bench.core.pause(bench.now_s)
    assert bench.tick().pulser_enable is False
    bench.run_s(3.0)
    assert bench.state is S.PAUSED
    assert bench.v_v == pytest.approx(0.88 * stood_v, rel=0.01)
    assert not bench.enabled


def test_a_pause_lasts_until_a_person_resumes():
    bench = running()
    bench.core.pause(bench.now_s)
    bench.run_s(2.0)
    v_v = bench.v_set_v
    bench.run_s(20.0)
    assert (bench.state, bench.v_set_v) == (S.PAUSED, v_v)


def test_pausing_again_lowers_no_further():
    bench = running()
    for _ in range(3):
        bench.core.pause(bench.now_s)
        bench.run_s(1.0)
        bench.core.hold(True, bench.now_s)
        bench.run_s(0.5)
    assert bench.v_set_v >= 0.87 * STOOD_V


def test_a_resume_climbs_to_nine_tenths_and_the_law_begins_with_a_fifth_of_the_target():
    bench = running()
    stood_v = bench.v_set_v
    bench.core.pause(bench.now_s)
    bench.run_s(3.0)
    bench.core.resume(bench.now_s)
    bench.until(S.EVAPORATING, 3.0)
    assert bench.v_set_v == pytest.approx(0.9 * stood_v, rel=0.005)
    assert bench.decision.sample.target_rate == pytest.approx(0.2 * 0.01)


def test_after_a_resume_the_whole_target_is_back_after_resume_s_without_a_surge():
    bench = running({"resume_s": 6.0})
    bench.core.pause(bench.now_s)
    bench.run_s(3.0)
    bench.core.resume(bench.now_s)
    highest = max(rate_over(bench, 0.5) for _ in range(36))
    assert highest < 1.3 * 0.01
    assert bench.decision.sample.target_rate == 0.01
    assert rate_over(bench, 5.0) == pytest.approx(0.01, rel=0.1)


def test_a_rise_after_a_resume_follows_the_slew_of_the_start_ramp_and_then_of_the_law():
    bench = running()
    bench.core.pause(bench.now_s)
    bench.run_s(3.0)
    count = len(bench.decisions)
    bench.core.resume(bench.now_s)
    bench.run_s(6.0)
    ticks = [one.v_dc_v for one in bench.decisions[count:] if one.sample]
    rises = [after - before for before, after in pairwise(ticks)]
    assert max(rises) <= 400 * 0.05 + 1e-6


@pytest.mark.parametrize("spoil", [("stalled", True), ("temperature_k", 90.0)])
def test_the_ramp_after_a_resume_is_frozen_by_what_freezes_the_start_ramp(spoil):
    bench = running()
    bench.core.pause(bench.now_s)
    bench.core.align(bench.now_s)
    bench.run_s(3.0)
    bench.core.resume(bench.now_s)
    bench.run_s(0.5)
    setattr(bench, *spoil)
    bench.run_s(0.3)
    v_v = bench.v_set_v
    bench.run_s(3.0)
    assert bench.state is not S.EVAPORATING
    assert bench.v_set_v == v_v


def test_pulses_wait_until_a_slow_supply_has_come_down():
    bench = running(guard={"hv_tau_down_s": 3.0}, tau_down_s=3.0)
    stood_v = bench.v_set_v
    bench.core.inhibit(True, bench.now_s)
    bench.run_s(1.0)
    bench.core.inhibit(False, bench.now_s)
    while not bench.enabled:
        assert bench.v_v > 0.9 * stood_v
        bench.tick()
    assert bench.v_v < 0.9 * stood_v * 1.025
    assert bench.core.alarms.texts() == []


def test_a_resume_opens_a_segment_that_tells_of_the_smaller_target_and_one_when_it_is_over():
    bench = running({"resume_s": 5.0})
    bench.core.pause(bench.now_s)
    bench.run_s(2.0)
    bench.core.resume(bench.now_s)
    bench.run_s(12.0)
    segments = [event for event in bench.events if event.kind == "segment"]
    first, second = (next(one for one in segments if word in one.what) for word in ("resumed", "whole"))
    assert first.details["settings"]["resume_target"] == 0.2
    assert "resume_target" not in second.details["settings"]


def test_after_trips_a_resume_does_not_climb_back_to_where_it_tripped():
    bench = running(sensitivity=1.0)
    bench.burst = 100.0
    bench.until(S.HOLDING, 15.0)
    bench.run_s(2.0)
    v_v, bench.burst = bench.v_set_v, 0.0
    bench.core.resume(bench.now_s)
    bench.until(S.EVAPORATING, 3.0)
    assert bench.v_set_v <= v_v * 1.01


def test_what_a_rule_stopped_is_not_resumed_by_hand():
    bench = running()
    bench.silent_tdc = True
    bench.run_s(0.5)
    with pytest.raises(StateError, match="goes on by itself"):
        bench.core.resume(bench.now_s)
    assert bench.state is S.INHIBITED


def test_a_person_s_inhibit_is_not_taken_back_while_a_rule_stands_against_pulses():
    bench = running()
    bench.core.inhibit(True, bench.now_s)
    bench.silent_tdc = True
    bench.run_s(0.5)
    with pytest.raises(StateError, match="TDC"):
        bench.core.resume(bench.now_s)
    assert not bench.enabled


@pytest.mark.parametrize("command", ["pause", "align", "resume"])
def test_without_a_voltage_of_its_own_there_is_nothing_to_pause_align_or_resume(command):
    bench = Bench()
    bench.run_s(0.5)
    with pytest.raises(StateError, match="standby"):
        getattr(bench.core, command)(bench.now_s)


def test_a_pause_while_the_outputs_are_switched_on_goes_on_with_that_after_the_resume():
    bench = Bench(silent_tdc=True)
    bench.run_s(0.5)
    bench.begin().run_s(0.5)
    bench.core.pause(bench.now_s)
    bench.silent_tdc = False
    bench.run_s(1.0)
    assert not bench.enabled
    bench.core.resume(bench.now_s)
    bench.until(S.EVAPORATING, 20.0)
    assert bench.enabled


def test_aligning_caps_the_voltage_at_half_of_what_stood_and_lets_no_voltage_pulses_through():
    bench = running()
    stood_v = bench.v_set_v
    bench.core.pause(bench.now_s)
    bench.run_s(1.0)
    bench.core.align(bench.now_s)
    bench.run_s(5.0)
    assert bench.state is S.ALIGNING
    assert bench.v_v == pytest.approx(0.5 * stood_v, rel=0.01)
    assert not bench.enabled


def test_aligning_never_raises_the_voltage_to_its_cap():
    bench = running({"align_v_max_v": 3000.0})
    bench.core.pause(bench.now_s)
    bench.run_s(3.0)
    v_v = bench.v_set_v
    bench.core.align(bench.now_s)
    bench.run_s(3.0)
    assert bench.v_set_v == v_v


def test_from_an_alignment_a_resume_climbs_to_nine_tenths():
    bench = running()
    stood_v = bench.v_set_v
    bench.core.hold(True, bench.now_s)
    bench.core.align(bench.now_s)
    bench.run_s(3.0)
    bench.core.resume(bench.now_s)
    took_s = bench.until(S.EVAPORATING, 10.0)
    assert took_s > 0.3 * stood_v / 400
    assert bench.v_set_v == pytest.approx(0.9 * stood_v, rel=0.01)


def test_an_inhibit_ends_an_alignment_in_a_pause_not_in_a_run():
    bench = running()
    bench.core.pause(bench.now_s)
    bench.core.align(bench.now_s)
    bench.run_s(2.0)
    v_v = bench.v_set_v
    bench.core.inhibit(True, bench.now_s)
    bench.run_s(5.0)
    assert (bench.state, bench.v_set_v) == (S.PAUSED, v_v)


def test_aligning_is_refused_while_it_evaporates():
    bench = running()
    with pytest.raises(StateError, match="evaporating"):
        bench.core.align(bench.now_s)
    assert bench.enabled
