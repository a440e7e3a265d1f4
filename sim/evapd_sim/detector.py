"""The micro-channel plate: which ions it sees when several come at once, and what it sees when none come."""

import math

import numpy as np
from numpy.typing import NDArray

from evapd_sim.projection import uniform_on_disc
from evapd_sim.signals import Arrivals

Floats = NDArray[np.float64]
_HALF_SEEN, _PLATEAU_EDGE = 0.9, 0.01  # parts of the working voltage


def plate_gain(part: float) -> float:
    """Share of the ions whose signal passes the discriminator, at this part of the plates' working voltage.

    The gain of a plate rises with a high power of its voltage: nothing is seen 15 % below, and all is seen in the plateau.
    """
    return 1.0 / (1.0 + math.exp(min(700.0, -(part - _HALF_SEEN) / _PLATEAU_EDGE)))


def seen_in_crowd(
    rng: np.random.Generator, pulse: NDArray[np.int64], saturation_ions: float
) -> NDArray[np.bool_]:
    """Which of the ions survive saturation: the k-th of a pulse (from 0) with probability exp(-k / saturation_ions).

    The first is always seen; n ions give about saturation_ions (1 - exp(-n / saturation_ions)).
    """
    n = len(pulse)
    if n < 2:
        return np.ones(n, dtype=np.bool_)
    order = np.argsort(pulse, kind="stable")
    sorted_pulse = pulse[order]
    index = np.arange(n)
    first = np.zeros(n, dtype=np.int64)
    new = sorted_pulse[1:] != sorted_pulse[:-1]
    if new.all():
        return np.ones(n, dtype=np.bool_)
    first[1:] = np.where(new, index[1:], 0)
    rank = np.empty(n, dtype=np.int64)
    rank[order] = index - np.maximum.accumulate(first)
    return rng.random(n) < np.exp(-rank / saturation_ions)


def dark_hits(
    rng: np.random.Generator, n: int, *, pulses: int, period_ps: float, radius_mm: float
) -> Arrivals:
    """Draw `n` hits without an ion, uniform over `pulses` pulses, their period and the plate."""
    x_mm, y_mm = uniform_on_disc(rng, n, radius_mm)
    return Arrivals(pulse=rng.integers(0, pulses, n), t_ps=rng.random(n) * period_ps, x_mm=x_mm, y_mm=y_mm)
