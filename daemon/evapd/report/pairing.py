"""One-to-one pairs of hits of two lists, within each pulse, by time of flight and then by place."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# Times of flight are 32-bit numbers of ps; pulses must not touch on the common scale.
_LONGEST_PS = 2.0**31
_STEPS_PER_PS = 16
_STEPS_PER_PULSE = 2**36


class Hits(NamedTuple):
    """Hits in any order: pulse number, time of flight in ps, place in um; shapes (n,)."""

    pulse: Integers
    tof_ps: Floats
    x_um: Floats
    y_um: Floats


def pair(a: Hits, b: Hits, tof_ps: float, place_um: float) -> tuple[Integers, Integers]:
    """Pair hits that agree within the tolerances; the nearest pairs are made first and no hit is used twice.

    Args:
        a: one list.
        b: the other.
        tof_ps: largest difference of the times of flight, ps.
        place_um: largest difference along x and along y, um.

    Returns:
        Indices into `a` and into `b`, one row per pair.
    """
    left, right = _close_in_time(a, b, tof_ps)
    near = np.abs(a.x_um[left] - b.x_um[right]) <= place_um
    near &= np.abs(a.y_um[left] - b.y_um[right]) <= place_um
    left, right = left[near], right[near]
    cost = np.abs(a.tof_ps[left] - b.tof_ps[right]) / tof_ps
    cost += np.hypot(a.x_um[left] - b.x_um[right], a.y_um[left] - b.y_um[right]) / place_um
    order = np.argsort(cost, kind="stable")
    left, right = left[order], right[order]
    chosen: list[tuple[Integers, Integers]] = []
    while len(left):
        # Both hits of a pair that is the first for either are each other's nearest; there is always one.
        best = np.zeros(len(left), dtype=np.bool_)
        best[np.unique(left, return_index=True)[1]] = True
        of_right = np.zeros(len(left), dtype=np.bool_)
        of_right[np.unique(right, return_index=True)[1]] = True
        best &= of_right
        chosen.append((left[best], right[best]))
        used = np.isin(left, left[best]) | np.isin(right, right[best])
        left, right = left[~used], right[~used]
    if not chosen:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([pairs[0] for pairs in chosen]), np.concatenate([pairs[1] for pairs in chosen])


def _close_in_time(a: Hits, b: Hits, tof_ps: float) -> tuple[Integers, Integers]:
    """All pairs within one pulse whose times of flight are close."""
    # Ranks of pulses instead of their numbers keep the common scale exact, whatever the numbers are.
    rank = np.unique(np.concatenate((a.pulse, b.pulse)), return_inverse=True)[1].ravel()
    rank_a, rank_b = rank[: len(a.pulse)], rank[len(a.pulse) :]
    order = np.lexsort((b.tof_ps, rank_b))
    key = _scale(rank_b[order], b.tof_ps[order])
    begin = np.searchsorted(key, _scale(rank_a, a.tof_ps - tof_ps), side="left")
    end = np.searchsorted(key, _scale(rank_a, a.tof_ps + tof_ps), side="right")
    many = end - begin
    left = np.repeat(np.arange(len(a.pulse)), many)
    step = np.arange(len(left)) - np.repeat(np.cumsum(many) - many, many)
    return left, order[np.repeat(begin, many) + step]


def _scale(rank: Integers, tof_ps: Floats) -> Integers:
    # Exact in 64 bits for 10^8 pulses with hits.
    steps = np.rint(_STEPS_PER_PS * np.clip(tof_ps, -0.5 * _LONGEST_PS, _LONGEST_PS)).astype(np.int64)
    return rank.astype(np.int64) * _STEPS_PER_PULSE + steps
