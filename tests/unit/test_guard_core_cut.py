"""A trip of the rate ceiling draws the voltage down by a quarter, as fast as the supply falls, and then goes on."""

import pytest

from evapd.guard.drawdown import Drawdown
from evapd.guard.energy import EnergyState as S
from support.guard_bench import Bench, make_rig

STOOD_V = 2000.0


def tripped(tau_s):
    rig = make_rig(guard={"hv_tau_down_s": tau_s}, control={"v_start_v": 1900})
    bench = Bench(rig=rig, tau_down_s=tau_s, threshold_v=STOOD_V).evaporating()
    bench.run_s(8.0)
    stood_v, bench.burst = bench.v_set_v, 30.0
    began_s = bench.now_s
    while bench.enabled:
        assert bench.now_s - began_s < 0.1
        bench.advance(0.01)
        bench.carry_out(bench.core.react(bench.inputs([bench.record()]), bench.now_s))
    bench.burst = 1.0
    return bench, stood_v


@pytest.mark.parametrize("tau_s", [0.5, 2.0, 5.0])
def test_a_slow_supply_is_told_zero_and_called_back_at_a_quarter(tau_s):
    bench, stood_v = tripped(tau_s)
    assert bench.v_set_v < 0.06 * stood_v
    while bench.core.steering.drawdown.active:
        bench.tick()
    assert bench.v_v == pytest.approx(0.75 * stood_v, rel=0.01)
    assert bench.v_set_v == pytest.approx(bench.v_v, rel=0.01)


@pytest.mark.parametrize("tau_s", [0.05, 0.5, 5.0, 20.0])
def test_neither_readback_nor_excess_trips_on_a_cut_that_goes_as_modelled(tau_s):
    bench, _ = tripped(tau_s)
    bench.run_s(20.0)
    assert bench.state is S.EVAPORATING
    assert bench.core.alarms.texts() == []
    assert bench.v_v == pytest.approx(STOOD_V, rel=0.02)


def test_pulses_stay_off_until_a_slow_supply_is_down():
    bench, stood_v = tripped(5.0)
    began_s = bench.now_s
    while not bench.enabled:
        assert bench.now_s - began_s < 3.0
        bench.tick()
    assert bench.v_v <= 0.76 * stood_v


def test_a_supply_that_hardly_falls_is_held_for_a_person():
    bench, _ = tripped(0.5)
    bench.tau_down_s = bench.core.movement.model.tau_down_s = 1e6  # else the rule on excess ends it sooner
    bench.until(S.HOLDING, 10.0)
    assert any("did not come down" in what for what in bench.said("energy"))


def test_pulses_do_not_return_after_the_cut_while_a_person_s_inhibit_stands():
    bench, _ = tripped(0.5)
    bench.core.inhibit(True, bench.now_s)
    bench.run_s(10.0)
    assert bench.state is S.INHIBITED


def test_the_law_is_told_how_far_the_rate_was_off_its_own_target():
    bench = Bench(rig=make_rig(control={"v_start_v": 1900}), threshold_v=STOOD_V).evaporating()
    bench.run_s(8.0)
    bench.core.pause(bench.now_s)
    bench.run_s(1.0)
    bench.core.resume(bench.now_s)
    told = []
    bench.core.steering.pilot.law.inhibited = lambda now_s, ratio: told.append(ratio)
    share = bench.core.steering.ease.share
    bench.core.steering.trip(bench.now_s, 12.0)
    assert told == [pytest.approx(12.0 / share)]


def test_a_drawdown_that_is_read_below_its_goal_stays_at_the_reading():
    drawdown = Drawdown(tau_down_s=0.5, horizon_s=0.1)
    drawdown.begin(1000.0, 750.0, 0.0)
    assert drawdown.follow(740.0, 0.02) == 740.0
    assert not drawdown.active


def test_a_drawdown_never_asks_for_more_than_its_goal():
    drawdown = Drawdown(tau_down_s=0.05, horizon_s=0.1)
    drawdown.begin(1000.0, 750.0, 0.0)
    for v_v in (1000.0, 900.0, 800.0, 760.0):
        drawdown.follow(v_v, 0.5)
        assert 0.0 <= drawdown.command_v <= 750.0
