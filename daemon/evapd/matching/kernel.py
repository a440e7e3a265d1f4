"""The kernel over a block: cluster after cluster of words, the common case first.

A cluster is a run of words of one pulse without a gap so long that no ion, and no dead time, reaches across it.

Indices of the hot loops are unsigned: numba makes a test for negative ones of all others.
"""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evapd.compiled import compiled, entry, inlined
from evapd.matching.crowd import match_crowd
from evapd.matching.lone import match_mask
from evapd.matching.workspace import MAX_SIGNALS, MAX_WORDS, Columns, Records

MatchWords = Callable[
    [Records, Records, Columns, int, np.uint64, NDArray[np.uint64], NDArray[np.uint8], NDArray[np.int32]],
    tuple[int, int],
]


@inlined
def match_cluster(
    a: np.record,
    s: np.record,
    out: Columns,
    n: int,
    pulse: int,
    channel: NDArray[np.uint8],
    time: NDArray[np.int32],
    i: int,
    j: int,
) -> tuple[int, bool]:
    """Match words of one pulse that have no ion in common with its others; hits, and whether a bound was passed."""
    begin = n
    channels = s.filled.shape[0]
    if channels - 1 <= j - i <= channels:
        n = match_lone(a, s, out, n, pulse, channel, time, i, j)
        if n > begin:
            return n, False
    lost = sort_by_channel(a, s, channel, time, i, j)
    n, crowded = match_crowd(a, s, out, begin, n, pulse)
    for k in range(begin, n):
        out.multiplicity[k] = min(n - begin, 255)
    return n, lost or crowded


@inlined
def match_lone(
    a: np.record,
    s: np.record,
    out: Columns,
    n: int,
    pulse: int,
    channel: NDArray[np.uint8],
    time: NDArray[np.int32],
    i: int,
    j: int,
) -> int:
    """Match a pulse with a word on each channel, or on all but one, if they agree; else n unchanged."""
    mask = 0
    for k in range(i, j):
        c = int(channel[np.uint64(k)])
        s.one[np.uint64(c)] = time[np.uint64(k)]
        mask |= 1 << c
    return match_mask(a, s, out, n, pulse, mask, j - i)


@inlined
def sort_by_channel(
    a: np.record, s: np.record, channel: NDArray[np.uint8], time: NDArray[np.int32], i: int, j: int
) -> bool:
    """Put the words i to j - 1 of one pulse into the scratch by channel; say whether some did not fit.

    A word so soon after the one before it on its channel that no dead time allows it is left out and counted.
    """
    crowded = False
    for c in range(s.filled.shape[0]):
        s.filled[c] = 0
        s.seen_filled[c] = 0
    for k in range(i, j):
        c = int(channel[k])
        at = s.filled[c]
        if at > 0 and time[k] - s.time[c, at - 1] < a.too_soon:
            s.repeated += 1
        elif at == MAX_SIGNALS:
            crowded = True
        else:
            s.time[c, at] = time[k]
            s.filled[c] = at + 1
            s.seen[c, at] = time[k]
            s.seen_filled[c] = at + 1
    return crowded


@compiled
def count_repeats(
    a: np.record, s: np.record, channel: NDArray[np.uint8], time: NDArray[np.int32], i: int, j: int
) -> None:
    """Count the words that are too soon among two or three, of which no hit is made."""
    for k in range(i + 1, j):
        soon = False
        for m in range(i, k):
            soon = soon or (channel[m] == channel[k] and float(time[k]) - float(time[m]) < a.too_soon)
        s.repeated += soon


def _make_match_words(source_digest: int) -> MatchWords:
    def match_words(
        numbers: Records,
        scratch: Records,
        out: Columns,
        n: int,
        first_pulse: np.uint64,
        pulse: NDArray[np.uint64],
        channel: NDArray[np.uint8],
        time: NDArray[np.int32],
    ) -> tuple[int, int]:
        _ = source_digest
        a, s = numbers[0], scratch[0]
        words = len(pulse)
        fewest = a.fewest
        reach = int(a.reach)
        saturated = 0
        i = 0
        while i < words:
            this = pulse[np.uint64(i)]
            begin = n
            crowded = False
            clusters = 0
            end = min(words, i + MAX_WORDS)
            while i < end and pulse[np.uint64(i)] == this:
                j = i + 1
                while (
                    j < end
                    and pulse[np.uint64(j)] == this
                    and int(time[np.uint64(j)]) - int(time[np.uint64(j - 1)]) <= reach
                ):
                    j += 1
                if j - i >= fewest:
                    n, over = match_cluster(a, s, out, n, int(this - first_pulse), channel, time, i, j)
                    crowded = crowded or over
                    clusters += 1
                elif j - i > 1:
                    count_repeats(a, s, channel, time, i, j)
                i = j
            while i < words and pulse[np.uint64(i)] == this:
                crowded = True
                i += 1
            saturated += crowded
            if clusters > 1:
                for k in range(begin, n):
                    out.multiplicity[k] = min(n - begin, 255)
        return n, saturated

    return match_words


match_words = entry(_make_match_words)
"""Match sound words into hits, appended to `out` from row `n`.

Args:
    numbers: of the anode in bins, shape (1,).
    scratch: for an anode with as many channels, shape (1,).
    out: columns with room for as many hits as the words are enough for.
    n: hits already in `out`.
    first_pulse: the pulse from which `out.pulse` counts.
    pulse, channel, time: the words, ascending in pulse and within a pulse in time, channels below the anode's number.

Returns:
    Number of hits in `out`, and number of pulses in which a bound was passed.
"""
