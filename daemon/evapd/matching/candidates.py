"""Kernels for candidates: the list of possible hits of one pulse with one number of signals."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

import numpy as np

from evapd.compiled import compiled, inlined
from evapd.matching.bits import NO_BITS, bit, first_bits, has_bit
from evapd.matching.workspace import MAX_CANDIDATES


@inlined
def add(s: np.record, n: int, cost: float, t: float, x: float, y: float) -> int:
    """Add a candidate without signals; give its row, or -1 when the list is full."""
    if n >= MAX_CANDIDATES:
        return -1
    s.cost[n] = cost
    s.t[n] = t
    s.x[n] = x
    s.y[n] = y
    for c in range(s.filled.shape[0]):
        s.chosen[n, c] = -1
    return n


@compiled
def missing_of(s: np.record, k: int) -> int:
    """Mask of the channels of which a candidate has no signal."""
    missing = 0
    for c in range(s.filled.shape[0]):
        if s.chosen[k, c] < 0:
            missing |= 1 << c
    return missing


@compiled
def digest(s: np.record, n: int) -> None:
    """Note the signals of n candidates as bits, to see quickly that two share none."""
    for k in range(n):
        bits = NO_BITS
        for c in range(s.filled.shape[0]):
            if s.chosen[k, c] >= 0:
                bits |= bit((9 * c + s.chosen[k, c]) & 63)
        s.signals[k] = bits


@inlined
def share_signal(s: np.record, k: int, j: int) -> bool:
    """Whether two candidates have a signal in common; after `digest`."""
    return bool(s.signals[k] & s.signals[j] != NO_BITS) and _share_signal(s, k, j)


@compiled
def _share_signal(s: np.record, k: int, j: int) -> bool:
    shared = False
    for c in range(s.filled.shape[0]):
        shared |= s.chosen[k, c] >= 0 and s.chosen[k, c] == s.chosen[j, c]
    return shared


@inlined
def leave_all(s: np.record) -> None:
    """Mark all free signals as left."""
    for c in range(s.filled.shape[0]):
        s.left[c] = first_bits(s.filled[c])


@inlined
def use(s: np.record, k: int) -> None:
    """Unmark the signals of a candidate."""
    for c in range(s.filled.shape[0]):
        if s.chosen[k, c] >= 0:
            strike(s, c, s.chosen[k, c])


@inlined
def strike(s: np.record, c: int, k: int) -> None:
    """Unmark a free signal."""
    s.left[c] &= ~bit(k)


@inlined
def is_left(s: np.record, c: int, k: int) -> bool:
    """Whether a free signal is marked."""
    return has_bit(s.left[c], k)


@compiled
def release_unused(s: np.record, taken: int) -> None:
    """Leave only those signals free that none of the taken candidates has."""
    leave_all(s)
    for i in range(taken):
        use(s, s.taken[i])
    for c in range(s.filled.shape[0]):
        kept = 0
        for k in range(s.filled[c]):
            s.time[c, kept] = s.time[c, k]
            kept += is_left(s, c, k)
        s.filled[c] = kept
