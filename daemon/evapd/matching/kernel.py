"""The kernel over a block: the words of one pulse after another, the common case first."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evapd.compiled import entry, inlined
from evapd.matching.lone import FULL_MASK, match_five, match_four
from evapd.matching.quad import CHANNELS, take_full, take_incomplete
from evapd.matching.workspace import MAX_SIGNALS, Columns, Quad, Scratch

ONES = tuple(mask.bit_count() for mask in range(FULL_MASK + 1))

MatchWords = Callable[
    [Quad, Scratch, Columns, int, np.uint64, NDArray[np.uint64], NDArray[np.uint8], NDArray[np.int32]],
    tuple[int, int],
]


@inlined
def match_lone(
    q: Quad,
    s: Scratch,
    out: Columns,
    n: int,
    pulse: int,
    channel: NDArray[np.uint8],
    time: NDArray[np.int32],
    a: int,
    b: int,
) -> int:
    """Match a pulse of four or five words, if no channel has more than one and they agree; else n unchanged."""
    mask = 0
    for i in range(a, b):
        c = int(channel[i])
        s.lone[c] = time[i]
        mask |= 1 << c
    if mask == FULL_MASK:
        return match_five(q, s, out, n, pulse)
    if b - a == CHANNELS - 1 and ONES[mask] == CHANNELS - 1:
        return match_four(q, s, out, n, pulse, mask)
    return n


@inlined
def sort_by_channel(s: Scratch, channel: NDArray[np.uint8], time: NDArray[np.int32], a: int, b: int) -> bool:
    """Put the words a to b - 1 of one pulse into the scratch by channel; say whether some did not fit."""
    crowded = False
    for c in range(CHANNELS):
        s.filled[c] = 0
    for i in range(a, b):
        c = int(channel[i])
        k = s.filled[c]
        if k == MAX_SIGNALS:
            crowded = True
        else:
            s.time[c, k] = time[i]
            s.filled[c] = k + 1
    return crowded


def _make_match_words(source_digest: int) -> MatchWords:
    def match_words(
        q: Quad,
        s: Scratch,
        out: Columns,
        n: int,
        first_pulse: np.uint64,
        pulse: NDArray[np.uint64],
        channel: NDArray[np.uint8],
        time: NDArray[np.int32],
    ) -> tuple[int, int]:
        _ = source_digest
        words = len(pulse)
        saturated = 0
        a = 0
        while a < words:
            this = pulse[a]
            b = a + 1
            while b < words and pulse[b] == this:
                b += 1
            begin = n
            offset = int(this - first_pulse)
            if CHANNELS - 1 <= b - a <= CHANNELS:
                n = match_lone(q, s, out, n, offset, channel, time, a, b)
            if n == begin and b - a >= CHANNELS - 1:
                lost = sort_by_channel(s, channel, time, a, b)
                n, crowded = take_full(q, s, out, begin, n, offset)
                n, more_crowded = take_incomplete(q, s, out, begin, n, offset)
                if lost or crowded or more_crowded:
                    saturated += 1
                for k in range(begin, n):
                    out.multiplicity[k] = min(n - begin, 255)
            a = b
        return n, saturated

    return match_words


match_words = entry(_make_match_words)
"""Match sound words into hits, appended to `out` from row `n`.

Args:
    q: numbers of the anode in bins.
    s: scratch.
    out: columns with room for a quarter as many hits as there are words.
    n: hits already in `out`.
    first_pulse: the pulse from which `out.pulse` counts.
    pulse, channel, time: the words, ascending in pulse and within a pulse in time, channels 0 to 4.

Returns:
    Number of hits in `out`, and number of pulses in which a bound was passed.
"""
