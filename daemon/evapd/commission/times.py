"""How long a device takes to answer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Times:
    """Durations of one call, s.

    Attributes:
        n: how many.
        median_s: half of them took less.
        longest_s: the longest.
    """

    n: int
    median_s: float
    longest_s: float


def timed(call: Callable[[], object], n: int, clock: Callable[[], float]) -> Times:
    """Make a call `n` times and say how long it took; errors of the device pass through."""
    took_s = np.empty(n)
    for k in range(n):
        began_s = clock()
        call()
        took_s[k] = clock() - began_s
    return Times(n, float(np.median(took_s)), float(np.max(took_s)))
