"""Changes of settings in a run: no jump of V_tot, nothing that is known of the specimen is lost, a segment each."""

import pytest

from evapd.errors import LimitError, StateError
from evapd.guard.energy import EnergyState as S
from evapd.guard.pulse_energy import PulseEnergy
from support.guard_bench import Bench, make_rig


def running(control=None, **bench):
    rig = make_rig(control={"v_start_v": 1900} | (control or {}))
    made = Bench(rig=rig, threshold_v=2000.0, by_v_tot=True, **bench).evaporating()
    made.run_s(15.0)
    return made


def followed(bench, duration_s):
    """Lowest and highest V_tot, and rate in each half second, of the time that passes."""
    v_tot_v, rates = [], []
    for _ in range(round(duration_s / 0.5)):
        before = bench.hits, bench.pulses
        for _ in range(10):
            bench.tick()
            v_tot_v.append(bench.v_v + bench.v_p_v)
        rates.append((bench.hits - before[0]) / max(bench.pulses - before[1], 1))
    return min(v_tot_v), max(v_tot_v), rates


def segments(bench):
    return [event for event in bench.events if event.kind == "segment"]


def test_another_target_is_told_to_the_law_that_is_there():
    bench = running()
    law, count = bench.core.steering.law, len(segments(bench))
    bench.core.set({"target_rate": 0.005}, bench.now_s)
    assert bench.core.steering.law is law
    bench.run_s(15.0)
    _, _, rates = followed(bench, 5.0)
    assert sum(rates) / len(rates) == pytest.approx(0.005, rel=0.1)
    assert len(segments(bench)) == count + 1


@pytest.mark.parametrize("fraction", [0.18, 0.25])
def test_another_fraction_leaves_v_tot_and_the_rate_where_they_are(fraction):
    bench = running()
    law, v_tot_v = bench.core.steering.law, bench.v_v + bench.v_p_v
    bench.core.set({"pulse_fraction": fraction}, bench.now_s)
    low_v, high_v, rates = followed(bench, 15.0)
    assert low_v > 0.99 * v_tot_v
    assert high_v < 1.005 * v_tot_v
    assert max(rates) < 1.5 * 0.01
    assert bench.v_v == pytest.approx(v_tot_v / (1 + fraction), rel=0.01)
    assert bench.core.steering.law is law


def test_a_smaller_fraction_waits_while_nothing_is_known():
    bench = running()
    bench.core.set({"pulse_fraction": 0.18}, bench.now_s)
    bench.run_s(0.3)
    bench.temperature_k = 90.0
    bench.run_s(0.2)
    before = bench.v_set_v, bench.v_p_v
    bench.run_s(2.0)
    assert (bench.v_set_v, bench.v_p_v) == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize("change", [{"pulse_rate_hz": 100e3}, {"law": "imm"}])
def test_another_pulse_rate_or_law_begins_at_the_voltage_and_the_rate_that_are_there(change):
    bench = running()
    v_v, count = bench.v_set_v, len(segments(bench))
    bench.core.set(change, bench.now_s)
    _, _, rates = followed(bench, 10.0)
    assert max(rates) < 1.6 * 0.01
    assert bench.v_set_v == pytest.approx(v_v, rel=0.02)
    assert len(segments(bench)) == count + 1


def test_a_change_while_paused_is_in_force_after_the_resume():
    bench = running({"resume_s": 3.0})
    bench.core.pause(bench.now_s)
    bench.run_s(2.0)
    bench.core.set({"target_rate": 0.005, "pulse_fraction": 0.25}, bench.now_s)
    bench.core.resume(bench.now_s)
    bench.run_s(20.0)
    _, _, rates = followed(bench, 5.0)
    assert sum(rates) / len(rates) == pytest.approx(0.005, rel=0.15)
    assert bench.v_p_v == pytest.approx(0.25 * bench.v_v, rel=0.02)


def test_a_pulse_energy_is_refused_in_voltage_mode():
    bench = running()
    with pytest.raises(StateError, match="voltage"):
        bench.core.set({"energy_pj": 10.0}, bench.now_s)
    assert bench.core.run.energy_pj is None
    assert bench.state is S.EVAPORATING


def test_a_pulse_energy_outside_its_clamps_is_refused_and_a_higher_one_comes_slowly():
    rig = make_rig(pulse={"mode": "laser", "fraction": 0.0, "energy_pj": 10.0, "energy_max_pj": 50.0})
    energy = PulseEnergy(type("Settings", (), {"rig": rig})(), 10.0)
    with pytest.raises(LimitError, match="50 pJ"):
        energy.check(60.0)
    energy.ask(20.0)
    energy.follow(None, 1.0)
    assert energy.set_pj == pytest.approx(10.0 * 1.012)
    energy.follow(None, 0.0)
    assert energy.set_pj == pytest.approx(10.0 * 1.012)
    energy.follow(5.0, 0.0)
    assert energy.set_pj == 5.0
