"""The kernel for a pulse in which there is something to choose: hits with the most signals first, no signal twice."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

from collections.abc import Callable

import numpy as np

from evapd.compiled import by_kind, compiled, inlined
from evapd.matching.candidates import missing_of, release_unused
from evapd.matching.choice import choose
from evapd.matching.doubt import is_contested, settle
from evapd.matching.hexagon import collect_hex
from evapd.matching.output import write_hit
from evapd.matching.quad import CHANNELS as QUAD_CHANNELS
from evapd.matching.quad import collect_quad
from evapd.matching.workspace import MAX_FREE, Columns

# Log-likelihood that one signal more gives a hit against signals that meet by chance; far above any cost of a hit.
_SIGNAL_WORTH = 18.0
# Hits with so many signals have one more than unknowns, or none: only these can be doubted.
_DOUBTED = 4


@inlined
def quality_of(missing: int, channels: int) -> int:
    """The code of a hit by the mask of the signals it has not; the table stands in quality.py."""
    if missing == 0:
        return 0
    if channels > QUAD_CHANNELS:
        return 128 + missing
    if missing & (missing - 1):
        return 32 + missing
    code = 1
    while missing >> code:
        code += 1
    return code


@inlined
def contested_of(channels: int) -> int:
    """The code of a hit with all signals, some of which fit nearly as well into another."""
    return 6 if channels == QUAD_CHANNELS else 128


def _collect(a: np.record, s: np.record, signals: int) -> tuple[int, bool]:
    """Candidates with so many signals, and whether a bound was passed."""
    return _collect_of(s.filled.shape[0])(a, s, signals)


@by_kind(_collect)
def _collect_of(channels: int) -> Callable[[np.record, np.record, int], tuple[int, bool]]:
    return collect_quad if channels == QUAD_CHANNELS else collect_hex


@compiled
def match_crowd(a: np.record, s: np.record, out: Columns, begin: int, n: int, pulse: int) -> tuple[int, bool]:
    """Match the signals in `s.time`, level by level of signals per hit.

    Returns:
        Number of hits so far, and whether a bound was passed.
    """
    channels = s.filled.shape[0]
    left = 0
    for c in range(channels):
        left += s.filled[c]
    crowded = False
    signals = min(channels, left)
    while signals >= a.fewest:
        if signals < channels:
            for c in range(channels):
                if s.filled[c] > MAX_FREE:
                    return n, True
        candidates, over = _collect(a, s, signals)
        crowded = crowded or over
        if candidates > 0:
            taken = choose(s, candidates, _SIGNAL_WORTH * (signals - 2), left // signals)
            for k in range(taken):
                if signals > _DOUBTED or settle(a, s, candidates, taken, k):
                    row = s.taken[k]
                    quality = quality_of(missing_of(s, row), channels)
                    if quality == 0 and candidates > taken and is_contested(a, s, candidates, k):
                        quality = contested_of(channels)
                    n = write_hit(a, s, out, begin, n, pulse, s.t[row], s.x[row], s.y[row], quality)
                    s.used += signals
            left -= taken * signals
            if left >= a.fewest:
                release_unused(s, taken)
        signals = min(signals - 1, left)
    return n, crowded
