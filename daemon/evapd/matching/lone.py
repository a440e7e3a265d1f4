"""Kernels for the common pulse: one ion, one signal per channel, nothing to choose."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

from collections.abc import Callable

import numpy as np

from evapd.compiled import by_kind, compiled, inlined
from evapd.matching.crowd import quality_of
from evapd.matching.fit import fit
from evapd.matching.geometry import d_of_end, place, round_to_int, walk_of
from evapd.matching.output import write_lone
from evapd.matching.quad import CHANNELS as QUAD_CHANNELS
from evapd.matching.quad import twice_mean
from evapd.matching.workspace import Columns

QUAD_MASK = 0b11111
HEX_MASK = 0b1111111


@inlined
def match_five(a: np.record, s: np.record, out: Columns, n: int, pulse: int) -> int:
    """All five signals of a quad anode once: a full hit when they agree; n unchanged when they do not."""
    m = s.one[0]
    d_x, d_y = s.one[1] - s.one[2], s.one[3] - s.one[4]
    r = s.one[1] + s.one[2] - 2.0 * m - a.time_sum[0] - walk_of(a, 0, d_x)
    p = s.one[3] + s.one[4] - 2.0 * m - a.time_sum[1] - walk_of(a, 1, d_y)
    if 3.0 * r * r + 3.0 * p * p - 4.0 * r * p > a.full:
        return n
    x, y, inside = place(a, 0, 1, a.u_slope[0] * d_x + a.u_zero[0], a.u_slope[1] * d_y + a.u_zero[1])
    if not inside:
        return n
    s.used += 5
    return write_lone(a, s, out, n, pulse, m, x, y, 0)


@compiled
def match_four(a: np.record, s: np.record, out: Columns, n: int, pulse: int, mask: int) -> int:
    """Four of the five signals once: a hit when the one redundancy holds; n unchanged when it does not."""
    if mask & 1:
        t, d_x, d_y, agree = _without_end(a, s, mask)
    else:
        t, d_x, d_y, agree = _without_mcp(a, s)
    x, y, inside = place(a, 0, 1, a.u_slope[0] * d_x + a.u_zero[0], a.u_slope[1] * d_y + a.u_zero[1])
    if not (agree and inside):
        return n
    s.used += 4
    return write_lone(a, s, out, n, pulse, t, x, y, quality_of(QUAD_MASK - mask, 5))


@inlined
def _without_mcp(a: np.record, s: np.record) -> tuple[float, float, float, bool]:
    """Time and differences of the ends by two complete layers, and whether they agree on the time."""
    twice_x = twice_mean(a, 0, s.one[1], s.one[2])
    r = twice_mean(a, 1, s.one[3], s.one[4]) - twice_x
    agree = a.with_mcp_missing and abs(r) <= a.mcp_gate
    return 0.5 * twice_x + 0.25 * r, s.one[1] - s.one[2], s.one[3] - s.one[4], agree


@inlined
def _without_end(a: np.record, s: np.record, mask: int) -> tuple[float, float, float, bool]:
    """Time and differences of the ends by MCP, one complete layer, whose time sum is the check, and one end."""
    whole = 1 if mask & 0b110 != 0b110 else 0
    layer = 1 - whole
    end = 0 if mask >> (1 + 2 * layer) & 1 else 1
    t = s.one[0]
    d = s.one[1 + 2 * whole] - s.one[2 + 2 * whole]
    r = twice_mean(a, whole, s.one[1 + 2 * whole], s.one[2 + 2 * whole]) - 2.0 * t
    other = d_of_end(a, layer, 1.0 - 2.0 * end, s.one[1 + 2 * layer + end] - (t + r / 3.0))
    agree = a.with_end_missing and abs(r) <= a.end_gate and a.d_low[layer] <= other <= a.d_high[layer]
    if whole == 0:
        return t, d, other, agree
    return t, other, d, agree


@compiled
def match_fitted(
    a: np.record, s: np.record, out: Columns, n: int, pulse: int, mask: int, signals: int
) -> int:
    """Six or seven signals of a hex anode once: a hit when they agree; n unchanged when they do not."""
    if (mask & 1 == 0 and not a.with_mcp_missing) or (mask | 1 != HEX_MASK and not a.with_end_missing):
        return n
    t, x, y, chi2 = fit(a, s, mask)
    if chi2 > a.gate[signals - 3]:
        return n
    x, y = round_to_int(x), round_to_int(y)
    if x * x + y * y > a.radius2:
        return n
    s.used += signals
    return write_lone(a, s, out, n, pulse, s.one[0] if mask & 1 else t, x, y, quality_of(HEX_MASK - mask, 7))


@inlined
def _ones(mask: int) -> int:
    count = 0
    for k in range(7):
        count += mask >> k & 1
    return count


@inlined
def _match_quad(a: np.record, s: np.record, out: Columns, n: int, pulse: int, mask: int, words: int) -> int:
    if words == 5:
        return match_five(a, s, out, n, pulse) if mask == QUAD_MASK else n
    return match_four(a, s, out, n, pulse, mask) if _ones(mask) == 4 else n


@inlined
def _match_hex(a: np.record, s: np.record, out: Columns, n: int, pulse: int, mask: int, words: int) -> int:
    return match_fitted(a, s, out, n, pulse, mask, words) if _ones(mask) == words else n


def match_mask(a: np.record, s: np.record, out: Columns, n: int, pulse: int, mask: int, words: int) -> int:
    """Match the words in `s.one`, all but at most one of the anode's channels; n unchanged when they do not agree."""
    return _matching_of(s.filled.shape[0])(a, s, out, n, pulse, mask, words)


@by_kind(match_mask)
def _matching_of(channels: int) -> Callable[[np.record, np.record, Columns, int, int, int, int], int]:
    return _match_quad if channels == QUAD_CHANNELS else _match_hex
