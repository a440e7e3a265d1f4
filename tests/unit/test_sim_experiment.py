"""The whole simulated instrument in virtual time: what its words and its truth must obey."""

import math
from typing import Any

import numpy as np
import pytest

from evapd_sim.cryostat import Cryostat
from evapd_sim.experiment import Experiment
from evapd_sim.plant import Plant
from evapd_sim.settings import CryostatTwin
from evapd_sim.step import StepResult
from support.sim_rig import ANODE, QUIET, energise, experiment, threshold_v

NO_CASCADES = {"probability": 0.0}


def run(source: Experiment, steps: int, dt_s: float = 0.005) -> list[StepResult]:
    return [source.step(dt_s) for _ in range(steps)]


def at_threshold(**settings: Any) -> Experiment:
    source = experiment(**settings)
    energise(source, threshold_v(source))
    return source


def joined(results: list[StepResult], name: str) -> np.ndarray:
    return np.concatenate([getattr(result.truth, name) for result in results])


def rate(results: list[StepResult]) -> float:
    pulsed = sum(int(result.truth.pulsed.sum()) for result in results)
    return pulsed / sum(result.pulses for result in results)


def test_the_reference_rate_is_detected_at_the_threshold() -> None:
    found = rate(run(at_threshold(detector=QUIET, multi_hit=NO_CASCADES), 1000))
    assert found == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("wanted", [40.0, 100.0])
def test_the_counted_rate_rises_with_voltage_by_the_wanted_sensitivity(wanted: float) -> None:
    counts = []
    for factor in (0.99, 1.01):
        tip = {"sensitivity": wanted, "shank_angle_deg": 0.0}  # a wire does not blunt
        source = experiment(specimen=tip, detector={**QUIET, "saturation_ions": 1e6})
        energise(source, factor * threshold_v(source))
        counts.append(rate(run(source, 400, 0.02)))
    assert math.log(counts[1] / counts[0]) / math.log(1.01 / 0.99) == pytest.approx(wanted, rel=0.06)


def test_a_fifth_of_the_hits_come_from_the_standing_voltage_and_are_spread_over_the_period() -> None:
    results = run(at_threshold(detector=QUIET), 1500)
    pulsed = joined(results, "pulsed")
    assert np.mean(~pulsed) == pytest.approx(1 / (1 + 4.4), rel=0.06)
    spread = joined(results, "tof_ps")[~pulsed] % 5e6
    assert np.histogram(spread, 5, (0, 5e6))[0].std() / len(spread) < 0.02


def test_with_pulses_inhibited_the_tip_still_evaporates_and_the_tdc_still_counts() -> None:
    source = at_threshold(detector=QUIET)
    source.plant.trigger.inhibit_input = True
    results = run(source, 200)
    assert all(result.inhibited == result.pulses == 1000 for result in results)
    assert joined(results, "pulsed").sum() == 0
    assert sum(result.truth.hits for result in results) > 100


def test_without_triggers_the_tip_evaporates_unrecorded() -> None:
    source = at_threshold()
    source.plant.trigger.running = False
    before = source.specimen.radius_nm
    results = run(source, 200)
    assert sum(result.pulses + len(result.times) for result in results) == 0
    assert sum(result.truth.evaporated for result in results) > 100
    assert source.specimen.radius_nm > before


def test_pulses_are_counted_without_loss_over_uneven_steps() -> None:
    source = experiment(detector=QUIET)
    dts = np.random.default_rng(3).uniform(0.0005, 0.05, 400)
    pulses = sum(source.step(float(dt)).pulses for dt in dts)
    assert pulses == pytest.approx(dts.sum() * 200_000, abs=1.0)


def test_words_are_ascending_within_the_step_and_on_known_channels() -> None:
    for result in run(at_threshold(), 200):
        key = (result.pulse_offsets.astype(np.int64) << 32) + result.times
        assert (np.diff(key) >= 0).all()
        assert len(result.times) == 0 or result.pulse_offsets.max() < result.pulses
        assert (result.channels <= 4).all()
        assert (result.times >= 0).all()


