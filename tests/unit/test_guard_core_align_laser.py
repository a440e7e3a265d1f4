"""Aligning in laser mode: pulses come once the voltage is capped, and never at more than the energy that is set."""

from evapd.guard.energy import EnergyState as S
from support.laser_bench import ENERGY_PJ, LaserBench, laser_rig


def aligning():
    bench = LaserBench(rig=laser_rig(control={"v_start_v": 1900})).evaporating()
    bench.run_s(5.0)
    stood_v = bench.v_set_v
    bench.core.pause(bench.now_s)
    bench.run_s(2.0)
    bench.core.align(bench.now_s)
    return bench, stood_v


def test_the_light_comes_only_once_the_voltage_is_capped():
    bench, stood_v = aligning()
    began_s = bench.now_s
    while not bench.enabled:
        assert bench.now_s - began_s < 5.0
        bench.tick()
    assert bench.state is S.ALIGNING
    assert bench.v_v < 0.5 * stood_v * 1.03
    bench.run_s(1.0)
    assert bench.shutter_open
    assert bench.decision.pulse_energy_pj == ENERGY_PJ


def test_the_law_is_not_asked_while_aligning():
    bench, _ = aligning()
    bench.run_s(2.0)
    v_v, bench.core.steering.pilot.law = bench.v_set_v, None
    bench.run_s(3.0)
    assert (bench.state, bench.v_set_v) == (S.ALIGNING, v_v)
    assert not bench.core.steering.pilot.failures


def test_a_silent_tdc_ends_an_alignment_in_a_pause():
    bench, _ = aligning()
    bench.run_s(2.0)
    bench.silent_tdc = True
    bench.until(S.PAUSED, 1.0)
    bench.silent_tdc = False
    bench.run_s(2.0)
    assert bench.state is S.PAUSED
    assert not bench.enabled
