"""Histograms of mass-to-charge ratios."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.report.spectrum import CHUNK, Spectrum


@given(masses=st.lists(st.floats(allow_nan=True, allow_infinity=True)))
def test_every_hit_is_counted_inside_or_outside(masses: list[float]) -> None:
    spectrum = Spectrum.empty(1.0, 50.0, 0.5)
    spectrum.add(masses)
    assert spectrum.n + spectrum.outside == len(masses)


def test_a_spectrum_made_in_blocks_is_that_of_the_whole() -> None:
    masses = np.random.default_rng(1).uniform(-5, 205, 2 * CHUNK + 7)
    whole, parts = Spectrum.empty(), Spectrum.empty()
    whole.add(masses)
    for part in np.array_split(masses, 13):
        parts.add(part)
    assert (whole.counts == parts.counts).all()
    assert whole.outside == parts.outside


def test_a_hit_lies_in_the_bin_of_its_mass() -> None:
    spectrum = Spectrum.empty(0, 100, 0.1)
    spectrum.add([26.98])
    k = int(np.flatnonzero(spectrum.counts)[0])
    assert spectrum.edges[k] <= 26.98 < spectrum.edges[k + 1]
    assert spectrum.centres[k] == pytest.approx(26.95)


def test_a_range_without_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="no bins"):
        Spectrum.empty(10, 10)
