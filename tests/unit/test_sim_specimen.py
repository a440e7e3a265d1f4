import math

import numpy as np
import pytest

from evapd_sim.elements import species_of
from evapd_sim.evaporation import Evaporation
from evapd_sim.settings import MultiHitTwin, SpecimenTwin
from evapd_sim.specimen import EvaporationRate, Specimen

EFFICIENCY = 0.6
PF = 0.2
RATE_HZ = 200_000.0
T1_VOLTAGES_V = {  # at 0, 1, 5 and 10 million detected ions, F = F0
    "Al": (1567, 1763, 2290, 2723),
    "Fe": (2722, 2972, 3697, 4324),
    "W": (4702, 5266, 6800, 8066),
}


def tip(**settings: object) -> Specimen:
    checked = SpecimenTwin.model_validate(settings)
    return Specimen(
        checked,
        species_of(checked.composition),
        efficiency=EFFICIENCY,
        pulse_temperature_k=checked.temperature_k,
    )


def rate_at(specimen: Specimen, v_dc_v: float, *, temperature_k: float = 50.0) -> EvaporationRate:
    return specimen.rate(
        v_dc_v,
        v_dc_v * (1 + PF),
        rate_hz=RATE_HZ,
        temperature_k=temperature_k,
        pulse_temperature_k=temperature_k,
    )


def detected(specimen: Specimen, v_dc_v: float, *, temperature_k: float = 50.0) -> float:
    return EFFICIENCY * float(rate_at(specimen, v_dc_v, temperature_k=temperature_k).per_pulse.sum())


def emergent_sensitivity(specimen: Specimen, v_dc_v: float, temperature_k: float = 50.0) -> float:
    up, down = v_dc_v * 1.0005, v_dc_v * 0.9995
    ratio = detected(specimen, up, temperature_k=temperature_k) / detected(
        specimen, down, temperature_k=temperature_k
    )
    return math.log(ratio) / math.log(up / down)


@pytest.mark.parametrize("wanted", [30.0, 60.0, 120.0, 250.0])
def test_the_wanted_sensitivity_emerges_at_the_reference_rate(wanted: float) -> None:
    specimen = tip(sensitivity=wanted)
    threshold = specimen.threshold_v_tot() / (1 + PF)
    assert detected(specimen, threshold) == pytest.approx(0.01, rel=1e-6)
    assert emergent_sensitivity(specimen, threshold) == pytest.approx(wanted, rel=1e-3)


# F/F0 and S of the table in the study: 200 sites, 1e12 Hz, 1 ns, 0.01/0.6 ions per pulse
@pytest.mark.parametrize(
    ("temperature_k", "barrier_ev", "field_ratio", "sensitivity"),
    [(20, 0.3, 0.906, 158), (50, 0.3, 0.766, 53), (50, 0.5, 0.860, 100), (80, 1.0, 0.888, 129)],
)
def test_a_given_barrier_has_the_sensitivity_of_the_published_table(
    temperature_k: float, barrier_ev: float, field_ratio: float, sensitivity: float
) -> None:
    specimen = tip(barrier_ev=barrier_ev, temperature_k=temperature_k)
    threshold = specimen.threshold_v_tot() / (1 + PF)
    assert specimen.reference_field_ratio == pytest.approx(field_ratio, abs=0.001)
    assert emergent_sensitivity(specimen, threshold, temperature_k) == pytest.approx(sensitivity, rel=0.01)


def test_the_default_tip_reaches_its_reference_rate_near_2650_v() -> None:
    assert tip().threshold_v_tot() / (1 + PF) == pytest.approx(2666, abs=10)


@pytest.mark.parametrize(("sensitivity", "ratio"), [(60.0, 4.4), (100.0, 3465)])
def test_pulses_evaporate_more_than_the_standing_voltage_by_the_duty_and_the_field(
    sensitivity: float, ratio: float
) -> None:
    specimen = tip(sensitivity=sensitivity)
    rate = rate_at(specimen, specimen.threshold_v_tot() / (1 + PF))
    found = rate.per_pulse.sum() * RATE_HZ / rate.per_s.sum()
    assert found == pytest.approx(math.exp(sensitivity * PF / (1 + PF)) * 1e-9 * RATE_HZ, rel=1e-6)
    assert found == pytest.approx(ratio, rel=0.02)


