"""Kernels that doubt a hit: could another candidate stand in its place, and what would each leave unexplained?

Two ions of one pulse may leave signals that can be told apart in two ways alike. A hit that is only one of two equal
stories is not made. Stories differ in how well their hits agree, in whether missing signals fell into a dead time, and
in how many left-over signals fit no further ion, be it one of which too little is left to be a hit.
"""

import numpy as np

from evapd.compiled import compiled
from evapd.matching.bits import count_bits
from evapd.matching.candidates import is_left, leave_all, share_signal, strike, use
from evapd.matching.geometry import d_of_end, place, walk_of
from evapd.matching.shadow import in_shadow

_SAME_PLACE_UM = 300.0


@compiled
def settle(a: np.record, s: np.record, n: int, taken: int, k: int) -> bool:
    """Whether the k-th of the taken candidates may become a hit.

    Where another of the n candidates tells the better story, it takes its place first.
    """
    rival, worse = _rival(a, s, n, taken, k)
    if rival >= 0 and worse < -a.margin:
        s.taken[k] = rival
        rival, worse = _rival(a, s, n, taken, k)
    return rival < 0 or worse >= a.margin


@compiled
def is_contested(a: np.record, s: np.record, n: int, k: int) -> bool:
    """Whether some of the k-th taken candidate's signals fit nearly as well into another of the n candidates."""
    mine = s.taken[k]
    contested = False
    for j in range(n):
        near = j != mine and s.cost[j] < s.cost[mine] + a.contest
        contested = contested or (near and share_signal(s, mine, j) and _is_elsewhere(a, s, mine, j))
    return contested


@compiled
def _rival(a: np.record, s: np.record, n: int, taken: int, k: int) -> tuple[int, float]:
    """The best of the candidates that could stand in the place of a taken one, and by how much it is worse."""
    mine = s.taken[k]
    unexplained = -1
    rival, least = -1, np.inf
    for j in range(n):
        if not (share_signal(s, mine, j) and _is_elsewhere(a, s, mine, j) and _fits(s, taken, k, j)):
            continue
        if unexplained < 0:
            unexplained = _unexplained_with(a, s, taken, k, mine)
        more = _unexplained_with(a, s, taken, k, j) - unexplained
        worse = s.cost[j] - s.cost[mine] + a.unexplained * more
        if worse < least:
            rival, least = j, worse
    return rival, least


@compiled
def _is_elsewhere(a: np.record, s: np.record, k: int, j: int) -> bool:
    """Whether two candidates are different ions, not one seen through other signals."""
    dx, dy = s.x[k] - s.x[j], s.y[k] - s.y[j]
    apart = dx * dx + dy * dy > _SAME_PLACE_UM * _SAME_PLACE_UM
    return bool(apart or abs(s.t[k] - s.t[j]) > a.same_time)


@compiled
def _fits(s: np.record, taken: int, k: int, j: int) -> bool:
    """Whether candidate j shares no signal with the taken ones but the k-th."""
    fits = True
    for i in range(taken):
        fits = fits and (i == k or not share_signal(s, s.taken[i], j))
    return fits


@compiled
def _unexplained_with(a: np.record, s: np.record, taken: int, k: int, instead: int) -> int:
    """Signals that belong to no ion if `instead` stood in the place of the k-th taken candidate."""
    leave_all(s)
    for i in range(taken):
        use(s, instead if i == k else s.taken[i])
    for layer in range(a.time_sum.shape[0]):
        for i in range(s.filled[1 + 2 * layer]):
            if is_left(s, 1 + 2 * layer, i):
                _explain_end(a, s, layer, i)
    left = 0
    for c in range(s.filled.shape[0]):
        left += count_bits(s.left[c])
    return left


@compiled
def _explain_end(a: np.record, s: np.record, layer: int, i: int) -> None:
    """Unmark the signals of an ion that came in the MCP's dead time and of which this first end is left."""
    first, second = 1 + 2 * layer, 2 + 2 * layer
    for j in range(s.filled[second]):
        if not is_left(s, second, j):
            continue
        d = s.time[first, i] - s.time[second, j]
        if d < a.d_low[layer] or d > a.d_high[layer]:
            continue
        t = 0.5 * (s.time[first, i] + s.time[second, j] - a.time_sum[layer] - walk_of(a, layer, d))
        if not in_shadow(a, s, 0, t):
            continue
        strike(s, first, i)
        strike(s, second, j)
        _explain_further_end(a, s, layer, t, a.u_slope[layer] * d + a.u_zero[layer])
        return


@compiled
def _explain_further_end(a: np.record, s: np.record, layer: int, t: float, u: float) -> None:
    """Unmark one more signal of that ion: a left-over end of another layer that puts it on the detector."""
    for other in range(a.time_sum.shape[0]):
        if other == layer:
            continue
        for end in range(2):
            channel = 1 + 2 * other + end
            for k in range(s.filled[channel]):
                if not is_left(s, channel, k):
                    continue
                d = d_of_end(a, other, 1.0 - 2.0 * end, s.time[channel, k] - t)
                if d < a.d_low[other] or d > a.d_high[other]:
                    continue
                _, _, inside = place(a, layer, other, u, a.u_slope[other] * d + a.u_zero[other])
                if inside:
                    strike(s, channel, k)
                    return
