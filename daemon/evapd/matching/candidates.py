"""Kernels for candidates: the list of possible hits of one pulse with one number of signals."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

import numpy as np

from evapd.compiled import compiled, inlined
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
def share_signal(s: np.record, k: int, j: int) -> bool:
    """Whether two candidates have a signal in common."""
    shared = False
    for c in range(s.filled.shape[0]):
        shared |= s.chosen[k, c] >= 0 and s.chosen[k, c] == s.chosen[j, c]
    return shared


@compiled
def release_unused(s: np.record, taken: int) -> None:
    """Leave only those signals free that none of the taken candidates has."""
    for c in range(s.filled.shape[0]):
        kept = 0
        for k in range(s.filled[c]):
            free = True
            for i in range(taken):
                free = free and s.chosen[s.taken[i], c] != k
            if free:
                s.time[c, kept] = s.time[c, k]
                kept += 1
        s.filled[c] = kept
