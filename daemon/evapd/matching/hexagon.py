"""Kernels for the candidates of a hex anode: MCP and three layers, of which two would be enough.

A candidate is any set of signals that fits an ion by least squares. At the time of an MCP signal, or of a complete
layer where there is none, each layer offers its fitting pairs of ends, its single ends, or nothing.
"""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

import numpy as np

from evapd.compiled import compiled
from evapd.matching.candidates import add
from evapd.matching.fit import fit
from evapd.matching.geometry import d_of_end, find_pairs, round_to_int, walk_of
from evapd.matching.shadow import in_shadow
from evapd.matching.workspace import MAX_OPTIONS, MAX_PAIRS, MAX_STEPS

CHANNELS = 7
LAYERS = 3
_PAIR, _END, _NOTHING = 2, 1, 0


@compiled
def collect_hex(a: np.record, s: np.record, signals: int) -> tuple[int, bool]:
    """Candidates with so many signals from the free ones.

    Returns:
        Number of candidates, and whether a bound was passed.
    """
    s.steps = MAX_STEPS
    n, crowded = 0, False
    full = signals == CHANNELS
    if full or a.with_end_missing:
        n, crowded = _collect_at_mcp(a, s, signals)
    if not full and a.with_mcp_missing and not crowded:
        n, crowded = _collect_without_mcp(a, s, signals, n)
    return n, crowded


@compiled
def _offer(a: np.record, s: np.record, layer: int, t: float, gate: float, ends: int) -> bool:
    """List what a layer can give at time t, single ends where `ends` is 1; say whether a bound was passed."""
    pairs = find_pairs(a, s, layer, t, gate)
    n = min(pairs, MAX_PAIRS)
    for k in range(n):
        s.option_1[layer, k] = s.pair_1[layer, k]
        s.option_2[layer, k] = s.pair_2[layer, k]
        s.option_u[layer, k] = s.pair_u[layer, k]
    s.option_end[layer, 0] = n
    if ends == _END:
        for end in range(2):
            channel = 1 + 2 * layer + end
            for k in range(s.filled[channel]):
                d = d_of_end(a, layer, 1.0 - 2.0 * end, s.time[channel, k] - t)
                if a.d_low[layer] <= d <= a.d_high[layer] and n < MAX_OPTIONS - 1:
                    s.option_1[layer, n] = k if end == 0 else -1
                    s.option_2[layer, n] = k if end == 1 else -1
                    s.option_u[layer, n] = a.u_slope[layer] * d + a.u_zero[layer]
                    n += 1
    s.option_end[layer, 1] = n
    s.option_1[layer, n] = -1
    s.option_2[layer, n] = -1
    s.option_end[layer, 2] = n + 1
    return pairs > MAX_PAIRS


@compiled
def _collect_at_mcp(a: np.record, s: np.record, signals: int) -> tuple[int, bool]:
    n, crowded = 0, False
    ends = _PAIR if signals == CHANNELS else _END
    for m in range(s.filled[0]):
        for layer in range(LAYERS):
            over = _offer(a, s, layer, s.time[0, m], a.sum_gate, ends)
            crowded = crowded or over
        n = _combine(a, s, n, m, signals - 1, -1)
        if n < 0:
            return -n - 1, True
    return n, crowded


@compiled
def _collect_without_mcp(a: np.record, s: np.record, signals: int, n: int) -> tuple[int, bool]:
    crowded = False
    for anchor in range(LAYERS):
        first, second = 1 + 2 * anchor, 2 + 2 * anchor
        for i in range(s.filled[first]):
            for j in range(s.filled[second]):
                d = s.time[first, i] - s.time[second, j]
                if d < a.d_low[anchor] or d > a.d_high[anchor]:
                    continue
                total = s.time[first, i] + s.time[second, j] - a.time_sum[anchor]
                t = 0.5 * (total - walk_of(a, anchor, d))
                for layer in range(LAYERS):
                    if layer != anchor:
                        over = _offer(a, s, layer, t, a.mcp_gate, _END)
                        crowded = crowded or over
                s.option_1[anchor, 0] = i
                s.option_2[anchor, 0] = j
                s.option_u[anchor, 0] = a.u_slope[anchor] * d + a.u_zero[anchor]
                s.option_end[anchor, 0] = 1
                s.option_end[anchor, 1] = 1
                s.option_end[anchor, 2] = 1
                n = _combine(a, s, n, -1, signals, anchor)
                if n < 0:
                    return -n - 1, True
    return n, crowded


