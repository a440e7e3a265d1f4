"""Kernels for the candidates of a quad anode: MCP and two layers, each with its ends.

With one signal missing, the least-squares estimates have a short form: a complete layer whose time sum deviates by r
puts the ion at the MCP's time + r/3, and without MCP the time is the mean of the two layers'.
"""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

import numpy as np

from evapd.compiled import compiled, inlined
from evapd.matching.candidates import add
from evapd.matching.geometry import d_of_end, find_pairs, place, walk_of
from evapd.matching.shadow import in_shadow
from evapd.matching.workspace import MAX_PAIRS

CHANNELS = 5


@compiled
def collect_quad(a: np.record, s: np.record, signals: int) -> tuple[int, bool]:
    """Candidates with so many signals from the free ones.

    Returns:
        Number of candidates, and whether a bound was passed.
    """
    if signals == CHANNELS:
        return _collect_full(a, s)
    n, crowded = 0, False
    if signals == CHANNELS - 1:
        if a.with_end_missing:
            n, crowded = _collect_end_missing(a, s)
        if a.with_mcp_missing and not crowded:
            n, crowded = _collect_mcp_missing(a, s, n)
        return n, crowded
    n, crowded = _collect_mcp_and_ends(a, s)
    if not crowded:
        n, crowded = _collect_layer_and_end(a, s, n)
    return n, crowded


@inlined
def full_cost(a: np.record, r: float, p: float) -> float:
    """chi2 / 2 of the two time sums' deviations."""
    return float((3.0 * r * r + 3.0 * p * p - 4.0 * r * p) / (20.0 * a.sigma2))


@compiled
def _collect_full(a: np.record, s: np.record) -> tuple[int, bool]:
    n = 0
    crowded = False
    for m in range(s.filled[0]):
        t = s.time[0, m]
        n_x = find_pairs(a, s, 0, t, a.sum_gate)
        if n_x == 0:
            continue
        n_y = find_pairs(a, s, 1, t, a.sum_gate)
        crowded = crowded or n_x > MAX_PAIRS or n_y > MAX_PAIRS
        for i in range(min(n_x, MAX_PAIRS)):
            r = s.pair_r[0, i]
            for j in range(min(n_y, MAX_PAIRS)):
                p = s.pair_r[1, j]
                if 3.0 * r * r + 3.0 * p * p - 4.0 * r * p > a.full:
                    continue
                x, y, inside = place(a, 0, 1, s.pair_u[0, i], s.pair_u[1, j])
                if not inside:
                    continue
                at = add(s, n, full_cost(a, r, p), t, x, y)
                if at < 0:
                    return n, True
                s.chosen[at, 0] = m
                s.chosen[at, 1] = s.pair_1[0, i]
                s.chosen[at, 2] = s.pair_2[0, i]
                s.chosen[at, 3] = s.pair_1[1, j]
                s.chosen[at, 4] = s.pair_2[1, j]
                n += 1
    return n, crowded


@compiled
def _collect_end_missing(a: np.record, s: np.record) -> tuple[int, bool]:
    """An MCP signal, a complete layer, and one end of the other."""
    n = 0
    crowded = False
    for m in range(s.filled[0]):
        t_mcp = s.time[0, m]
        for whole in range(2):
            layer = 1 - whole
            if s.filled[1 + 2 * layer] + s.filled[2 + 2 * layer] == 0:
                continue
            pairs = find_pairs(a, s, whole, t_mcp, a.end_gate)
            crowded = crowded or pairs > MAX_PAIRS
            for k in range(min(pairs, MAX_PAIRS)):
                t = t_mcp + s.pair_r[whole, k] / 3.0
                agreement = s.pair_r[whole, k] * s.pair_r[whole, k] / (12.0 * a.sigma2)
                for end in range(2):
                    channel = 1 + 2 * layer + end
                    missing = 2 + 2 * layer - end
                    for i in range(s.filled[channel]):
                        after = s.time[channel, i] - t
                        d = d_of_end(a, layer, 1.0 - 2.0 * end, after)
                        if d < a.d_low[layer] or d > a.d_high[layer]:
                            continue
                        x, y, inside = place(
                            a, whole, layer, s.pair_u[whole, k], a.u_slope[layer] * d + a.u_zero[layer]
                        )
                        if not inside:
                            continue
                        when = t - after + a.time_sum[layer] + walk_of(a, layer, d)
                        lost = 0.0 if in_shadow(a, s, missing, when) else a.penalty
                        at = add(s, n, agreement + lost, t_mcp, x, y)
                        if at < 0:
                            return n, True
                        s.chosen[at, 0] = m
                        s.chosen[at, 1 + 2 * whole] = s.pair_1[whole, k]
                        s.chosen[at, 2 + 2 * whole] = s.pair_2[whole, k]
                        s.chosen[at, channel] = i
                        n += 1
    return n, crowded


