"""The figures of a reproducibility series, against a published one, and against a known drift."""

import numpy as np
import pytest

from evapd.errors import StateError
from evapd.stage.series import figures

# Eight images of an encoded stage after moves of 40 mm and back: shift of each against the first, nm, and the published deviations.
VERTICAL_NM = np.array([0.0, 0, 235, 282, 235, 141, 424, 612])
HORIZONTAL_NM = np.array([0.0, -94, 47, 71, 212, 118, -94, -118])


def test_the_published_series_gives_the_published_deviations():
    assert round(figures(VERTICAL_NM).sd_nm) == 207
    assert round(figures(HORIZONTAL_NM).sd_nm) == 117


def test_only_shifts_against_the_first_count():
    moved = figures(HORIZONTAL_NM + 40e6)
    assert moved.sd_nm == pytest.approx(figures(HORIZONTAL_NM).sd_nm)
    assert moved.shift_nm[0] == 0.0
    assert moved.largest_nm == pytest.approx(212.0)


def test_a_drift_is_told_per_hour_and_apart_from_the_scatter():
    rng = np.random.default_rng(1)
    t_s = np.arange(8) * 60.0
    found = figures(3000.0 * t_s / 3600.0 + rng.normal(0.0, 20.0, 8), t_s)
    assert found.drift_nm_per_h == pytest.approx(3000.0, rel=0.2)
    assert found.sd_without_drift_nm == pytest.approx(20.0, rel=0.6)
    assert found.sd_nm > 100.0


def test_without_times_there_is_no_drift_to_tell():
    assert figures(VERTICAL_NM).drift_nm_per_h is None
    assert figures(VERTICAL_NM, np.zeros(8)).drift_nm_per_h is None


@pytest.mark.parametrize("series", [[], [1.0], [0.0, 1.0], [0.0, np.nan, 1.0]])
def test_what_is_no_series_is_refused(series):
    with pytest.raises(StateError, match="at least three"):
        figures(np.array(series))