def test_the_mcp_words_are_the_true_arrivals_within_half_a_bin() -> None:
    source = at_threshold(detector={**QUIET, "jitter_ps": 0, "dead_time_ps": 0}, multi_hit=NO_CASCADES)
    result = source.step(0.005)
    truth = result.truth
    expected = truth.pulse * 5e6 + truth.tof_ps
    mcp = result.channels == 0
    words = result.pulse_offsets[mcp] * 5e6 + result.times[mcp] * float(source.bin_ps)
    assert np.abs(words[:, None] - expected[None, :]).min(axis=1).max() <= 0.51 * float(source.bin_ps)


def words_per_ion(dead_time_ps: float) -> float:
    source = at_threshold(
        detector={**QUIET, "jitter_ps": 0, "dead_time_ps": dead_time_ps}, multi_hit={"probability": 0.4}
    )
    results = run(source, 400)
    return sum(len(r.times) for r in results) / sum(r.truth.hits for r in results)


def test_dead_time_costs_the_partners_of_multiple_hits_their_words() -> None:
    assert words_per_ion(0.0) == pytest.approx(5.0, rel=0.01)
    assert words_per_ion(20_000.0) < words_per_ion(5_000.0) < 4.9


def test_heavy_ions_at_low_voltage_wrap_into_a_later_pulse() -> None:
    source = experiment(
        specimen={"composition": {"W": 1.0}, "field_v_per_nm": 3.0, "radius_nm": 10.0},
        detector={**QUIET, "jitter_ps": 0, "dead_time_ps": 0},
    )
    energise(source, threshold_v(source))
    results = run(source, 100)
    tof = joined(results, "tof_ps")[joined(results, "pulsed")]
    assert (tof > 5e6).mean() > 0.9
    assert all((r.times * float(source.bin_ps) <= 5e6 + 10).all() for r in results)
    assert sum(len(r.times) for r in results) == pytest.approx(
        5 * sum(r.truth.hits for r in results), rel=0.01
    )


def same(a: StepResult, b: StepResult) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("pulse_offsets", "channels", "times")
    )


def test_one_seed_gives_one_experiment_and_another_seed_another() -> None:
    first, again, other = (run(at_threshold(seed=seed), 50) for seed in (7, 7, 8))
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not all(same(a, b) for a, b in zip(first, other, strict=True))


def test_a_supply_rises_fast_and_falls_slowly() -> None:
    source = experiment(supplies={"tau_up_s": 0.05, "tau_down_s": 0.5})
    supply = source.plant.specimen
    supply.demand_v = 1000.0
    run(source, 20)
    risen = supply.v_v
    supply.demand_v = 0.0
    run(source, 20)
    assert risen == pytest.approx(1000 * (1 - math.exp(-2)), rel=1e-6)
    assert supply.v_v == pytest.approx(risen * math.exp(-0.2), rel=1e-6)


def test_the_rate_follows_the_temperature_of_the_tip() -> None:
    source = at_threshold(detector=QUIET, specimen={"shank_angle_deg": 0.0})
    cold = rate(run(source, 200))
    source.plant.temperature_k.update(A=53.0, B=55.0)
    assert rate(run(source, 200)) > 2.5 * cold


def test_the_stage_follows_the_set_point_and_the_tip_the_stage() -> None:
    plant = Plant()
    cryostat = Cryostat(CryostatTwin(), plant, tip_k=50.0)
    assert cryostat.advance(1.0) == pytest.approx(50.0)
    plant.temperature_setpoint_k += 5.0
    tips_k = [cryostat.advance(0.1) for _ in range(6000)]
    assert plant.temperature_k["A"] == pytest.approx(53.0, abs=0.01)
    assert tips_k[-1] == pytest.approx(55.0, abs=0.01)
    assert tips_k[100] < 51.0


def test_a_runaway_is_reported_as_saturated_and_stays_within_the_ceiling() -> None:
    source = experiment()
    energise(source, 1.5 * threshold_v(source))
    result = source.step(0.005)
    assert result.saturated
    assert result.truth.evaporated < 4.0e6 * 0.005 * 2.2
    assert result.truth.hits / result.pulses < 4.0


