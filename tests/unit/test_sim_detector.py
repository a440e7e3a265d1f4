import numpy as np
import pytest

from evapd_sim.detector import dark_hits, seen_in_crowd


def test_a_single_ion_is_never_lost_to_saturation() -> None:
    assert seen_in_crowd(np.random.default_rng(1), np.arange(1000), 0.1).all()


@pytest.mark.parametrize("ions", [2, 5, 20])
def test_a_crowd_is_seen_up_to_the_saturation_of_the_plate(ions: int) -> None:
    pulse = np.tile(np.arange(4000), ions)
    seen = seen_in_crowd(np.random.default_rng(2), pulse, 3.0)
    expected = np.exp(-np.arange(ions) / 3.0).sum()
    assert seen.sum() / 4000 == pytest.approx(expected, rel=0.03)
    assert np.bincount(pulse[seen], minlength=4000).min() >= 1


def test_dark_hits_are_uniform_over_time_and_plate() -> None:
    dark = dark_hits(np.random.default_rng(3), 40_000, pulses=100, period_ps=5e6, radius_mm=40.0)
    r2 = dark.x_mm**2 + dark.y_mm**2
    assert r2.max() <= 1600.0
    assert np.histogram(r2, 8, (0, 1600))[0] == pytest.approx(np.full(8, 5000), rel=0.06)
    assert np.histogram(dark.t_ps, 8, (0, 5e6))[0] == pytest.approx(np.full(8, 5000), rel=0.06)
