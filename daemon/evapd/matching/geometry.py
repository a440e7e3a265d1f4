"""Kernels for one layer: walk of its time sum, pairs of its ends, the coordinate from one end alone."""

import numpy as np

from evapd.compiled import compiled, inlined
from evapd.matching.numbers import WALK_POINTS
from evapd.matching.workspace import MAX_PAIRS

_FEW = 16  # pairs that are looked at one by one; at most MAX_PAIRS


@inlined
def round_to_int(value: float) -> float:
    """Nearest whole number, halves upwards."""
    return float(np.floor(value + 0.5))


@inlined
def walk_of(a: np.record, layer: int, d: float) -> float:
    """How much longer than its constant a layer's time sum is where its ends differ by d."""
    if not a.with_walk:
        return 0.0
    at = (d - a.d_low[layer]) * a.walk_per_d[layer]
    if not at > 0.0:
        return float(a.walk[layer, 0])
    if at >= WALK_POINTS - 1:
        return float(a.walk[layer, WALK_POINTS - 1])
    k = int(at)
    return float(a.walk[layer, k] + (at - k) * (a.walk[layer, k + 1] - a.walk[layer, k]))


@inlined
def d_of_end(a: np.record, layer: int, sign: float, after: float) -> float:
    """t1 - t2 from one end alone, which came `after` the ion; sign +1 for the first end, -1 for the second.

    The walk is that of the place itself: two rounds, for it changes by less than a part in ten of the place.
    """
    twice = 2.0 * after - a.time_sum[layer]
    d = sign * twice
    if a.with_walk:
        d = sign * (twice - walk_of(a, layer, d))
        d = sign * (twice - walk_of(a, layer, d))
    return float(d)


@inlined
def place(a: np.record, one: int, other: int, u_one: float, u_other: float) -> tuple[float, float, bool]:
    """Position in um from the detector's centre by the coordinates of two layers, and whether that is on it."""
    p = a.place[one, other]
    x = round_to_int(p[0] * u_one + p[1] * u_other - a.centre_x)
    y = round_to_int(p[2] * u_one + p[3] * u_other - a.centre_y)
    return x, y, x * x + y * y <= a.radius2


@compiled
def find_pairs(a: np.record, s: np.record, layer: int, t: float, gate: float) -> int:
    """Collect the pairs of a layer's free ends whose time sum fits an ion at t.

    Returns:
        How many pairs were found; MAX_PAIRS + 1 says that there were more than fit.
    """
    if s.filled[1 + 2 * layer] * s.filled[2 + 2 * layer] <= _FEW:
        return _find_among_few(a, s, layer, t, gate)
    return _find_among_many(a, s, layer, t, gate)


@inlined
def _find_among_few(a: np.record, s: np.record, layer: int, t: float, gate: float) -> int:
    """Look at all pairs: each is written down and the next one overwrites it if it does not fit.

    Which pairs fit cannot be foreseen, and a wrongly guessed branch costs more than the arithmetic.
    """
    first, second = 1 + 2 * layer, 2 + 2 * layer
    twice = 2.0 * t + a.time_sum[layer]
    n = 0
    for i in range(s.filled[first]):
        one = s.time[first, i]
        for j in range(s.filled[second]):
            other = s.time[second, j]
            d = one - other
            r = one + other - twice - walk_of(a, layer, d)
            s.pair_1[layer, n] = i
            s.pair_2[layer, n] = j
            s.pair_r[layer, n] = r
            s.pair_u[layer, n] = a.u_slope[layer] * d + a.u_zero[layer]
            n += (abs(r) <= gate) & (d >= a.d_low[layer]) & (d <= a.d_high[layer])
    return n


@inlined
def _find_among_many(a: np.record, s: np.record, layer: int, t: float, gate: float) -> int:
    """The first ends ascend, so the second ends that fit descend: one pass over both."""
    first, second = 1 + 2 * layer, 2 + 2 * layer
    twice = 2.0 * t + a.time_sum[layer]
    wide = gate + a.walk_most[layer]
    high = s.filled[second] - 1
    n = 0
    for i in range(s.filled[first]):
        one = s.time[first, i]
        while high >= 0 and one + s.time[second, high] - twice > wide:
            high -= 1
        j = high
        while j >= 0 and one + s.time[second, j] - twice >= -wide:
            d = one - s.time[second, j]
            r = one + s.time[second, j] - twice - walk_of(a, layer, d)
            if abs(r) <= gate and a.d_low[layer] <= d <= a.d_high[layer]:
                if n == MAX_PAIRS:
                    return n + 1
                s.pair_1[layer, n] = i
                s.pair_2[layer, n] = j
                s.pair_r[layer, n] = r
                s.pair_u[layer, n] = a.u_slope[layer] * d + a.u_zero[layer]
                n += 1
            j -= 1
    return n