def test_a_laser_pulse_heats_and_the_pulse_supply_does_nothing() -> None:
    source = experiment(mode="laser", energy_pj=40.0, detector=QUIET)
    energise(source, threshold_v(source, fraction=0.0))
    results = run(source, 200)
    assert rate(results) == pytest.approx(0.01, rel=0.1)
    assert all(result.truth.v_p_v == 0.0 for result in results)
    source.laser_energy_pj = 20.0
    assert rate(run(source, 200)) < 0.001


def spectrum(composition: dict[str, float], steps: int) -> tuple[np.ndarray, Experiment]:
    """Mass-to-charge ratios in Da of the pulsed ions, from their true times through the published formula."""
    source = at_threshold(
        specimen={"composition": composition, "sensitivity": 100.0},
        detector={**QUIET, "efficiency": 0.9},
        multi_hit=NO_CASCADES,
    )
    v_v = 1.015 * (1 + 0.7 * 0.2) * source.plant.specimen.v_v
    results = run(source, steps, 0.05)
    pulsed = joined(results, "pulsed")
    seconds = (joined(results, "tof_ps")[pulsed] - 38_000.0) * 1e-12
    length2 = 0.110**2 + (joined(results, "x_mm")[pulsed] ** 2 + joined(results, "y_mm")[pulsed] ** 2) * 1e-6
    return 2 * 1.602176634e-19 * v_v * seconds**2 / length2 / 1.66053906892e-27, source


def test_t2_peaks_lie_where_isotopes_and_charges_put_them() -> None:
    mass, _ = spectrum({"Al": 0.3, "Fe": 0.3, "W": 0.35, "H": 0.05}, 200)
    for expected in (1.008, 26.982, 27.967, 60.65, 61.32, 61.98):
        near = mass[np.abs(mass - expected) < 0.25]
        counts, edges = np.histogram(near, bins=50)
        peak = edges[counts.argmax()] + 0.5 * (edges[1] - edges[0])
        assert abs(peak - expected) < 0.05, f"peak of {expected} Da found at {peak:.3f} Da"


def test_t2_isotopes_of_tungsten_come_in_their_ratio_within_counting_statistics() -> None:
    source = at_threshold(specimen={"composition": {"W": 1.0}}, detector=QUIET, multi_hit=NO_CASCADES)
    rows = joined(run(source, 200, 0.05), "species")
    names = source.species.names
    counts = {a: int((rows == names.index(f"{a}W3+")).sum()) for a in (182, 183, 184, 186)}
    total = sum(counts.values())
    for isotope, abundance in {182: 0.2650, 183: 0.1431, 184: 0.3064, 186: 0.2843}.items():
        expected = abundance / 0.9988 * total
        assert abs(counts[isotope] - expected) < 3 * math.sqrt(expected), (isotope, counts)


def test_t2_the_main_peak_leans_to_heavier_masses_in_voltage_mode() -> None:
    mass, _ = spectrum({"Al": 1.0}, 60)
    peak = mass[(mass > 26.5) & (mass < 28.5)]
    mode = 26.982
    assert np.percentile(peak, 95) - mode > 3 * (mode - np.percentile(peak, 5))


def test_a_plain_proportional_rule_holds_the_target_in_virtual_time() -> None:
    source = experiment()
    v, rates = 0.9 * threshold_v(source), []
    energise(source, v)
    for _ in range(600):
        hits = pulses = 0
        for result in run(source, 10):
            window = (result.times[result.channels == 0] * float(source.bin_ps) < 1.5e6).sum()
            hits, pulses = hits + int(window), pulses + result.pulses
        rates.append(hits / pulses)
        v *= 1.0 + min(0.3 * math.log(0.01 / max(rates[-1], 0.001)) / 60.0, 0.002)
        source.plant.specimen.demand_v, source.plant.pulse.demand_v = v, 0.2 * v / 21.875
    settled = np.array(rates[300:])
    assert settled.mean() == pytest.approx(0.01, rel=0.05)
    assert settled.std() / settled.mean() < 0.3


def test_the_detector_of_the_anode_file_is_used_where_the_twin_says_nothing_else() -> None:
    source = at_threshold(detector=QUIET, multi_hit={"probability": 0.4})
    assert ANODE.dead_time_ps == 10_000
    results = run(source, 200)
    assert sum(len(r.times) for r in results) < 4.8 * sum(r.truth.hits for r in results)
