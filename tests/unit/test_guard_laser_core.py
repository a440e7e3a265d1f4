"""A run in laser mode through the whole core: what comes first, what comes last, and what never comes back by itself."""

import pytest

from evapd.errors import StateError
from evapd.guard.energy import EnergyState as S
from support.guard_bench import DIGEST
from support.laser_bench import LaserBench, laser_rig


def highest_since(bench, count):
    return max(decision.v_dc_v for decision in bench.decisions[count:] if decision.v_dc_v is not None)


def test_emission_comes_last_and_pulses_after_it():
    bench = LaserBench().evaporating()
    asked = [(name, value) for _, name, value in bench.told]
    assert asked == [
        ("laser_rate_hz", 200e3),
        ("energy_set_pj", 20.0),
        ("shutter_open", False),
        ("shutter_open", True),
        ("emission", True),
    ]
    emission_s = bench.told[-1][0]
    assert all(not decision.pulser_enable for decision in bench.decisions if decision.emission)
    first = next(sample for d in bench.decisions if d.pulser_enable and (sample := d.sample))
    assert first.t_mono_us * 1e-6 > emission_s


def test_a_laser_that_does_not_emit_ends_the_preparation():
    bench = LaserBench(warm=False).begin()
    took_s = bench.until(S.RAMPING_DOWN, 12.0)
    assert took_s == pytest.approx(10.0, abs=0.3)
    assert any("laser does not emit" in what for what in bench.said("run"))
    assert not any(decision.pulser_enable for decision in bench.decisions)


@pytest.mark.parametrize("stop", ["hold", "pause"])
def test_a_stop_by_a_person_while_outputs_are_switched_on_leaves_the_emission_to_the_resume(stop):
    bench = LaserBench().begin()
    bench.tick()
    assert bench.core.movement.preparing
    bench.core.hold(True, bench.now_s) if stop == "hold" else bench.core.pause(bench.now_s)
    bench.run_s(3.0)
    assert not bench.emission
    bench.core.resume(bench.now_s)
    bench.until(S.EVAPORATING, 20.0)
    assert bench.lit
    assert bench.v_set_v == pytest.approx(1600.0, rel=0.05)
    assert [name for _, name, _ in bench.told].count("emission") == 1


@pytest.mark.parametrize("change", [{"emission": False}, {"shutter_open": False}, {"fault": True}])
def test_a_light_that_goes_out_inhibits_and_only_a_person_brings_it_back(change):
    bench = LaserBench().evaporating()
    bench.run_s(2.0)
    count, v_v, told = len(bench.decisions), bench.v_set_v, len(bench.told)
    for name, value in change.items():
        setattr(bench, name, value)
    assert bench.until(S.INHIBITED, 1.0) <= 0.3
    bench.run_s(20.0)
    assert bench.state is S.INHIBITED
    assert bench.told[told:] == []
    assert highest_since(bench, count) <= v_v * 1.002
    bench.emission, bench.shutter_open, bench.fault = True, True, False
    bench.until(S.EVAPORATING, 3.0)
    assert "emission" not in [name for _, name, _ in bench.told[told:]]


def test_an_energy_that_is_off_freezes_the_voltage_and_its_counts_are_invalid():
    bench = LaserBench().evaporating()
    bench.run_s(2.0)
    bench.energy_scale = 0.9
    bench.run_s(0.2)
    assert bench.decision.sample.valid == 0
    bench.run_s(0.6)
    assert any("the laser gives 18 pJ" in what for what in bench.said("rule"))
    count, v_v = len(bench.decisions), bench.v_set_v
    bench.run_s(10.0)
    assert highest_since(bench, count) <= v_v
    assert bench.state is S.EVAPORATING
    bench.energy_scale = 1.0
    bench.run_s(1.0)
    assert bench.decision.sample.valid == 1


def test_the_shutter_closes_with_a_trip_and_opens_with_the_pulses():
    bench = LaserBench().evaporating()
    bench.run_s(2.0)
    bench.core.inhibit(True, bench.now_s)
    bench.run_s(0.5)
    assert (bench.enabled, bench.shutter_open, bench.emission) == (False, False, True)
    bench.core.inhibit(False, bench.now_s)
    bench.until(S.EVAPORATING, 5.0)
    bench.run_s(1.0)
    assert (bench.enabled, bench.shutter_open) == (True, True)