@compiled
def _begin(s: np.record, layer: int, ends: int) -> int:
    """First of a layer's options with so many ends; they stop at option_end[layer, 2 - ends]."""
    return 0 if ends == _PAIR else s.option_end[layer, 1 - ends]


@compiled
def _allowed(ends_u: int, ends_v: int, ends_w: int, anchor: int) -> bool:
    """Whether two layers at least take part, and no layer before the anchor with a pair: those were anchors themselves."""
    if ends_w < _NOTHING or ends_w > _PAIR:
        return False
    if (ends_u > 0) + (ends_v > 0) + (ends_w > 0) < 2:
        return False
    if anchor == 0:
        return ends_u == _PAIR
    if anchor == 1:
        return ends_u < _PAIR and ends_v == _PAIR
    return anchor < 0 or (ends_u < _PAIR and ends_v < _PAIR and ends_w == _PAIR)


@compiled
def _combine(a: np.record, s: np.record, n: int, m: int, ends: int, anchor: int) -> int:
    """Add the candidates with so many line ends; number of candidates, or -1 - that number when a bound was passed."""
    for ends_u in range(3):
        for ends_v in range(3):
            ends_w = ends - ends_u - ends_v
            if not _allowed(ends_u, ends_v, ends_w, anchor):
                continue
            all_three = ends_u > 0 and ends_v > 0 and ends_w > 0
            for i in range(_begin(s, 0, ends_u), s.option_end[0, 2 - ends_u]):
                for j in range(_begin(s, 1, ends_v), s.option_end[1, 2 - ends_v]):
                    u_w = a.third[0] * s.option_u[0, i] + a.third[1] * s.option_u[1, j]
                    for k in range(_begin(s, 2, ends_w), s.option_end[2, 2 - ends_w]):
                        s.steps = int(s.steps) - 1
                        if int(s.steps) < 0:
                            return -1 - n
                        if all_three and abs(u_w - s.option_u[2, k]) > a.third_gate:
                            continue
                        added = _add_fitted(a, s, n, m, i, j, k)
                        if added < 0:
                            return -1 - n
                        n += added
    return n


@compiled
def _add_fitted(a: np.record, s: np.record, n: int, m: int, i: int, j: int, k: int) -> int:
    """Fit the options i, j, k of the layers to an ion; 1 when that is a candidate, 0 when not, -1 when the list is full."""
    mask = 0
    if m >= 0:
        mask = 1
        s.one[0] = s.time[0, m]
    for layer in range(LAYERS):
        option = i if layer == 0 else j if layer == 1 else k
        first, second = 1 + 2 * layer, 2 + 2 * layer
        if s.option_1[layer, option] >= 0:
            mask |= 1 << first
            s.one[first] = s.time[first, s.option_1[layer, option]]
        if s.option_2[layer, option] >= 0:
            mask |= 1 << second
            s.one[second] = s.time[second, s.option_2[layer, option]]
    t, x, y, chi2 = fit(a, s, mask)
    signals = 0
    for c in range(CHANNELS):
        signals += mask >> c & 1
    if chi2 > a.gate[signals - 3]:
        return 0
    px, py = round_to_int(x), round_to_int(y)
    if px * px + py * py > a.radius2:
        return 0
    cost = 0.5 * chi2 / a.sigma2
    for c in range(CHANNELS):
        if mask >> c & 1 == 0 and not in_shadow(
            a, s, c, a.origin[c] + t + a.along[c, 0] * x + a.along[c, 1] * y
        ):
            cost += a.penalty
    at = add(s, n, cost, s.time[0, m] if m >= 0 else t, px, py)
    if at < 0:
        return -1
    s.chosen[at, 0] = m
    for layer in range(LAYERS):
        option = i if layer == 0 else j if layer == 1 else k
        s.chosen[at, 1 + 2 * layer] = s.option_1[layer, option]
        s.chosen[at, 2 + 2 * layer] = s.option_2[layer, option]
    return 1
