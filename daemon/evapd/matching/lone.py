"""Kernels for the common pulse: one ion, one signal per channel, nothing to choose."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

import numpy as np

from evapd.compiled import inlined
from evapd.matching.geometry import place, round_to_int
from evapd.matching.workspace import Columns, Quad, Scratch

FULL_MASK = 0b11111
MCP_MISSING_MASK = 0b11110


@inlined
def write_lone(
    q: Quad, s: Scratch, out: Columns, n: int, pulse: int, t: float, x: float, y: float, quality: int
) -> int:
    """Add the only hit of a pulse."""
    out.pulse[n] = pulse
    out.tof_ps[n] = np.int32(round_to_int(t * q.ps_num / q.ps_den))
    out.x_um[n] = np.int32(x)
    out.y_um[n] = np.int32(y)
    out.quality[n] = quality
    out.multiplicity[n] = 1
    s.hits[quality] += 1
    return n + 1


@inlined
def match_five(q: Quad, s: Scratch, out: Columns, n: int, pulse: int) -> int:
    """All five signals once: a full hit when they agree; n unchanged when they do not."""
    m, x_1, x_2, y_1, y_2 = s.lone[0], s.lone[1], s.lone[2], s.lone[3], s.lone[4]
    r = x_1 + x_2 - 2.0 * m - q.sum_x
    p = y_1 + y_2 - 2.0 * m - q.sum_y
    if 3.0 * r * r + 3.0 * p * p - 4.0 * r * p > q.full:
        return n
    x, y, inside = place(q, q.u_x * (x_1 - x_2) + q.u_x0, q.u_y * (y_1 - y_2) + q.u_y0)
    if not inside:
        return n
    return write_lone(q, s, out, n, pulse, m, x, y, 0)


@inlined
def match_four(q: Quad, s: Scratch, out: Columns, n: int, pulse: int, mask: int) -> int:
    """Four of the five signals once: a hit when the one redundancy holds; n unchanged when it does not."""
    m, x_1, x_2, y_1, y_2 = s.lone[0], s.lone[1], s.lone[2], s.lone[3], s.lone[4]
    d_x, d_y = x_1 - x_2, y_1 - y_2
    quality = 0
    if mask == MCP_MISSING_MASK:
        twice_x = x_1 + x_2 - q.sum_x
        twice_y = y_1 + y_2 - q.sum_y
        if not q.with_mcp_missing or abs(twice_x - twice_y) > q.mcp_gate:
            return n
        m = 0.25 * (twice_x + twice_y)
        quality = 1
    else:
        # The time sum of the incomplete layer holds by construction, that of the other one is the check.
        if not q.with_end_missing:
            return n
        if mask == FULL_MASK - 2:
            d_x, quality = q.sum_x - 2.0 * (x_2 - m), 2
        elif mask == FULL_MASK - 4:
            d_x, quality = 2.0 * (x_1 - m) - q.sum_x, 3
        elif mask == FULL_MASK - 8:
            d_y, quality = q.sum_y - 2.0 * (y_2 - m), 4
        else:
            d_y, quality = 2.0 * (y_1 - m) - q.sum_y, 5
        r = y_1 + y_2 - 2.0 * m - q.sum_y if quality <= 3 else x_1 + x_2 - 2.0 * m - q.sum_x
        if abs(r) > q.end_gate:
            return n
    x, y, inside = place(q, q.u_x * d_x + q.u_x0, q.u_y * d_y + q.u_y0)
    if not inside:
        return n
    return write_lone(q, s, out, n, pulse, m, x, y, quality)
