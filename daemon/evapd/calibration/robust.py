"""Statistics that a few per cent of wrong values do not move."""

import math

import numpy as np
from numpy.typing import NDArray

from evapd.matching.gates import chi2_tail

Floats = NDArray[np.float64]
MAD_TO_SIGMA = 1.482602218505602  # of a normal distribution


def densest(values: Floats, width: float) -> tuple[float, int]:
    """The interval of a width that holds most of the values: its middle, and how many it holds."""
    if not len(values):
        return math.nan, 0
    ordered = np.sort(values)
    inside = np.searchsorted(ordered, ordered + width, "right") - np.arange(len(ordered))
    best = int(np.argmax(inside))
    return float(ordered[best]) + width / 2.0, int(inside[best])


def middle_and_width(values: Floats) -> tuple[float, float]:
    """Median, and the standard deviation that a normal distribution of the same quartiles has; NaN without values."""
    if not len(values):
        return math.nan, math.nan
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float(middle), float(high - low) / 1.3489795


def clipped_mean_chi2(limit: float, dof: int) -> float:
    """Mean of a chi-squared variable with `dof` degrees of freedom of which only values below `limit` are kept."""
    return dof * (1.0 - chi2_tail(limit, dof + 2)) / (1.0 - chi2_tail(limit, dof))
