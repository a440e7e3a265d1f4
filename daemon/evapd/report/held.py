"""How well a rate was held, from the time at which it was reached until the stop."""

from dataclasses import dataclass, replace

import numpy as np

from evapd.report.rates import BIN_S, BINS_PER_S, Floats, RateHistory
from evapd.report.targets import Targets

_REACHED = 0.9  # of the target, in the mean of 1 s
_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSummary:
    """How a rate was held from the time at which it was reached until the stop; rates in hits per live pulse."""

    target: float  # the last one in force
    target_changed: bool = False  # in the run
    reached_s: float | None  # since the start of the run; None: never
    at_target_s: float = 0.0  # seconds with live pulses
    mean: float = _NAN
    mean_over_target: float = _NAN
    scatter: float = _NAN  # rms of ln(rate / target) in bins of 1 s
    scatter_counting: float = _NAN  # what counting statistics alone would give
    scatter_bins: int = 0
    peak_100ms: float = _NAN  # over target, largest of the whole run
    peak_1s: float = _NAN
    background: float = 0.0  # uncorrelated hits per live pulse at target, taken off


def summarise_rate(
    history: RateHistory, targets: Targets, stop_s: float, together: float
) -> RateSummary | None:
    """Judge how the rate was held; None when no law of the run held one.

    Args:
        history: of the run.
        targets: what was to be held when.
        stop_s: when the run was told to stop; what comes later is not judged.
        together: mean number of hits in the pulse of a hit: ions that come together are not counted independently.
    """
    if not targets.held:
        return None
    chosen = history.t_s < stop_s
    target = targets.at(history.t_s)
    ratio = np.where(chosen, history.rate() / target, np.nan)
    second = _moving_mean(ratio, BINS_PER_S)
    held_targets = targets.rate[np.isfinite(targets.rate)]
    result = RateSummary(
        target=float(held_targets[-1]),
        target_changed=len(np.unique(held_targets)) > 1,
        reached_s=None,
        peak_100ms=_largest(ratio),
        peak_1s=_largest(second),
    )
    reached = np.flatnonzero(second >= _REACHED)
    if not len(reached):
        return result
    begin = int(reached[0]) + 1  # behind the second whose mean got there
    held = np.isfinite(ratio)
    held[:begin] = False
    return _held(result, history, np.where(held, target, np.nan), begin, together)


def _held(
    so_far: RateSummary, history: RateHistory, target: Floats, begin: int, together: float
) -> RateSummary:
    held = np.isfinite(target)
    net = np.where(held, history.hits - history.background, 0.0)
    live, wanted = np.where(held, history.live, 0.0), np.where(held, history.live * target, 0.0)
    seconds = (len(held) - begin) // BINS_PER_S
    behind = slice(begin, begin + seconds * BINS_PER_S)

    def per_second(values: Floats) -> Floats:
        return np.asarray(values[behind].reshape(seconds, BINS_PER_S).sum(axis=1), dtype=np.float64)

    whole = per_second(held.astype(np.float64)) == BINS_PER_S
    counted, expected = per_second(net)[whole], per_second(wanted)[whole]
    rate = float(np.sum(net) / np.sum(live)) if np.any(live) else _NAN
    result = replace(
        so_far,
        reached_s=float(history.t_s[begin - 1] + 0.5 * BIN_S),
        at_target_s=BIN_S * int(np.count_nonzero(held)),
        mean=rate,
        background=float(np.sum(np.where(held, history.background, 0.0)) / max(np.sum(live), 1.0)),
        mean_over_target=float(np.sum(net) / np.sum(wanted)) if np.any(wanted) else _NAN,
    )
    if not len(counted):
        return result
    # A second without a hit counts as half a hit: its logarithm must not be left out, nor be infinite.
    logs = np.log(np.maximum(counted, 0.5) / expected)
    # Variance over mean of a sum over pulses is E[k^2]/E[k] - E[k], with k hits in a pulse.
    spread = max(0.0, together - rate)
    return replace(
        result,
        scatter=float(np.sqrt(np.mean(logs**2))),
        scatter_counting=float(np.sqrt(np.mean(spread / expected))),
        scatter_bins=len(counted),
    )


def _moving_mean(values: Floats, n: int) -> Floats:
    """Mean of each value and the n - 1 before it; NaN where any of them is."""
    if len(values) < n:
        return np.full_like(values, np.nan)
    total = np.concatenate(([0.0], np.cumsum(np.nan_to_num(values))))
    known = np.concatenate(([0], np.cumsum(np.isfinite(values))))
    mean = np.where(known[n:] - known[:-n] == n, (total[n:] - total[:-n]) / n, np.nan)
    return np.concatenate((np.full_like(values[: n - 1], np.nan), mean))


def _largest(values: Floats) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else _NAN
