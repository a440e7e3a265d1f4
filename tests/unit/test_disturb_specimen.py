"""Events of specimen, pulser and chamber: what they do to the physics, in virtual time."""

import math

import numpy as np
import pytest

from evapd.errors import ConfigError
from evapd_sim.disturb.catalogue import read_event
from evapd_sim.disturb.engine import Disturbances
from evapd_sim.disturb.event import Scene
from evapd_sim.plant import Plant
from support.disturbed import DisturbedRig, ions, pulsed_rate
from support.sim_rig import QUIET


def test_a_script_whose_events_never_come_leaves_the_stream_bit_identical() -> None:
    plain = DisturbedRig().run(0.5)
    waiting = DisturbedRig([{"do": "burst", "at_s": 1000}, {"do": "flash", "at_v_dc_v": 14e3}]).run(0.5)
    for mine, other in zip(plain, waiting, strict=True):
        for name in ("pulse_offsets", "channels", "times"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))


def test_an_abrupt_layer_changes_the_field_at_once() -> None:
    rig = DisturbedRig()
    before = pulsed_rate(rig.run(0.05))
    rig.do("layer-step", change=-0.02)
    # d ln rate / d ln F0 is minus the sensitivity, 60 at the threshold.
    assert math.log(pulsed_rate(rig.run(0.05)) / before) == pytest.approx(60 * 0.02, rel=0.1)
    assert rig.physics.specimen.field_factor == pytest.approx(0.98)


def test_a_slow_layer_is_carried_on_by_the_ions_that_leave() -> None:
    rig = DisturbedRig()
    first = rig.physics.evaporated_ions
    rig.do("layer-step", change=0.25, over_ions=2000)
    while rig.physics.evaporated_ions < 200:
        rig.run(0.01)
    share = (rig.physics.evaporated_ions - first) / 2000
    assert rig.physics.specimen.field_factor == pytest.approx(1 + 0.25 * share, abs=0.02)
    assert rig.engine.active != []


def test_two_layers_under_way_multiply() -> None:
    rig = DisturbedRig(specimen={"ceiling_ions_per_s": 1e5})
    rig.do("layer-step", change=-0.2, over_ions=100)
    rig.do("layer-step", change=-0.1, over_ions=200)
    rig.run(0.5)
    assert rig.physics.specimen.field_factor == pytest.approx(0.8 * 0.9)
    assert rig.engine.active == []


def test_pole_noise_has_the_wanted_scatter_and_memory() -> None:
    rig = DisturbedRig()
    rig.do("pole-noise", sigma=0.2, tau_s=0.1)
    seen = []
    for _ in range(6000):
        rig.engine.advance(0.005)
        seen.append(rig.physics.influence.log_rate)
    assert np.std(seen) == pytest.approx(0.2, rel=0.15)
    memory = np.corrcoef(seen[:-20], seen[20:])[0, 1]
    assert memory == pytest.approx(math.exp(-1), abs=0.12)


def test_a_walk_and_a_drift_stay_where_they_have_come_to() -> None:
    for name, values in (("rate-walk", {"per_sqrt_s": 0.5}), ("rate-drift", {"per_s": -0.2})):
        rig = DisturbedRig()
        rig.do(name, for_s=1.0, **values)
        rig.run(1.005)
        reached = rig.physics.influence.log_rate
        rig.run(0.5)
        assert reached == pytest.approx(rig.physics.influence.log_rate)
        assert reached != 0.0


def test_a_drift_goes_with_time() -> None:
    rig = DisturbedRig()
    before = pulsed_rate(rig.run(0.005))
    rig.do("rate-drift", per_s=0.5)
    assert pulsed_rate(rig.run(2.005)) / before == pytest.approx(math.e, rel=0.02)


def test_an_oscillation_swings_around_the_rate_and_ends() -> None:
    rig = DisturbedRig()
    rig.do("oscillation", amplitude=0.5, period_s=1.0, for_s=1.0)
    swing = []
    for _ in range(200):
        rig.engine.advance(0.005)
        swing.append(rig.physics.influence.log_rate)
    assert (max(swing), min(swing)) == (pytest.approx(0.5, abs=0.01), pytest.approx(-0.5, abs=0.01))
    rig.run(0.01)
    assert rig.physics.influence.log_rate == 0.0


