"""Walk: how a layer's time sum changes with the place along it, as a table of few points.

The sums are averaged in narrow bins of t1 - t2; a line through few points is fitted to the means, and points are added
where one more improves the fit most, as long as that is significant. So a smooth walk needs few points, a step
gets its two points where it is, and a flat one needs no table.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_POINTS = 40
MOST_BINS = 240
_HITS_PER_BIN = 40
_LEAST_IN_BIN = 6
_LEAST_SPAN_PS = 100.0  # of the bins, for hits that all fall on one place
LEAST_BINS = 4  # with fewer there is no walk to be seen
_GAIN = 20.0  # of chi-squared for one more point; the largest of 240 chance gains is about 12
_CLIP_SIGMA = 3.0
# Mean square of a normal distribution that is clipped at 3 sigma, the number kept: what clipping takes is put back.
_CLIPPED_VARIANCE = 0.9733


@dataclass(frozen=True, slots=True)
class BinMeans:
    """Means of time sums in bins of t1 - t2, all in ps, shape (bins,); bins with too few hits are left out."""

    at: Floats
    mean: Floats
    error: Floats
    hits: Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points: time sum over t1 - t2, both in ps; constant beyond the ends."""

    at: Floats
    value: Floats
    error: Floats

    def __call__(self, difference_ps: Floats) -> Floats:
        """The time sum at a difference."""
        return np.interp(difference_ps, self.at, self.value)


def bin_edges(difference_ps: Floats) -> Floats:
    """Bins over all differences, fewer where hits are few."""
    bins = int(np.clip(len(difference_ps) / _HITS_PER_BIN, 8, MOST_BINS))
    low, high = np.quantile(difference_ps, (0.0005, 0.9995))
    return np.linspace(low, max(high, low + _LEAST_SPAN_PS), bins + 1)


def bin_medians(difference_ps: Floats, sum_ps: Floats, edges: Floats) -> Curve:
    """Medians in bins: a first curve that many wrong sums do not move."""
    bins = len(edges) - 1
    index = _bin_of(difference_ps, edges)
    order = np.lexsort((sum_ps, index))
    counts = np.bincount(index, minlength=bins)
    start = np.cumsum(counts) - counts
    full = np.flatnonzero(counts >= _LEAST_IN_BIN)
    ordered = sum_ps[order]
    low, high = start[full] + (counts[full] - 1) // 2, start[full] + counts[full] // 2
    middle = 0.5 * (ordered[low] + ordered[high])
    return Curve(0.5 * (edges[full] + edges[full + 1]), middle, np.zeros(len(full)))


def bin_means(
    difference_ps: Floats, sum_ps: Floats, edges: Floats, curve: Curve, sigma_ps: float
) -> BinMeans:
    """Means in bins of what lies within 3 sigma of a curve and then of the means themselves."""
    bins = len(edges) - 1
    index = _bin_of(difference_ps, edges)
    centre = curve(difference_ps)
    for _ in range(4):
        kept = np.abs(sum_ps - centre) < _CLIP_SIGMA * sigma_ps
        hits = np.bincount(index[kept], minlength=bins).astype(float)
        filled = np.maximum(hits, 1.0)
        mean = np.bincount(index[kept], sum_ps[kept], minlength=bins) / filled
        centre = np.where(hits[index] >= _LEAST_IN_BIN, mean[index], curve(difference_ps))
    at = np.bincount(index[kept], difference_ps[kept], minlength=bins) / filled
    full = hits >= _LEAST_IN_BIN
    error = sigma_ps / np.sqrt(_CLIPPED_VARIANCE * filled)
    return BinMeans(at[full], mean[full], error[full], hits[full])


def fit_curve(means: BinMeans) -> Curve:
    """A line through as many points as are significant, at most MOST_POINTS; two points when the walk is straight."""
    weight = 1.0 / means.error**2
    ends = [float(means.at[0]), float(means.at[-1])]
    candidates = 0.5 * (means.at[1:] + means.at[:-1])
    points = ends
    value, error = _fit(means, weight, points)
    while len(points) < min(MOST_POINTS, len(means.at) // 2):
        rest = means.mean - np.interp(means.at, points, value)
        gain = _gains(means.at, rest, weight, np.array(points), candidates)
        best = int(np.argmax(gain))
        if gain[best] < _GAIN:
            break
        points = sorted([*points, float(candidates[best])])
        value, error = _fit(means, weight, points)
    return Curve(np.array(points), value, error)


def chi2_of(means: BinMeans, value: Floats) -> float:
    """How badly values at the bins describe the means, up to one constant."""
    weight = 1.0 / means.error**2
    rest = means.mean - value
    rest = rest - np.average(rest, weights=weight)
    return float(np.sum(weight * rest**2))


def _bin_of(difference_ps: Floats, edges: Floats) -> NDArray[np.int64]:
    scaled = (difference_ps - edges[0]) * ((len(edges) - 1) / (edges[-1] - edges[0]))
    return np.asarray(np.clip(scaled, 0, len(edges) - 2), np.int64)


def _fit(means: BinMeans, weight: Floats, points: list[float]) -> tuple[Floats, Floats]:
    """Weighted least squares of the values at the points; a weak pull to a straight line where no hits are."""
    units = np.eye(len(points))
    basis = np.stack([np.interp(means.at, points, unit) for unit in units], axis=1)
    normal = basis.T @ (weight[:, None] * basis)
    if len(points) > 2:
        bend = np.diff(units, 2, axis=0)
        normal = normal + 1e-6 * float(np.median(np.diag(normal))) * (bend.T @ bend)
    covariance = np.linalg.inv(normal)
    value = covariance @ (basis.T @ (weight * means.mean))
    return value, np.sqrt(np.diag(covariance))


def _gains(at: Floats, rest: Floats, weight: Floats, points: Floats, candidates: Floats) -> Floats:
    """How much chi-squared a further point would take away, at least, for every candidate."""
    right = np.clip(np.searchsorted(points, candidates, "right"), 1, len(points) - 1)
    low, high = points[right - 1], points[right]
    inside = (candidates > low) & (candidates < high)
    rise = (at[None, :] - low[:, None]) / np.where(inside, candidates - low, 1.0)[:, None]
    fall = (high[:, None] - at[None, :]) / np.where(inside, high - candidates, 1.0)[:, None]
    hat = np.clip(np.minimum(rise, fall), 0.0, None)
    along = hat @ (weight * rest)
    norm = hat**2 @ weight
    return np.where(inside & (norm > 0), along**2 / np.where(norm > 0, norm, 1.0), 0.0)
