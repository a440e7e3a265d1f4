"""Where the illumination of a disc ends, sector by sector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST_LEFT = 0.3  # of the density inside, beyond an edge that counts as one
_SIGNIFICANCE = 3.0
_INSIDE = 0.06  # of the radius: stretch in which the density inside is measured, at least
_SLOPE_OVER = 0.12


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges in units of a radius, one per sector; NaN where there is none that is sharp."""

    angle: Floats  # rad, middle of the sector
    radius: Floats
    error: Floats
    contrast: float  # 1: hits end at the edge entirely; 0: there is no edge

    @property
    def found(self) -> NDArray[np.bool_]:
        """Sectors with an edge."""
        return np.isfinite(self.radius)


def sector_count(hits: int) -> int:
    """Sectors in which the edge is looked for: more where there are more hits."""
    return int(np.clip(hits // 1500, 12, 72)) // 4 * 4


def outer_radii(radius: Floats, angle: Floats, sectors: int, share: float = 0.02) -> tuple[Floats, Floats]:
    """A first outline: middle of each sector, and the radius that a uniform disc would have with this outermost part."""
    index = _sector_of(angle, sectors)
    middle = (np.arange(sectors) + 0.5) * 2 * np.pi / sectors - np.pi
    out = np.full(sectors, np.nan)
    for s in range(sectors):
        here = radius[index == s]
        if len(here) >= 8:
            out[s] = np.quantile(here, 1.0 - share) / np.sqrt(1.0 - share)
    return middle, out


def find_edges(radius: Floats, angle: Floats, sectors: int, width: float) -> Edges:
    """Look for the edge of each sector between 1 - width and 1 + width.

    The density inside (carried on with the slope that all sectors share) and just outside
    (1 + width to 1 + 4 width) is measured; the edge is where a step from one to the other gives the number of hits between. That is
    unbiased whatever blurs the edge evenly within the width.

    Args:
        radius: of the hits, in units of the radius expected.
        angle: of the hits, rad from -pi to pi.
        sectors: number of sectors.
        width: where the edge may be.
    """
    index = _sector_of(angle, sectors)
    low, high = 1.0 - width, 1.0 + width
    begin = low - max(3.0 * width, _INSIDE)
    n_in = _count(index, radius, begin, low, sectors)
    n_rim = _count(index, radius, low, high, sectors)
    n_out = _count(index, radius, high, 1.0 + 4.0 * width, sectors)
    area_in, area_out = _area(begin, low), _area(high, 1.0 + 4.0 * width)
    inside = n_in / area_in * _carry(radius, begin, width)
    outside = n_out / area_out
    step = np.maximum(inside - outside, 1e-12)
    square = (2.0 * n_rim + inside * low**2 - outside * high**2) / step
    edge = np.sqrt(np.maximum(square, 0.0))
    inner_error = inside / np.sqrt(np.maximum(n_in, 1.0))
    # From the number expected, not the one counted: sectors that have few by chance would weigh more than others.
    expected = inside * _area(low, 1.0) + outside * _area(1.0, high)
    error = np.sqrt(np.maximum(expected, 1.0) + (inner_error * width) ** 2) / step
    noise = np.sqrt(inner_error**2 + np.maximum(n_out, 1.0) / area_out**2)
    sharp = (outside < _MOST_LEFT * inside) & (step > _SIGNIFICANCE * noise)
    sharp &= (edge >= low) & (edge <= high * 1.001)
    contrast = 1.0 - float(outside.sum() / inside.sum()) if inside.sum() > 0 else 0.0
    return Edges(
        (np.arange(sectors) + 0.5) * 2 * np.pi / sectors - np.pi,
        np.where(sharp, edge, np.nan),
        np.where(sharp, error, np.nan),
        contrast,
    )


def _carry(radius: Floats, begin: float, width: float) -> float:
    """By how much the density of hits changes from where it is measured to the rim, for all directions together.

    A single sector has too few hits for its own slope. The slope is taken over a wider stretch than the density.
    """
    near = 1.0 - width
    far = min(begin, near - _SLOPE_OVER)
    half = 0.5 * (far + near)
    d_far = np.count_nonzero((radius >= far) & (radius < half)) / _area(far, half)
    d_near = np.count_nonzero((radius >= half) & (radius < near)) / _area(half, near)
    slope = (d_near - d_far) / (half - far)
    here, there = 0.5 * (begin + near), 1.0 - 0.5 * width  # where it is measured, where it is needed
    at_here = 0.5 * (d_far + d_near) + slope * (here - half)
    if at_here <= 0.0:
        return 1.0
    return float(np.clip(1.0 + slope * (there - here) / at_here, 0.3, 2.0))


def _sector_of(angle: Floats, sectors: int) -> NDArray[np.int64]:
    return ((angle + np.pi) * (sectors / (2 * np.pi))).astype(np.int64) % sectors


def _count(index: NDArray[np.int64], radius: Floats, low: float, high: float, sectors: int) -> Floats:
    inside = (radius >= low) & (radius < high)
    return np.bincount(index[inside], minlength=sectors).astype(float)


def _area(low: float, high: float) -> float:
    """Of a ring, per unit of angle."""
    return (high * high - low * low) / 2.0
