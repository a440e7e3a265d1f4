"""Kernels for one pulse of a quad anode: collect every possible hit, take the best first, use no signal twice."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

import numpy as np

from evapd.compiled import compiled
from evapd.matching.geometry import find_pairs, place, write_hit
from evapd.matching.workspace import MAX_CANDIDATES, MAX_FREE, MAX_PAIRS, Columns, Quad, Scratch

CHANNELS = 5


@compiled
def pairs_x(q: Quad, s: Scratch, t_mcp: float, gate: float) -> int:
    """Pairs of x ends that fit an MCP signal."""
    return find_pairs(s, 0, t_mcp, q.sum_x, gate, q.d_x_low, q.d_x_high, q.u_x, q.u_x0)


@compiled
def pairs_y(q: Quad, s: Scratch, t_mcp: float, gate: float) -> int:
    """Pairs of y ends that fit an MCP signal."""
    return find_pairs(s, 1, t_mcp, q.sum_y, gate, q.d_y_low, q.d_y_high, q.u_y, q.u_y0)


@compiled
def collect_full(q: Quad, s: Scratch) -> tuple[int, bool]:
    """Every combination of five signals that is consistent and on the detector, with its cost.

    Returns:
        Number of candidates, and whether a bound was passed.
    """
    n = 0
    crowded = False
    for m in range(s.filled[0]):
        t_mcp = s.time[0, m]
        n_x = pairs_x(q, s, t_mcp, q.sum_gate)
        if n_x == 0:
            continue
        n_y = pairs_y(q, s, t_mcp, q.sum_gate)
        crowded = crowded or n_x > MAX_PAIRS or n_y > MAX_PAIRS
        for i in range(min(n_x, MAX_PAIRS)):
            r = s.pair_r[0, i]
            for j in range(min(n_y, MAX_PAIRS)):
                p = s.pair_r[1, j]
                cost = 3.0 * r * r + 3.0 * p * p - 4.0 * r * p
                if cost > q.full:
                    continue
                _, _, inside = place(q, s.pair_u[0, i], s.pair_u[1, j])
                if not inside:
                    continue
                if n == MAX_CANDIDATES:
                    return n, True
                s.cost[n] = cost
                s.chosen[n, 0] = m
                s.chosen[n, 1] = s.pair_1[0, i]
                s.chosen[n, 2] = s.pair_2[0, i]
                s.chosen[n, 3] = s.pair_1[1, j]
                s.chosen[n, 4] = s.pair_2[1, j]
                n += 1
    return n, crowded


@compiled
def best_candidate(s: Scratch, n: int) -> int:
    """The cheapest candidate all of whose signals are free, the earlier one on a tie; -1 without any."""
    best = -1
    for k in range(n):
        if best >= 0 and s.cost[k] >= s.cost[best]:
            continue
        free = True
        for c in range(CHANNELS):
            free = free and s.free[c, s.chosen[k, c]]
        if free:
            best = k
    return best


@compiled
def take_full(q: Quad, s: Scratch, out: Columns, begin: int, n: int, pulse: int) -> tuple[int, bool]:
    """Hits with all five signals; what they leave over stays in the scratch.

    Returns:
        Number of hits so far, and whether a bound was passed.
    """
    candidates, crowded = collect_full(q, s)
    if candidates == 0:
        return n, crowded
    s.free[:, :] = True
    while True:
        k = best_candidate(s, candidates)
        if k < 0:
            break
        for c in range(CHANNELS):
            s.free[c, s.chosen[k, c]] = False
        d_x = s.time[1, s.chosen[k, 1]] - s.time[2, s.chosen[k, 2]]
        d_y = s.time[3, s.chosen[k, 3]] - s.time[4, s.chosen[k, 4]]
        x, y, _ = place(q, q.u_x * d_x + q.u_x0, q.u_y * d_y + q.u_y0)
        n = write_hit(q, s, out, begin, n, pulse, s.time[0, s.chosen[k, 0]], x, y, 0)
    for c in range(CHANNELS):
        kept = 0
        for k in range(s.filled[c]):
            if s.free[c, k]:
                s.time[c, kept] = s.time[c, k]
                kept += 1
        s.filled[c] = kept
    return n, crowded


@compiled
def remove(s: Scratch, channel: int, at: int) -> None:
    """Take a signal out of the scratch: it is used."""
    s.filled[channel] -= 1
    for k in range(at, s.filled[channel]):
        s.time[channel, k] = s.time[channel, k + 1]


@compiled
def lone_end(q: Quad, s: Scratch, t_mcp: float, layer: int, u_other: float) -> tuple[int, int, float, float]:
    """The only signal of a layer that, with its time sum, gives a position on the detector.

    Args:
        q: numbers of the anode.
        s: scratch with the free signals.
        t_mcp: MCP signal of the hit.
        layer: the incomplete layer, 0 x or 1 y.
        u_other: um along the axis of the complete layer.

    Returns:
        Channel (0 when there is none or more than one), index, and position x and y.
    """
    found, at, x, y = 0, 0, 0.0, 0.0
    time_sum = q.sum_x if layer == 0 else q.sum_y
    for end in range(1, 3):
        channel = 2 * layer + end
        for k in range(s.filled[channel]):
            d = 2.0 * (s.time[channel, k] - t_mcp) - time_sum
            if end == 2:
                d = -d
            if layer == 0:
                if d < q.d_x_low or d > q.d_x_high:
                    continue
                x_here, y_here, inside = place(q, q.u_x * d + q.u_x0, u_other)
            else:
                if d < q.d_y_low or d > q.d_y_high:
                    continue
                x_here, y_here, inside = place(q, u_other, q.u_y * d + q.u_y0)
            if inside:
                if found > 0:
                    return 0, 0, 0.0, 0.0
                found, at, x, y = channel, k, x_here, y_here
    return found, at, x, y


@compiled
def take_end_missing(q: Quad, s: Scratch, out: Columns, begin: int, n: int, pulse: int) -> int:
    """Hits of an MCP signal, a complete layer, and the one possible signal of the other layer."""
    while True:
        cost, channel, at, m, first, second, layer = np.inf, 0, 0, 0, 0, 0, 0
        x, y = 0.0, 0.0
        for a in range(s.filled[0]):
            t_mcp = s.time[0, a]
            for whole in range(2):
                pairs = pairs_x(q, s, t_mcp, q.end_gate) if whole == 0 else pairs_y(q, s, t_mcp, q.end_gate)
                for k in range(min(pairs, MAX_PAIRS)):
                    if abs(s.pair_r[whole, k]) >= cost:
                        continue
                    here, index, x_here, y_here = lone_end(q, s, t_mcp, 1 - whole, s.pair_u[whole, k])
                    if here > 0:
                        cost, channel, at, m, layer = abs(s.pair_r[whole, k]), here, index, a, whole
                        first, second = s.pair_1[whole, k], s.pair_2[whole, k]
                        x, y = x_here, y_here
        if channel == 0:
            return n
        missing = channel + 1 if channel % 2 == 1 else channel - 1
        n = write_hit(q, s, out, begin, n, pulse, s.time[0, m], x, y, missing + 1)
        remove(s, 0, m)
        remove(s, 1 + 2 * layer, first)
        remove(s, 2 + 2 * layer, second)
        remove(s, channel, at)


@compiled
def take_mcp_missing(q: Quad, s: Scratch, out: Columns, begin: int, n: int, pulse: int) -> int:
    """Hits of two complete layers that agree on the time, without an MCP signal."""
    while True:
        cost, t, x, y = np.inf, 0.0, 0.0, 0.0
        x_1, x_2, y_1, y_2 = 0, 0, 0, 0
        for i in range(s.filled[1]):
            for j in range(s.filled[2]):
                d_x = s.time[1, i] - s.time[2, j]
                if d_x < q.d_x_low or d_x > q.d_x_high:
                    continue
                twice_x = s.time[1, i] + s.time[2, j] - q.sum_x
                for k in range(s.filled[3]):
                    for m in range(s.filled[4]):
                        twice_y = s.time[3, k] + s.time[4, m] - q.sum_y
                        apart = abs(twice_x - twice_y)
                        if apart > q.mcp_gate or apart >= cost:
                            continue
                        d_y = s.time[3, k] - s.time[4, m]
                        x_here, y_here, inside = place(q, q.u_x * d_x + q.u_x0, q.u_y * d_y + q.u_y0)
                        if inside:
                            cost, t, x, y = apart, 0.25 * (twice_x + twice_y), x_here, y_here
                            x_1, x_2, y_1, y_2 = i, j, k, m
        if cost == np.inf:
            return n
        n = write_hit(q, s, out, begin, n, pulse, t, x, y, 1)
        remove(s, 1, x_1)
        remove(s, 2, x_2)
        remove(s, 3, y_1)
        remove(s, 4, y_2)


@compiled
def take_incomplete(q: Quad, s: Scratch, out: Columns, begin: int, n: int, pulse: int) -> tuple[int, bool]:
    """Hits with one signal missing, from what the full hits left over."""
    for c in range(CHANNELS):
        if s.filled[c] > MAX_FREE:
            return n, True
    if q.with_mcp_missing:
        n = take_mcp_missing(q, s, out, begin, n, pulse)
    if q.with_end_missing:
        n = take_end_missing(q, s, out, begin, n, pulse)
    return n, False
