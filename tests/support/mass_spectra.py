"""Synthetic mass spectra with peaks at known places."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evapd.report.spectrum import Spectrum

# m / n in Da of ions; isotopes of iron by natural abundance.
AL_FE = {
    26.9815: 20_000,
    53.9396 / 2: 580,
    55.9349 / 2: 9175,
    56.9354 / 2: 212,
    57.9333 / 2: 28,
    1.00728: 800,
}


def peak_masses(rng: np.random.Generator, mass_da: float, n: int, tail: float = 0.15) -> NDArray[np.float64]:
    """Ions of one species: energy deficits (half normal 0.15 %, some with a 0.4 % tail) and 0.12 ns of timing."""
    deficit = np.abs(rng.normal(0, 0.0015, n)) + np.where(rng.random(n) < tail, rng.exponential(0.004, n), 0)
    t_ns = 531 * np.sqrt(mass_da / 26.98)
    return mass_da * (1 + deficit) * (1 + rng.normal(0, 0.12, n) / t_ns) ** 2


def background_masses(rng: np.random.Generator, n: int, high_da: float = 200.0) -> NDArray[np.float64]:
    """Hits spread evenly in time."""
    return high_da * rng.random(n) ** 2


def spectrum_of(peaks: Mapping[float, int], background: int, seed: int, bin_da: float = 0.01) -> Spectrum:
    """A spectrum from 0 to 200 Da with so many ions at each mass and so many background hits."""
    rng = np.random.default_rng(seed)
    spectrum = Spectrum.empty(0.0, 200.0, bin_da)
    for mass_da, n in peaks.items():
        spectrum.add(peak_masses(rng, mass_da, n))
    spectrum.add(background_masses(rng, background))
    return spectrum