def test_a_layer_moves_the_threshold_by_the_ratio_of_its_evaporation_field() -> None:
    specimen = tip()
    before = specimen.threshold_v_tot()
    specimen.field_factor = 0.8
    assert specimen.threshold_v_tot() == pytest.approx(0.8 * before)
    assert detected(specimen, 0.8 * before / (1 + PF)) == pytest.approx(0.01, rel=1e-6)


def test_a_blunter_tip_needs_more_voltage_never_less() -> None:
    specimen = tip()
    threshold = specimen.threshold_v_tot() / (1 + PF)
    specimen.radius_nm *= 1.15
    assert detected(specimen, threshold) < 0.001
    assert detected(specimen, 1.15 * threshold) == pytest.approx(0.01, rel=1e-6)


def test_an_element_with_a_lower_barrier_is_lost_between_pulses_yet_the_bulk_composition_leaves() -> None:
    specimen = tip(composition={"Al": 0.4, "Fe": 0.6}, barrier_factor={"Al": 0.8})
    rate = rate_at(specimen, specimen.threshold_v_tot() / (1 + PF))
    total = rate.per_pulse * RATE_HZ + rate.per_s
    assert total / total.sum() == pytest.approx([0.4, 0.6])
    lost_between_pulses = rate.per_s / total
    assert lost_between_pulses[0] > 2 * lost_between_pulses[1]


def test_an_alloy_that_keeps_the_fields_of_its_elements_still_loses_its_bulk_composition() -> None:
    specimen = tip(composition={"Al": 0.4, "Fe": 0.6}, preferential=0.2)
    rate = rate_at(specimen, specimen.threshold_v_tot() / (1 + PF))
    total = rate.per_pulse * RATE_HZ + rate.per_s
    assert total / total.sum() == pytest.approx([0.4, 0.6])


def test_without_voltage_nothing_leaves_and_nothing_overflows() -> None:
    rate = rate_at(tip(sensitivity=1500.0), 0.0)
    assert rate.per_pulse.sum() == 0.0
    assert np.isfinite(rate.per_s).all()


def voltage_curve(element: str, ions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Detected ions, and V_dc/x of a run that holds the reference rate with 1000 corrections."""
    specimen = tip(composition={element: 1.0}, radius_nm=30.0, sensitivity=60.0)
    evaporation = Evaporation(species_of({element: 1.0}), MultiHitTwin(), view_angle_deg=28.0)
    rng = np.random.default_rng(seed)
    v = specimen.threshold_v_tot() / (1 + PF)
    n, counts, voltages = 0, [], []
    while n < ions:
        rate = detected(specimen, v)
        pulses = round(ions / 1000 / rate)
        evaporated = evaporation.cascades(rng, rate / EFFICIENCY * pulses, 0.0).ions
        specimen.blunt(evaporated)
        n += int(rng.binomial(evaporated, EFFICIENCY))
        v *= 1.0 + 0.5 * math.log(0.01 / (evaporated * EFFICIENCY / pulses)) / 60.0
        counts.append(n)
        voltages.append(v / specimen.reference_field_ratio)
    return np.array(counts), np.array(voltages)


@pytest.mark.parametrize("element", ["Al", "Fe", "W"])
def test_t1_the_cube_of_the_voltage_grows_linearly_with_the_ions_as_for_a_cone(element: str) -> None:
    n, v = voltage_curve(element, 10_000_000, seed=3)
    cube = v**3 - v[0] ** 3
    fit = np.polyval(np.polyfit(n, cube, 1), n)
    r2 = 1.0 - np.sum((cube - fit) ** 2) / np.sum((cube - cube.mean()) ** 2)
    assert r2 > 0.999
    found = np.interp([0, 1e6, 5e6, 1e7], n, v)
    assert found == pytest.approx(T1_VOLTAGES_V[element], rel=0.03)
