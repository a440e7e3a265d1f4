"""Kernels that choose among candidates: the set with the most hits and, among those, the best agreement."""

import numpy as np

from evapd.compiled import compiled
from evapd.matching.bits import NO_BITS, bit, count_bits, first_bits, lowest_bit
from evapd.matching.candidates import digest, share_signal
from evapd.matching.workspace import MAX_NODES, MAX_SEARCHED

_FREE, _TAKEN, _EXCLUDED = 0, 1, 2
_EVEN = 1e-9  # gains closer than this are even: rounding must not decide


@compiled
def choose(s: np.record, n: int, worth: float, most: int) -> int:
    """Choose the hits among n candidates, no signal twice.

    Best first; where that had to leave out a candidate and they are few enough, the best set is searched.

    Args:
        s: scratch; the chosen candidates' rows are left in `taken`.
        n: candidates.
        worth: log-likelihood of a hit, before its cost.
        most: how many hits the signals are enough for.

    Returns:
        Number of hits.
    """
    if n == 1:
        s.taken[0] = 0
        return 1
    digest(s, n)
    taken = _best_first(s, n)
    if taken == n or taken == most == 1 or n > MAX_SEARCHED:
        return taken
    return _search(s, n, worth, most, taken)


@compiled
def _best_first(s: np.record, n: int) -> int:
    for k in range(n):
        s.state[k] = _FREE
    taken = 0
    while True:
        best = -1
        for k in range(n):
            if s.state[k] == _FREE and (best < 0 or s.cost[k] < s.cost[best]):
                best = k
        if best < 0:
            return taken
        s.state[best] = _TAKEN
        s.taken[taken] = best
        taken += 1
        for k in range(n):
            if s.state[k] == _FREE and share_signal(s, best, k):
                s.state[k] = _EXCLUDED


@compiled
def _sort_by_cost(s: np.record, n: int) -> None:
    for k in range(n):
        at = k
        while at > 0 and s.cost[s.order[at - 1]] > s.cost[k]:
            s.order[at] = s.order[at - 1]
            at -= 1
        s.order[at] = k
    for k in range(n):
        s.excludes[k] = bit(k)
    for k in range(n):
        for j in range(k + 1, n):
            if share_signal(s, s.order[k], s.order[j]):
                s.excludes[k] |= bit(j)
                s.excludes[j] |= bit(k)


@compiled
def _search(s: np.record, n: int, worth: float, most: int, taken: int) -> int:
    """Depth first over the candidates by cost, each taken and then left out, with a bound on what may still come.

    What best-first found is the set to beat; after MAX_NODES steps the best so far stands.
    """
    _sort_by_cost(s, n)
    best = 0.0
    for k in range(taken):
        best += worth - s.cost[s.taken[k]]
    depth = 0
    s.open[0] = first_bits(n)
    s.gain[0] = 0.0
    for _ in range(MAX_NODES):
        left = s.open[depth]
        k = lowest_bit(left) if left != NO_BITS else 0
        more = min(most - depth, count_bits(left))
        if more > 0 and s.gain[depth] + more * (worth - s.cost[s.order[k]]) > best + _EVEN:
            # One level deeper it is taken; when the search comes back here, it is left out.
            s.open[depth] = left & ~bit(k)
            s.picked[depth] = s.order[k]
            s.open[depth + 1] = left & ~s.excludes[k]
            s.gain[depth + 1] = s.gain[depth] + worth - s.cost[s.order[k]]
            depth += 1
            if s.gain[depth] > best + _EVEN:
                best = s.gain[depth]
                taken = depth
                for i in range(depth):
                    s.taken[i] = s.picked[i]
        elif depth == 0:
            break
        else:
            depth -= 1
    return taken
