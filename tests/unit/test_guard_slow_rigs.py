"""Rigs with other clocks: 1 and 10 kHz lasers, ticks of 20 and 100 ms, a supply that needs 150 ms for each reading."""

import pytest

from evapd.guard.energy import EnergyState as S
from support.guard_bench import make_rig
from support.slow_bench import SlowBench

SLOW_LINE = {"reads_s": 0.15, "takes_s": 0.15}
RIGS = [
    pytest.param({"tick_s": 0.02}, {}, id="20 ms"),
    pytest.param({"tick_s": 0.1}, {}, id="100 ms"),
    pytest.param({}, SLOW_LINE, id="9600 baud"),
    pytest.param({"tick_s": 0.1}, SLOW_LINE, id="100 ms at 9600 baud"),
]


def running(control, line, pulse_hz=200e3, threshold_v=1600.0, **guard) -> SlowBench:
    rig = make_rig(control=control, pulse={"rate_hz": pulse_hz}, guard=guard)
    bench = SlowBench(rig=rig, threshold_v=threshold_v, seed=5, **line)
    bench.rate_hz = pulse_hz
    return bench.evaporating()


@pytest.mark.parametrize(("control", "line"), RIGS)
def test_a_quiet_run_with_a_pause_trips_nothing_and_ends_verified(control, line):
    bench = running(control, line)
    bench.run_s(5.0)
    bench.core.pause(bench.now_s)
    bench.run_s(3.0)
    bench.core.resume(bench.now_s)
    bench.until(S.EVAPORATING, 5.0)
    bench.run_s(3.0)
    bench.core.run_end("done", bench.now_s)
    bench.until(S.SAFE, 20.0)
    assert bench.rules() == set()


@pytest.mark.parametrize(("control", "line"), RIGS)
@pytest.mark.parametrize("tau_down_s", [0.05, 0.5, 5.0])
def test_a_trip_is_cut_off_in_50_ms_and_comes_back_by_itself_without_a_fault(control, line, tau_down_s):
    bench = running(control, line, hv_tau_down_s=tau_down_s)
    bench.tau_down_s = bench.core.movement.model.tau_down_s = tau_down_s
    bench.run_s(2.0)
    v_v, bench.burst, began_s = bench.v_v, 100.0, bench.now_s
    bench.until(S.INHIBITED, 0.3)
    assert bench.now_s - began_s <= max(0.051, control.get("tick_s", 0.0) + 1e-6)
    bench.burst = 1.0
    bench.until(S.EVAPORATING, 10.0)
    assert bench.rules() == {"rate-ceiling"}
    assert 0.5 * v_v < bench.v_v < 0.8 * v_v


@pytest.mark.parametrize(
    ("pulse_hz", "target_rate"), [(1e3, 0.01), (1e3, 0.004), (10e3, 0.001), (10e3, 0.01)]
)
def test_at_few_pulses_the_ceiling_still_is_ten_times_the_target(pulse_hz, target_rate):
    bench = running({"target_rate": target_rate, "law": "hold"}, {}, pulse_hz)
    bench.threshold_v = 1600.0 * (0.01 / target_rate) ** (1.0 / 60.0)
    bench.run_s(5.0)
    assert "rate-ceiling" not in bench.rules()
    bench.burst = 14.0
    bench.until(S.INHIBITED, 2.5)
    assert "rate-ceiling" in bench.rules()


def test_a_laser_of_1_khz_holds_ten_hits_a_second_for_minutes_and_no_rule_speaks():
    bench = running({"target_rate": 0.01, "law": "imm", "v_start_v": 1500}, {}, 1e3)
    bench.run_s(120.0)
    assert bench.state is S.EVAPORATING
    assert bench.rules() == set()