def test_a_burst_brings_its_ions_in_its_time_at_one_spot() -> None:
    rig = DisturbedRig(detector={**QUIET, "saturation_ions": 1e9, "efficiency": 1.0})
    rig.plant.specimen.demand_v = rig.plant.specimen.v_v = 100.0  # nothing else leaves
    rig.do("burst", ions=800, for_s=0.02, spread_nm=0.5)
    results = rig.run(0.1)
    per_step = [result.truth.evaporated for result in results]
    assert per_step[:4] == [200] * 4
    assert sum(per_step) == 800
    x_mm = np.concatenate([result.truth.x_mm for result in results])
    assert len(x_mm) > 300  # a spot at the rim may miss a part of the plate
    assert x_mm.std() < 3.0


def test_a_burst_is_detected_also_while_pulses_are_inhibited() -> None:
    rig = DisturbedRig()
    rig.plant.trigger.inhibit_input = True
    rig.do("burst", ions=2000, spread_nm=0)
    results = rig.run(0.05)
    assert ions(results) >= 2000
    assert sum(result.truth.hits for result in results) > 0
    assert not any(result.truth.pulsed.any() for result in results)


def test_a_flash_goes_on_without_regard_to_pulses_and_ends_with_its_time() -> None:
    rig = DisturbedRig()
    usual = ions(rig.run(0.5))
    rig.do("flash", ions_per_s=1e5, for_s=0.5)
    assert ions(rig.run(0.5)) - usual == pytest.approx(5e4, rel=0.05)
    assert ions(rig.run(0.5)) < 3 * usual


def test_a_flash_ends_when_the_voltage_is_gone() -> None:
    rig = DisturbedRig()
    rig.do("flash", ions_per_s=1e5, for_s=100)
    rig.plant.specimen.demand_v = 0.0
    rig.run(1.0)
    assert rig.engine.active == []


@pytest.mark.parametrize(("factor", "sign"), [(1.15, -1), (0.97, 1)])
def test_a_fracture_flashes_and_then_the_rate_is_lower_or_higher(factor: float, sign: int) -> None:
    rig = DisturbedRig()
    before, radius_nm = pulsed_rate(rig.run(0.1)), rig.physics.specimen.radius_nm
    rig.do("fracture", radius_factor=factor, flash_ions=5000, flash_s=0.02)
    assert ions(rig.run(0.02)) >= 4000
    after = pulsed_rate(rig.run(0.2))
    assert rig.physics.specimen.radius_nm == pytest.approx(factor * radius_nm, rel=1e-2)
    assert sign * math.log(after / before) > 1.0


def test_a_micro_fracture_is_a_few_per_cent() -> None:
    rig = DisturbedRig()
    radius_nm = rig.physics.specimen.radius_nm
    rig.do("micro-fracture")
    rig.run(0.1)
    assert rig.physics.specimen.radius_nm / radius_nm == pytest.approx(1.05, abs=0.005)


def test_leakage_multiplies_what_leaves_between_pulses_only() -> None:
    rig = DisturbedRig()
    before = rig.run(0.05)[-1].truth
    rig.do("dc-leakage", factor=20)
    after = rig.run(0.05)[-1].truth
    assert after.dc_ions_per_s / before.dc_ions_per_s == pytest.approx(20, rel=0.05)
    assert after.ions_per_pulse == pytest.approx(before.ions_per_pulse, rel=0.05)


def test_a_pulser_that_drops_out_leaves_the_triggers_counted() -> None:
    rig = DisturbedRig()
    rig.do("pulser-dropout", for_s=0.1)
    results = rig.run(0.1)
    assert pulsed_rate(results) < 1e-4
    assert [result.pulses for result in results] == [1000] * 20
    assert pulsed_rate(rig.run(0.05)) > 1e-3


def test_triggers_that_are_lost_reach_neither_tip_nor_tdc() -> None:
    rig = DisturbedRig()
    rig.do("pulser-dropout", for_s=0.1, counted=False)
    assert sum(result.pulses for result in rig.run(0.1)) == 0
    assert sum(result.pulses for result in rig.run(0.1)) == pytest.approx(20_000, abs=1)


