"""Dead time: the shortest distance that two words on one channel ever had."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEAR_PS = 3_000.0  # stretch above the shortest distance in which the density of distances is measured
_STRAY = 0.002  # of all distances within GAPS_UP_TO_PS: fewer than this below the dead time are damaged words
_LEAST = 50  # distances in that stretch
_LARGEST_ERROR_PS = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadTime:
    """The dead time in ps with its uncertainty; NaN with the reason in `problem` when it cannot be told."""

    value: float
    error: float
    pairs: int
    problem: str = ""


def estimate_dead_time(gaps: NDArray[np.int64], bin_ps: float) -> DeadTime:
    """Find the dead time, one for all channels.

    The shortest of n distances, spread evenly above the dead time over a stretch L, is on average L / n above it.

    Args:
        gaps: how often two words of a channel were so many bins apart, shape (channels, bins).
        bin_ps: the TDC's bin.
    """
    counts = gaps.sum(axis=0)
    pairs = int(counts.sum())
    if pairs < _LEAST:
        return DeadTime(value=math.nan, error=math.nan, pairs=pairs, problem=_too_few(pairs))
    upto = np.cumsum(counts)
    first = int(np.searchsorted(upto, max(1, int(_STRAY * pairs))))
    stretch = max(2, round(_NEAR_PS / bin_ps))
    near = int(counts[first : first + stretch].sum())
    error = stretch * bin_ps / max(near, 1) * max(1.0, math.sqrt(_STRAY * pairs)) + bin_ps
    if near < _LEAST or error > _LARGEST_ERROR_PS:
        return DeadTime(value=math.nan, error=math.nan, pairs=pairs, problem=_too_few(near))
    below = float(upto[first]) * stretch * bin_ps / near
    # Both words are rounded: their distance may be up to a bin too short.
    return DeadTime(value=max(0.0, (first + 0.5) * bin_ps - below), error=error, pairs=pairs)


def _too_few(near: int) -> str:
    return f"only {near} words followed another one closely enough on their channel"
