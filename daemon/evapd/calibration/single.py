"""Signals of single ions: lone pulses, and where those are few, what is consistent in crowded ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.collect import NAMES, Signals
from evapd.calibration.robust import densest
from evapd.calibration.timesums import sums_of
from evapd.errors import StateError

Floats = NDArray[np.float64]

ENOUGH_LONE = 100_000  # then crowded pulses are not needed
LEAST_LONE = 500  # with fewer, the time sums are looked for in crowded pulses
PEAK_WIDTH_PS = 2_500.0  # of the window in which a time-sum peak is looked for: jitter 200 ps, some walk
NEAR_PEAK_PS = 12_000.0  # walk, and a start that is wrong, stay within this of the peak
PICK_WITHIN_PS = 4_000.0
LARGEST_SUM_PS = 10_000_000.0
_LEAST_SHARE = 0.15  # of the lone pulses in the peak
_CONTRAST = 3.0  # of the peak in all combinations above their level near it
_MOST_COMBINED = 4_000
_LEAST_HITS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleIons:
    """Times of single ions, with some wrong ones among them.

    Attributes:
        times_ps: shape (n, channels).
        peaks_ps: where the time sums of each layer crowd.
        lone, picked: how many are lone pulses, and how many were picked out of crowded ones.
    """

    times_ps: Floats
    peaks_ps: tuple[float, ...]
    lone: int
    picked: int


def single_ions(signals: Signals) -> SingleIons:
    """Find the time-sum peaks and the signals that belong to them, within NEAR_PEAK_PS.

    Raises:
        StateError: when the time sums of a layer do not crowd anywhere, or there are too few hits.
    """
    layers = range((len(NAMES[signals.kind]) - 1) // 2)
    if len(signals.lone) >= LEAST_LONE:
        sums = sums_of(signals.lone)
        peaks = tuple(_peak(sums[:, k], NAMES[signals.kind][1 + 2 * k]) for k in layers)
    else:
        peaks = tuple(_peak_of_combinations(signals, k) for k in layers)
    for peak, end in zip(peaks, NAMES[signals.kind][1::2], strict=True):
        if not 0.0 < peak < LARGEST_SUM_PS:
            raise StateError(
                f"the time sums of layer {end[0]} crowd at {peak / 1000:.1f} ns, which no delay line has: look whether "
                "the MCP's cable is much longer than the others, or exchanged with one of them"
            )
    lone = signals.lone[_near(sums_of(signals.lone), peaks, NEAR_PEAK_PS)]
    picked = signals.lone[:0]
    if len(lone) < ENOUGH_LONE:
        picked = pick_consistent(signals.crowded, peaks, PICK_WITHIN_PS)
    if len(lone) + len(picked) < _LEAST_HITS:
        raise StateError(
            f"only {len(lone) + len(picked)} hits with all their signals among {signals.words} words, at least "
            f"{_LEAST_HITS} are needed; use a longer run"
        )
    return SingleIons(
        times_ps=np.concatenate([lone, picked]), peaks_ps=peaks, lone=len(lone), picked=len(picked)
    )


def pick_consistent(crowded: Floats, peaks_ps: tuple[float, ...], within_ps: float) -> Floats:
    """Combinations of one word per channel in which every layer fits its time-sum peak, and only one way.

    Args:
        crowded: times in ps, shape (n, channels, words), NaN for no word.
        peaks_ps: time sum of each layer.
        within_ps: how far from it a sum may be.

    Returns:
        Times in ps, shape (m, channels); several of one pulse are possible, one for each MCP word.
    """
    n, channels, most = crowded.shape
    found = []
    for word in range(most):
        mcp = crowded[:, 0, word]
        out = np.empty((n, channels))
        out[:, 0] = mcp
        good = np.isfinite(mcp)
        for k, peak in enumerate(peaks_ps):
            sums = crowded[:, 1 + 2 * k, :, None] + crowded[:, 2 + 2 * k, None, :] - 2.0 * mcp[:, None, None]
            fits = (np.abs(sums - peak) <= within_ps).reshape(n, most * most)  # NaN fits nothing
            good &= fits.sum(axis=1) == 1
            first, second = np.divmod(fits.argmax(axis=1), most)
            out[:, 1 + 2 * k] = crowded[np.arange(n), 1 + 2 * k, first]
            out[:, 2 + 2 * k] = crowded[np.arange(n), 2 + 2 * k, second]
        found.append(out[good])
    return np.concatenate(found) if found else np.zeros((0, channels))


def _near(sums: Floats, peaks_ps: tuple[float, ...], within_ps: float) -> NDArray[np.bool_]:
    return np.asarray((np.abs(sums - np.array(peaks_ps)) <= within_ps).all(axis=1))


def _peak(sums: Floats, end: str) -> float:
    middle, inside = densest(sums, PEAK_WIDTH_PS)
    if inside < _LEAST_SHARE * len(sums):
        raise _no_peak(end[0])
    return middle


def _peak_of_combinations(signals: Signals, k: int) -> float:
    """The peak among the sums of all combinations of words in crowded and lone pulses."""
    crowded = signals.crowded[:: max(1, len(signals.crowded) // _MOST_COMBINED)]
    all_sums = (
        crowded[:, 1 + 2 * k, :, None, None]
        + crowded[:, 2 + 2 * k, None, :, None]
        - 2.0 * crowded[:, 0, None, None, :]
    ).ravel()
    all_sums = np.concatenate([all_sums[np.isfinite(all_sums)], sums_of(signals.lone)[:, k]])
    middle, inside = densest(all_sums, PEAK_WIDTH_PS)
    around = np.count_nonzero(np.abs(all_sums - middle) <= 10 * PEAK_WIDTH_PS) - inside
    level = around / 19.0
    if inside < 50 or inside - level < 5.0 * np.sqrt(inside) or inside < _CONTRAST * level:
        raise _no_peak(NAMES[signals.kind][1 + 2 * k][0])
    return middle


def _no_peak(layer: str) -> StateError:
    return StateError(
        f"the time sums of layer {layer} have no peak: its two ends and the MCP do not belong together; look "
        "whether cables are exchanged, and whether the run has hits at all"
    )