def test_no_volt_is_gained_while_the_shutter_is_on_its_way():
    bench = LaserBench().evaporating()
    bench.run_s(2.0)
    bench.core.inhibit(True, bench.now_s)
    bench.run_s(1.0)
    bench.core.inhibit(False, bench.now_s)
    dark = []
    while not bench.lit:
        before_v = bench.core.steering.v_set_v
        bench.tick()
        dark.append(bench.core.steering.v_set_v - before_v)
    assert max(dark) <= 0.0


def test_the_end_of_a_run_makes_the_laser_safe_at_once_and_waits_until_it_is_read():
    bench = LaserBench().evaporating()
    bench.core.run_end("enough", bench.now_s)
    bench.tick()
    assert bench.made_safe[:2] == ["trigger", "laser"]
    bench.until(S.SAFE, 10.0)
    assert (bench.emission, bench.shutter_open) == (False, False)


def test_a_laser_that_goes_on_emitting_is_never_verified():
    bench = LaserBench().evaporating()
    bench.core.abort("stop", bench.now_s)
    for _ in range(400):
        bench.tick()
        bench._pending.clear()
        bench.emission = True
    assert bench.state is not S.SAFE
    assert bench.made_safe.count("laser") > 10
    assert bench.core.movement.descent.pending(bench.inputs()) == ["laser"]


@pytest.mark.parametrize("required", [True, False])
def test_an_unknown_laser_makes_safe_whether_the_rig_needs_it_or_not(required):
    bench = LaserBench(rig=laser_rig(required=required)).evaporating()
    bench.unknown.add("laser")
    bench.run_s(0.2)
    assert bench.state is S.FAULT_LATCHED
    assert "laser" in bench.made_safe


@pytest.mark.parametrize("found", [{"emission": True}, {"shutter_open": True}])
def test_light_or_an_open_shutter_found_at_a_restart_is_brought_down(found):
    bench = LaserBench(**found)
    bench.until(S.RAMPING_DOWN, 1.0)
    assert "laser" in bench.made_safe
    bench.until(S.SAFE, 5.0)
    assert (bench.emission, bench.shutter_open) == (False, False)


def test_a_run_does_not_begin_without_an_energy():
    bench = LaserBench(rig=laser_rig(pulse={"energy_pj": None}))
    bench.until(S.STANDBY, 2.0)
    with pytest.raises(StateError, match=r"pulse\.energy_pj"):
        bench.core.run_begin("run-1", DIGEST, bench.now_s)


def test_the_loop_tells_the_energy_that_was_asked_for_and_the_one_that_was_read():
    bench = LaserBench().evaporating()
    bench.run_s(1.0)
    bench.energy_scale = 1.02
    bench.run_s(0.3)
    sample = bench.decision.sample
    assert sample.pulse_energy_set_pj == pytest.approx(20.0)
    assert sample.pulse_energy_pj == pytest.approx(20.4)


def test_while_aligning_the_laser_shines_at_a_capped_voltage_and_emission_is_never_asked_for_again():
    bench = LaserBench().evaporating()
    bench.run_s(3.0)
    stood_v, told = bench.core.steering.v_set_v, len(bench.told)
    bench.core.pause(bench.now_s)
    bench.run_s(3.0)
    assert (bench.enabled, bench.shutter_open) == (False, False)
    bench.core.align(bench.now_s)
    bench.run_s(5.0)
    assert (bench.state, bench.enabled, bench.lit) == (S.ALIGNING, True, True)
    assert bench.v_v < 0.6 * stood_v
    bench.core.resume(bench.now_s)
    bench.until(S.EVAPORATING, 30.0)
    assert bench.lit
    assert "emission" not in [name for _, name, _ in bench.told[told:]]


def test_a_light_that_goes_out_while_aligning_pauses():
    bench = LaserBench().evaporating()
    bench.core.pause(bench.now_s)
    bench.core.align(bench.now_s)
    bench.run_s(5.0)
    bench.shutter_open = False
    bench.until(S.PAUSED, 1.0)
    bench.run_s(3.0)
    assert bench.state is S.PAUSED


def test_a_lower_energy_comes_at_once_and_a_higher_one_little_by_little():
    bench = LaserBench().evaporating()
    bench.run_s(2.0)
    bench.core.set({"energy_pj": 15.0}, bench.now_s)
    bench.run_s(0.5)
    assert bench.energy_set_pj == pytest.approx(15.0)
    bench.core.set({"energy_pj": 20.0}, bench.now_s)
    bench.run_s(2.0)
    assert 15.0 < bench.energy_set_pj < 15.5
    assert [event for event in bench.events if event.kind == "segment"]
