"""Kernel for the least-squares fit of an ion to whatever signals it has: time and place, and how well they agree."""

import numpy as np

from evapd.compiled import compiled, inlined
from evapd.matching.geometry import d_of_end, walk_of


@compiled
def _time_of(a: np.record, s: np.record, mask: int) -> float:
    """A first estimate: the MCP's, or that of a complete layer."""
    if mask & 1:
        return float(s.one[0])
    for layer in range(a.time_sum.shape[0]):
        if mask >> (1 + 2 * layer) & 3 == 3:
            one, other = s.one[1 + 2 * layer], s.one[2 + 2 * layer]
            return float(0.5 * (one + other - a.time_sum[layer] - walk_of(a, layer, one - other)))
    return 0.0


@compiled
def fit(a: np.record, s: np.record, mask: int) -> tuple[float, float, float, float]:
    """Fit an ion to the signals `s.one` of the channels in `mask`.

    Returns:
        Time and place (um from the detector's centre), both by least squares with equal weights, and chi2 in bins^2.
        The place is that of the layers that can be trusted there, when there are enough of them.
    """
    for c in range(a.origin.shape[0]):
        s.reduced[c] = s.one[c] - a.origin[c]
    if a.with_walk:
        t = _time_of(a, s, mask)
        for layer in range(a.time_sum.shape[0]):
            first, second = 1 + 2 * layer, 2 + 2 * layer
            ends = mask >> first & 3
            if ends == 0:
                continue
            if ends == 3:
                d = s.one[first] - s.one[second]
            elif ends == 1:
                d = d_of_end(a, layer, 1.0, s.one[first] - t)
            else:
                d = d_of_end(a, layer, -1.0, s.one[second] - t)
            half = 0.5 * walk_of(a, layer, d)
            s.reduced[first] -= half
            s.reduced[second] -= half
    t = 0.0
    for c in range(a.origin.shape[0]):
        if mask >> c & 1:
            t += a.solve[mask, 0, c] * s.reduced[c]
    x, y = _place(a, s, mask)
    chi2 = 0.0
    for c in range(a.origin.shape[0]):
        if mask >> c & 1:
            r = s.reduced[c] - t - a.along[c, 0] * x - a.along[c, 1] * y
            chi2 += r * r
    trusted = _trusted(a, mask, x, y)
    if trusted != mask:
        x, y = _place(a, s, trusted)
    return t, x, y, chi2


@inlined
def _place(a: np.record, s: np.record, mask: int) -> tuple[float, float]:
    x, y = 0.0, 0.0
    for c in range(a.origin.shape[0]):
        if mask >> c & 1:
            x += a.solve[mask, 1, c] * s.reduced[c]
            y += a.solve[mask, 2, c] * s.reduced[c]
    return x, y


@inlined
def _trusted(a: np.record, mask: int, x: float, y: float) -> int:
    """The signals without those of a layer near one of its ends, where coordinates are bent, if the others are enough.

    The further out along one layer, the nearer to the middle of the other two; near two ends there is nothing better.
    """
    trusted = mask
    for layer in range(a.time_sum.shape[0]):
        if abs(a.axis[layer, 0] * x + a.axis[layer, 1] * y) > a.line_end:
            if trusted != mask:
                return mask
            trusted = mask & ~(3 << (1 + 2 * layer))
    return trusted if a.enough[trusted] else mask
