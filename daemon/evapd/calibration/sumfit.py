"""Time sums of all layers with their walk, and the jitter that is left: found together, round by round."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.jitter import Jitter, estimate_jitter
from evapd.calibration.robust import middle_and_width
from evapd.calibration.timesums import differences_of, sums_of
from evapd.calibration.walk import (
    LEAST_BINS,
    BinMeans,
    Curve,
    bin_edges,
    bin_means,
    bin_medians,
    chi2_of,
    fit_curve,
)

Floats = NDArray[np.float64]

_ROUNDS = 3
_FIRST_CLIP = 5.0  # standard deviations about the first curve
_SIGNIFICANT = 25.0  # of chi-squared against a flat sum
_LEAST_WIDTH_PS = 1.0  # of a time sum: signals without any jitter come from a simulation
_WORTH = 0.03  # of the sum's standard deviation: a smaller walk costs no hit


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSum:
    """The time sum of one layer, in ps.

    Attributes:
        mean: over all hits, walk included.
        mean_error: its uncertainty.
        width: standard deviation of the sum about mean and walk.
        walk: change over t1 - t2 with a mean of 0 over all hits, None for a flat one.
        from_start: whether that is the start anode's walk, which the data confirm.
        means: what was measured, bin by bin.
        drift: mean of the last fifth of the lone pulses minus that of the first fifth.
    """

    mean: float
    mean_error: float
    width: float
    walk: Curve | None
    from_start: bool
    means: BinMeans
    drift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SumFit:
    """All layers' time sums, the jitter, and which hits they explain."""

    layers: tuple[LayerSum, ...]
    jitter: Jitter
    kept: NDArray[np.bool_]


def fit_sums(
    times_ps: Floats, bin_ps: float, start_walks: tuple[Curve | None, ...], *, in_order: int | None = None
) -> SumFit:
    """Find time sums, walk and jitter.

    Args:
        times_ps: of single ions, some of them wrong, shape (n, channels).
        bin_ps: the TDC's bin.
        start_walks: walk of the start anode over t1 - t2 of each layer, None where it has none.
        in_order: how many of the first ions are in the order of their pulses; all when None.
    """
    sums, differences = sums_of(times_ps), differences_of(times_ps)
    layers = range(sums.shape[1])
    edges = [bin_edges(differences[:, k]) for k in layers]
    curves = [bin_medians(differences[:, k], sums[:, k], edges[k]) for k in layers]
    least = max(_LEAST_WIDTH_PS, 0.5 * bin_ps)
    rest = _rest(sums, differences, curves)
    kept = _within(rest, _FIRST_CLIP, least)
    sigma = [max(middle_and_width(rest[kept, k])[1], least) for k in layers]
    means: list[BinMeans] = []
    from_start = [False] * len(curves)
    for _ in range(_ROUNDS):
        means = [
            bin_means(differences[kept, k], sums[kept, k], edges[k], curves[k], sigma[k]) for k in layers
        ]
        chosen = [choose_walk(means[k], start_walks[k], sigma[k]) for k in layers]
        curves, from_start = [c for c, _ in chosen], [s for _, s in chosen]
        rest = _rest(sums, differences, curves)
        rest -= np.median(rest[kept], axis=0)
        jitter, kept = estimate_jitter(rest, bin_ps)
        rest -= rest[kept].mean(axis=0)
        sigma = [max(float(rest[kept, k].std()), least) for k in layers]
    ordered = int(np.count_nonzero(kept[:in_order]))
    return SumFit(
        layers=tuple(
            _layer(
                sums[kept, k],
                differences[kept, k],
                curves[k],
                means[k],
                from_start=from_start[k],
                ordered=ordered,
            )
            for k in layers
        ),
        jitter=jitter,
        kept=kept,
    )


def choose_walk(means: BinMeans, start: Curve | None, sigma_ps: float) -> tuple[Curve, bool]:
    """The simplest curve that the data allow: flat, the start's own walk, or a new one.

    Returns:
        The curve, and whether it is the start's.
    """
    level = float(np.average(means.mean, weights=1.0 / means.error**2))
    flat = Curve(means.at[[0, -1]], np.array([level, level]), np.zeros(2))
    if len(means.at) < LEAST_BINS:
        return flat, False
    fitted = fit_curve(means)
    chi2_flat, chi2_fitted = chi2_of(means, flat(means.at)), chi2_of(means, fitted(means.at))
    if start is not None:
        chi2_start = chi2_of(means, start(means.at))
        # Hits that say nothing against the start's walk do not take it away either.
        if chi2_start <= min(chi2_flat, chi2_fitted + _SIGNIFICANT):
            shift = float(np.average(means.mean - start(means.at), weights=1.0 / means.error**2))
            return Curve(start.at, start.value + shift, start.error), True
    swing = float(np.sqrt(np.average((fitted(means.at) - level) ** 2, weights=means.hits)))
    if chi2_flat - chi2_fitted < _SIGNIFICANT or swing < _WORTH * sigma_ps:
        return flat, False
    return fitted, False


def _rest(sums: Floats, differences: Floats, curves: list[Curve]) -> Floats:
    return sums - np.stack([curve(differences[:, k]) for k, curve in enumerate(curves)], axis=1)


def _within(rest: Floats, sigmas: float, least_width: float) -> NDArray[np.bool_]:
    kept = np.ones(len(rest), np.bool_)
    for k in range(rest.shape[1]):
        middle, width = middle_and_width(rest[:, k])
        kept &= np.abs(rest[:, k] - middle) <= sigmas * max(width, least_width)
    return kept


def _layer(
    sums: Floats, difference: Floats, curve: Curve, means: BinMeans, *, from_start: bool, ordered: int
) -> LayerSum:
    along = curve(difference)
    rest = sums - along
    flat = bool(np.ptp(curve.value) == 0.0)
    mean_walk = float(along.mean())
    in_order = rest[:ordered]
    fifth = ordered // 5
    return LayerSum(
        mean=float(sums.mean()),
        mean_error=float(rest.std()) / np.sqrt(len(rest)),
        width=float(rest.std()),
        walk=None if flat else Curve(curve.at, curve.value - mean_walk, curve.error),
        from_start=from_start,
        means=means,
        drift=float(in_order[-fifth:].mean() - in_order[:fifth].mean()) if fifth else 0.0,
    )
