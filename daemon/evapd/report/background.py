"""What a spectrum would be without peaks, and how unlikely a window of it is then."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIDE_DA = 2.5  # how far to either side the background is looked for
FLOOR = 0.5  # counts assumed in a side window without any
MASK_SIGMA = 3.0
MAX_ROUNDS = 8


def significance(counts: Floats, expected: Floats) -> Floats:
    """Standard deviations by which Poisson counts exceed what is expected; 0 where they do not.

    The likelihood ratio sqrt(2 (n ln(n/b) - (n - b))), good from single counts upwards.
    """
    n = np.maximum(counts, expected)
    return np.sqrt(2.0 * np.maximum(n * np.log(n / expected) - (n - expected), 0.0))


def window_sums(values: Floats, low: NDArray[np.int64], high: NDArray[np.int64]) -> Floats:
    """Sum of the values low to high - 1 for each window, clipped to the array."""
    total = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    return total[np.clip(high, 0, len(values))] - total[np.clip(low, 0, len(values))]


def estimate(counts: Floats, centres_da: Floats, bin_da: float, windows: list[NDArray[np.int64]]) -> Floats:
    """Expected background counts in each bin.

    Hits that are not correlated with the pulse are spread evenly in time, hence as m^-1/2 in mass; this shape is
    scaled by the mean of the bins to the left or to the right that belong to no peak, whichever is higher (so that
    the end of a window does not look like a peak). What belongs to a peak is found in rounds.

    Args:
        counts: per bin.
        centres_da: middle of each bin.
        bin_da: width of a bin.
        windows: half-widths in bins, per bin, of the windows in which peaks are looked for.
    """
    shape = 1.0 / np.sqrt(np.maximum(centres_da, bin_da))
    at = np.arange(len(counts))
    side = max(int(SIDE_DA / bin_da), 1)
    peaks = np.zeros(len(counts), bool)
    expected = np.zeros(len(counts))
    for _ in range(MAX_ROUNDS):
        expected = shape * _scale(np.where(peaks, 0.0, counts), np.where(peaks, 0.0, shape), at, side)
        found = peaks.copy()
        for half in windows:
            low, high = at - half, at + half + 1
            strong = (
                significance(window_sums(counts, low, high), window_sums(expected, low, high)) > MASK_SIGMA
            )
            # A bin is of a peak when any window that holds it is too full.
            found |= window_sums(strong.astype(np.float64), low, high) > 0.5
        if (found == peaks).all():
            break
        peaks = found
    return expected


def _scale(counts: Floats, shape: Floats, at: NDArray[np.int64], side: int) -> Floats:
    """Counts per shape beside each bin; over everything where both sides are full of peaks."""
    overall = (counts.sum() + FLOOR) / max(shape.sum(), 1e-12)
    least = 0.1 * side * np.median(shape[shape > 0]) if (shape > 0).any() else np.inf
    best = np.zeros(len(counts))
    known = np.zeros(len(counts), bool)
    for low, high in ((at - side, at), (at + 1, at + 1 + side)):
        room = window_sums(shape, low, high)
        enough = room > least
        rate = (window_sums(counts, low, high) + FLOOR) / np.maximum(room, 1e-12)
        best = np.where(enough, np.maximum(best, rate), best)
        known |= enough
    return np.where(known, best, overall)
