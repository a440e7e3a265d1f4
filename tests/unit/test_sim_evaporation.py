import numpy as np
import pytest

from evapd_sim.elements import species_of
from evapd_sim.evaporation import Evaporation, Ions
from evapd_sim.projection import disc_radius, project
from evapd_sim.settings import MultiHitTwin
from evapd_sim.specimen import EvaporationRate

SPECIES = species_of({"Al": 0.4, "Fe": 0.6})
RATE = EvaporationRate(per_pulse=np.array([0.4, 0.6]), per_s=np.array([0.4, 0.6]))


def evaporation(probability: float) -> Evaporation:
    settings = MultiHitTwin(probability=probability, spread_nm=1.0, delay_ps=50.0)
    return Evaporation(SPECIES, settings, view_angle_deg=28.0)


def ions(probability: float, mean: float = 200_000.0, seen: float = 1.0) -> Ions:
    rng = np.random.default_rng(5)
    source = evaporation(probability)
    cascades = source.cascades(rng, mean, 0.0)
    return source.place(rng, RATE, cascades, pulses=20_000_000, period_ps=5e6, radius_nm=45.0, seen=seen)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.4])
def test_cascades_keep_the_mean_and_scatter_by_their_fano_factor(p: float) -> None:
    rng = np.random.default_rng(2)
    source = evaporation(p)
    counts = np.array([source.cascades(rng, 100.0, 0.0).ions for _ in range(8000)])
    assert counts.mean() == pytest.approx(100.0, rel=0.01)
    assert counts.var() / counts.mean() == pytest.approx((1 + p) / (1 - p), rel=0.06)


def test_a_detector_thins_the_fano_factor_towards_one() -> None:
    p, seen = 0.4, 0.5
    rng = np.random.default_rng(4)
    source = evaporation(p)
    counts = []
    for _ in range(3000):
        cascades = source.cascades(rng, 100.0, 0.0)
        found = source.place(rng, RATE, cascades, pulses=1000, period_ps=5e6, radius_nm=45.0, seen=seen)
        counts.append(len(found.pulse))
    fano = np.var(counts) / np.mean(counts)
    assert fano == pytest.approx(1 + seen * ((1 + p) / (1 - p) - 1), rel=0.1)


def test_partners_leave_from_nearby_and_slightly_later() -> None:
    found = ions(0.3)
    partner = np.flatnonzero(found.pulse[1:] == found.pulse[:-1]) + 1
    parent = partner - 1
    first = found.wait_ps[parent] == 0.0
    apart_nm = 45.0 * (found.a[partner] - found.a[parent])[first]
    assert apart_nm.std() == pytest.approx(1.0, rel=0.1)
    assert found.wait_ps[partner].mean() == pytest.approx(50.0, rel=0.1)


def test_elements_and_isotopes_come_in_their_shares() -> None:
    found = ions(0.1)
    share = np.bincount(found.species, minlength=len(SPECIES.names)) / len(found.species)
    expected = np.array([0.4, 0.6])[SPECIES.element] * SPECIES.share
    assert share == pytest.approx(expected, abs=0.005)


def test_standing_voltage_evaporates_at_any_time_of_the_period() -> None:
    rng = np.random.default_rng(6)
    source = evaporation(0.0)
    found = source.place(
        rng, RATE, source.cascades(rng, 0.0, 50_000.0), pulses=1000, period_ps=5e6, radius_nm=45.0, seen=1.0
    )
    histogram, _ = np.histogram(found.wait_ps, bins=10, range=(0.0, 5e6))
    assert histogram == pytest.approx(np.full(10, histogram.mean()), rel=0.06)
    assert not found.pulsed.any()


def test_the_image_is_a_disc_whose_edge_is_the_projected_view_angle() -> None:
    found = ions(0.0)
    x_mm, y_mm = project(found.a, found.b, flight_path_mm=110.0, compression=1.65)
    edge = np.hypot(x_mm, y_mm).max()
    sin, cos = np.sin(np.radians(28.0)), np.cos(np.radians(28.0))
    assert edge == pytest.approx(110.0 * sin / (cos + 0.65), rel=1e-3)
    assert np.hypot(found.a, found.b).max() <= disc_radius(28.0)