def test_derating_takes_amplitude_away_slowly() -> None:
    rig = DisturbedRig()
    full_v = rig.run(0.005)[0].truth.v_p_v
    rig.do("pulser-derating", factor=0.5, over_s=0.1)
    v_p_v = [result.truth.v_p_v / full_v for result in rig.run(0.2)]
    assert v_p_v[10] == pytest.approx(0.75, abs=0.01)
    assert v_p_v[-1] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "values", "heating"),
    [
        ("laser-drift", {"factor": 1.5, "over_s": 0.1}, 1.5),
        ("beam-walk", {"offset_um": 3, "waist_um": 3, "over_s": 0.1}, math.exp(-2)),
        ("pulser-dropout", {"for_s": 10}, 0.0),
    ],
)
def test_laser_events_change_the_heating_of_the_apex(name: str, values: dict, heating: float) -> None:
    rig = DisturbedRig(mode="laser", energy_pj=20.0)
    usual_k = rig.physics._heating_k(20.0)
    rig.do(name, **values)
    rig.run(0.2)
    assert rig.physics._heating_k(20.0) / usual_k == pytest.approx(heating)


def test_a_vacuum_burst_raises_pressure_and_dark_rate_and_decays() -> None:
    rig = DisturbedRig(detector={**QUIET, "dark_rate_hz": 1000})
    rig.plant.specimen.demand_v = rig.plant.specimen.v_v = 0.0
    usual, base_pa = sum(result.truth.hits for result in rig.run(0.5)), rig.plant.pressure_pa[1]
    rig.do("vacuum-burst", peak_pa="1e-6 mbar", tau_s=0.5, dark_factor=50)
    assert rig.plant.pressure_pa[1] == pytest.approx(1e-4)
    # The mean of the decay over the first time constant is 1 - 1/e.
    assert sum(result.truth.hits for result in rig.run(0.5)) / usual == pytest.approx(31.9, rel=0.15)
    assert rig.plant.pressure_pa[1] == pytest.approx(1e-4 / math.e, rel=0.05)
    rig.run(4.6)
    assert (rig.plant.pressure_pa[1], rig.physics.influence.dark_factor) == (base_pa, 1.0)


def test_a_cryostat_that_fails_warms_up_whatever_the_set_point_until_it_is_cleared() -> None:
    rig = DisturbedRig(cryostat={"stage_tau_s": 1.0, "tip_tau_s": 0.1})
    rig.do("cryostat-warm-up", to_k=100, tau_s=1.0)
    rig.run(1.0)
    assert rig.plant.temperature_k["A"] == pytest.approx(48 + 52 * (1 - math.exp(-1)), abs=0.5)
    rig.do("clear", what="cryostat-warm-up")
    rig.run(5.0)
    assert rig.plant.temperature_k["A"] == pytest.approx(48, abs=0.5)


def test_a_leak_of_heat_is_held_off_by_the_controller_in_the_end() -> None:
    rig = DisturbedRig(cryostat={"stage_tau_s": 1.0})
    rig.do("temperature-drift", k_per_s=2.0)
    rig.run(8.0)
    assert rig.plant.temperature_k["A"] == pytest.approx(50.0, abs=0.1)


def test_a_contact_and_the_inhibit_input_open_and_close() -> None:
    rig = DisturbedRig()
    rig.do("contact-open", name="door", for_s=0.05)
    rig.do("inhibit-input", for_s=0.05)
    inhibited = rig.run(0.05)[-1].inhibited
    assert (rig.plant.interlock["door"], inhibited) == (False, 1000)
    assert rig.run(0.05)[-1].inhibited == 0
    assert rig.plant.interlock["door"]


def test_a_replay_refuses_what_it_has_not() -> None:
    scene = Scene(Plant(), {}, {}, None, np.random.default_rng(0))
    engine = Disturbances(scene)
    for event in ({"do": "burst"}, {"do": "cryostat-warm-up"}, {"do": "pulser-dropout"}):
        with pytest.raises(ConfigError, match="replay"):
            engine.do(read_event(event))
    with pytest.raises(ConfigError, match="counts no ions"):
        engine.do(read_event({"do": "vacuum-burst", "at_ions": 5}))
