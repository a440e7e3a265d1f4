"""Kernels for one layer and one position: pairs of line ends, coordinates, the finished hit."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

import math

import numpy as np

from evapd.compiled import compiled, inlined
from evapd.matching.workspace import MAX_PAIRS, Columns, Quad, Scratch


@inlined
def round_to_int(value: float) -> float:
    """Nearest whole number, halves upwards."""
    return math.floor(value + 0.5) + 0.0


@inlined
def place(q: Quad, u_x: float, u_y: float) -> tuple[float, float, bool]:
    """Position in um from the detector's centre, and whether that is on the detector."""
    x = round_to_int(q.xx * u_x + q.xy * u_y - q.centre_x)
    y = round_to_int(q.yx * u_x + q.yy * u_y - q.centre_y)
    return x, y, x * x + y * y <= q.radius2


@compiled
def find_pairs(
    s: Scratch,
    layer: int,
    t_mcp: float,
    time_sum: float,
    gate: float,
    d_low: float,
    d_high: float,
    u_slope: float,
    u_zero: float,
) -> int:
    """Collect the pairs of a layer's ends whose time sum fits one MCP signal.

    The first ends ascend, so the second ends that fit descend: one pass over both.

    Returns:
        How many pairs were found; MAX_PAIRS + 1 says that there were more than fit.
    """
    first, second = 1 + 2 * layer, 2 + 2 * layer
    high = s.filled[second] - 1
    n = 0
    for i in range(s.filled[first]):
        target = 2.0 * t_mcp + time_sum - s.time[first, i]
        while high >= 0 and s.time[second, high] > target + gate:
            high -= 1
        j = high
        while j >= 0 and s.time[second, j] >= target - gate:
            d = s.time[first, i] - s.time[second, j]
            if d_low <= d <= d_high:
                if n == MAX_PAIRS:
                    return n + 1
                s.pair_1[layer, n] = i
                s.pair_2[layer, n] = j
                s.pair_r[layer, n] = s.time[second, j] - target
                s.pair_u[layer, n] = u_slope * d + u_zero
                n += 1
            j -= 1
    return n


@compiled
def write_hit(
    q: Quad,
    s: Scratch,
    out: Columns,
    begin: int,
    n: int,
    pulse: int,
    t: float,
    x: float,
    y: float,
    quality: int,
) -> int:
    """Add a hit, keeping the hits of one pulse (from `begin`) ascending in time of flight.

    The time in ps is floor(t num / den + 1/2): for whole bins exact while num and den are below 2^20.
    """
    tof = np.int32(round_to_int(t * q.ps_num / q.ps_den))
    at = n
    while at > begin and out.tof_ps[at - 1] > tof:
        out.tof_ps[at] = out.tof_ps[at - 1]
        out.x_um[at] = out.x_um[at - 1]
        out.y_um[at] = out.y_um[at - 1]
        out.quality[at] = out.quality[at - 1]
        at -= 1
    out.pulse[n] = pulse
    out.tof_ps[at] = tof
    out.x_um[at] = np.int32(x)
    out.y_um[at] = np.int32(y)
    out.quality[at] = quality
    s.hits[quality] += 1
    return n + 1