@inlined
def twice_mean(a: np.record, layer: int, one: float, other: float) -> float:
    """Twice the time of an ion by both ends of a layer."""
    return float(one + other - a.time_sum[layer] - walk_of(a, layer, one - other))


@compiled
def _collect_mcp_missing(a: np.record, s: np.record, n: int) -> tuple[int, bool]:
    """Two complete layers that agree on the time."""
    for i in range(s.filled[1]):
        for j in range(s.filled[2]):
            d_x = s.time[1, i] - s.time[2, j]
            if d_x < a.d_low[0] or d_x > a.d_high[0]:
                continue
            twice_x = twice_mean(a, 0, s.time[1, i], s.time[2, j])
            pairs = find_pairs(a, s, 1, 0.5 * twice_x, a.mcp_gate)
            if pairs > MAX_PAIRS:
                return n, True
            for k in range(pairs):
                r = s.pair_r[1, k]
                x, y, inside = place(a, 0, 1, a.u_slope[0] * d_x + a.u_zero[0], s.pair_u[1, k])
                if not inside:
                    continue
                t = 0.5 * twice_x + 0.25 * r
                lost = 0.0 if in_shadow(a, s, 0, t) else a.penalty
                at = add(s, n, r * r / (8.0 * a.sigma2) + lost, t, x, y)
                if at < 0:
                    return n, True
                s.chosen[at, 1] = i
                s.chosen[at, 2] = j
                s.chosen[at, 3] = s.pair_1[1, k]
                s.chosen[at, 4] = s.pair_2[1, k]
                n += 1
    return n, False


@compiled
def _add_with_end(
    a: np.record, s: np.record, n: int, layer: int, t: float, t_mcp: float, u_other: float, end: int, i: int
) -> tuple[int, float]:
    """A risky candidate with one end of `layer`; give its row (-1 list full, -2 not on the detector) and the walk-free time of the missing end."""
    channel = 1 + 2 * layer + end
    after = s.time[channel, i] - t
    d = d_of_end(a, layer, 1.0 - 2.0 * end, after)
    if d < a.d_low[layer] or d > a.d_high[layer]:
        return -2, 0.0
    x, y, inside = place(a, 1 - layer, layer, u_other, a.u_slope[layer] * d + a.u_zero[layer])
    if not inside:
        return -2, 0.0
    at = add(s, n, 0.0, t_mcp, x, y)
    if at >= 0:
        s.chosen[at, channel] = i
    return at, t - after + a.time_sum[layer] + walk_of(a, layer, d)


@compiled
def _collect_mcp_and_ends(a: np.record, s: np.record) -> tuple[int, bool]:
    """Risky: an MCP signal and one end of each layer."""
    n = 0
    for m in range(s.filled[0]):
        t = s.time[0, m]
        for end_x in range(2):
            for i in range(s.filled[1 + end_x]):
                after = s.time[1 + end_x, i] - t
                d = d_of_end(a, 0, 1.0 - 2.0 * end_x, after)
                if d < a.d_low[0] or d > a.d_high[0]:
                    continue
                u = a.u_slope[0] * d + a.u_zero[0]
                when_x = t - after + a.time_sum[0] + walk_of(a, 0, d)
                lost = 0.0 if in_shadow(a, s, 2 - end_x, when_x) else a.penalty
                for end_y in range(2):
                    for j in range(s.filled[3 + end_y]):
                        at, when = _add_with_end(a, s, n, 1, t, t, u, end_y, j)
                        if at == -1:
                            return n, True
                        if at < 0:
                            continue
                        s.cost[at] = lost + (0.0 if in_shadow(a, s, 4 - end_y, when) else a.penalty)
                        s.chosen[at, 0] = m
                        s.chosen[at, 1 + end_x] = i
                        n += 1
    return n, False


@compiled
def _collect_layer_and_end(a: np.record, s: np.record, n: int) -> tuple[int, bool]:
    """Risky: a complete layer, which gives the time, and one end of the other."""
    for whole in range(2):
        first, second = 1 + 2 * whole, 2 + 2 * whole
        layer = 1 - whole
        for i in range(s.filled[first]):
            for j in range(s.filled[second]):
                d = s.time[first, i] - s.time[second, j]
                if d < a.d_low[whole] or d > a.d_high[whole]:
                    continue
                t = 0.5 * twice_mean(a, whole, s.time[first, i], s.time[second, j])
                lost = 0.0 if in_shadow(a, s, 0, t) else a.penalty
                u = a.u_slope[whole] * d + a.u_zero[whole]
                for end in range(2):
                    for k in range(s.filled[1 + 2 * layer + end]):
                        at, when = _add_with_end(a, s, n, layer, t, t, u, end, k)
                        if at == -1:
                            return n, True
                        if at < 0:
                            continue
                        s.cost[at] = lost + (0.0 if in_shadow(a, s, 2 + 2 * layer - end, when) else a.penalty)
                        s.chosen[at, first] = i
                        s.chosen[at, second] = j
                        n += 1
    return n, False
