"""Readings that say the same as many: straight lines between them stay within a tolerance of every value."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kept = NDArray[np.int64]


class Thinner:
    """Chooses, from points that ascend in time, those between which straight lines suffice.

    From a chosen point the next one is the farthest that a line reaches while it passes every point between within the
    tolerance (a swinging door). No line is longer than `longest`.
    """

    def __init__(self, tolerance: float, longest: float) -> None:
        self._tolerance, self._longest = tolerance, longest

    def choose(self, t: Floats, value: Floats) -> Kept:
        """Give the indices of the points to be kept; the first and the last are among them."""
        n, at, kept = len(t), 0, [0] if len(t) else []
        while at < n - 1:
            at = self._next(t, value, at)
            kept.append(at)
        return np.array(kept, np.int64)

    def _next(self, t: Floats, value: Floats, at: int) -> int:
        best, reach = at + 1, 16
        while True:
            end = min(len(t), at + 1 + reach)
            time = t[at + 1 : end] - t[at]
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = (value[at + 1 : end] - value[at]) / time
                room = self._tolerance / time
            low = np.concatenate(([-np.inf], np.maximum.accumulate(slope - room)[:-1]))
            high = np.concatenate(([np.inf], np.minimum.accumulate(slope + room)[:-1]))
            possible = np.flatnonzero((slope >= low) & (slope <= high) & (time <= self._longest))
            if len(possible):
                best = at + 1 + int(possible[-1])
            # The door is shut once its sides cross; beyond that nothing is reachable.
            shut = bool(high[-1] < low[-1]) or time[-1] > self._longest
            if shut or end == len(t):
                return best
            reach *= 4
