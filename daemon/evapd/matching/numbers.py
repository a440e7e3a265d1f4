"""What the kernels know of an anode: its numbers in units of one block's bins, in one record.

A record is handed from kernel to kernel as a pointer, whatever its size. Times are float64 counts of bins: sums of
int32 times are exact, and the same source gives the same bits compiled or as plain Python.
"""

import math
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.matching.anode import Anode
from evapd.matching.gates import chi2_gate
from evapd.matching.settings import MatchSettings
from evapd.matching.workspace import Records, record_layout

WALK_POINTS = 1025  # of the walk table as the kernels use it, over the detector's diameter

# Within these a signal is taken to come from the same instant as predicted, in standard deviations.
_SHADOW_SIGMA = 3.0


@cache
def _layout(layers: int) -> np.dtype[Any]:
    channels = 2 * layers + 1
    masks = 1 << channels
    return record_layout(
        [
            # by layer: a pair of ends has the time sum t1 + t2 - 2 t, the difference d = t1 - t2
            ("time_sum", "f8", (layers,)),
            ("d_low", "f8", (layers,)),  # d of an ion at either rim of the detector
            ("d_high", "f8", (layers,)),
            ("u_slope", "f8", (layers,)),  # coordinate u along the axis in um = u_slope d + u_zero
            ("u_zero", "f8", (layers,)),
            ("walk", "f8", (layers, WALK_POINTS)),  # change of the time sum, from d_low to d_high
            ("walk_per_d", "f8", (layers,)),  # points of the walk table per bin of d
            ("walk_most", "f8", (layers,)),  # largest magnitude
            # by two layers: place = (p0 u_one + p1 u_other, p2 u_one + p3 u_other) - centre
            ("place", "f8", (layers, layers, 4)),
            # by channel: signal = origin + t + along x + along y; and the least-squares way back, by mask of signals
            ("origin", "f8", (channels,)),
            ("along", "f8", (channels, 2)),
            ("solve", "f8", (masks, 3, channels)),
            ("enough", "u1", (masks,)),  # for a place
            ("axis", "f8", (layers, 2)),
            ("line_end", "f8"),  # from the centre, um
            ("gate", "f8", (channels - 2,)),  # largest chi2 in bins^2 by redundancy
            ("third", "f8", (2,)),  # the third layer's coordinate from those of the other two
            ("third_gate", "f8"),
            ("centre_x", "f8"),
            ("centre_y", "f8"),
            ("radius2", "f8"),  # um^2
            ("sigma2", "f8"),  # bins^2, of one signal with the converter's rounding
            ("full", "f8"),  # quad: largest 3 r^2 + 3 s^2 - 4 r s
            (
                "sum_gate",
                "f8",
            ),  # largest deviation of a time sum from that of an MCP signal in a complete hit
            ("end_gate", "f8"),  # and in a hit with one end missing
            ("mcp_gate", "f8"),  # largest difference of two layers' sums without MCP signal
            ("dead", "f8"),
            ("too_soon", "f8"),  # after a word on the same channel: below half the dead time it cannot be
            ("shadow_margin", "f8"),
            ("penalty", "f8"),  # of a signal that is missing for no reason
            ("margin", "f8"),
            ("unexplained", "f8"),
            ("contest", "f8"),
            ("reach", "f8"),  # words further apart have no ion in common
            ("same_time", "f8"),  # hits closer than this, and in place, are the same hit
            ("with_walk", "?"),
            ("with_mcp_missing", "?"),
            ("with_end_missing", "?"),
            ("fewest", "i8"),  # signals of a hit
            ("ps_num", "f8"),  # ps = bins ps_num / ps_den
            ("ps_den", "f8"),
        ]
    )


def numbers_of(anode: Anode, settings: MatchSettings, bin_ps: Fraction) -> Records:
    """The anode's numbers in bins of `bin_ps`, shape (1,); the bin's own rounding is added to the jitter."""
    names = anode.layer_names
    bin_width = float(bin_ps)
    sigma = math.hypot(anode.jitter_ps / bin_width, math.sqrt(1.0 / 12.0))
    numbers = np.zeros(1, _layout(len(names)))
    a: np.record = numbers[0]
    _describe_layers(a, anode, bin_width)
    _describe_signals(a, anode)
    a.centre_x, a.centre_y = 1000 * anode.centre_mm[0], 1000 * anode.centre_mm[1]
    a.radius2 = (1000 * anode.radius_mm) ** 2
    a.line_end = settings.line_end * 1000 * anode.radius_mm
    a.sigma2 = sigma**2
    a.full = 10.0 * (settings.full_sigma * sigma) ** 2
    a.sum_gate = math.sqrt(6.0) * settings.full_sigma * sigma
    a.end_gate = math.sqrt(6.0) * settings.missing_sigma * sigma
    a.mcp_gate = 2.0 * settings.mcp_missing_sigma * sigma
    tail = math.exp(-(settings.full_sigma**2) / 2)
    a.gate[0] = 1e-6 * sigma**2  # three signals fit exactly, but for rounding
    a.gate[1] = (settings.missing_sigma * sigma) ** 2
    for freedom in range(2, len(a.gate)):
        a.gate[freedom] = chi2_gate(tail, freedom) * sigma**2
    if len(names) == 3:
        # What a joint deviation at its gate allows a single one: no hit may hang on who is looked at first.
        a.sum_gate = math.sqrt(6.0 * a.gate[-1])
        a.mcp_gate = 2.0 * math.sqrt(a.gate[-2])
        a.third_gate = _third_sigma(a, math.sqrt(a.gate[-1]))
    a.dead = anode.dead_time_ps / bin_width
    a.too_soon = 0.5 * a.dead
    a.shadow_margin = _SHADOW_SIGMA * sigma
    a.penalty = -math.log(settings.loss)
    a.margin, a.unexplained, a.contest = settings.margin, settings.unexplained, settings.contest
    a.same_time = 1000.0 / bin_width
    a.with_mcp_missing, a.with_end_missing = settings.mcp_missing, settings.end_missing
    a.fewest = settings.fewest_signals
    a.ps_num, a.ps_den = float(bin_ps.numerator), float(bin_ps.denominator)
    a.reach = _reach(a)
    return numbers


def _reach(a: np.record) -> float:
    """How far apart in time two neighbouring words of one ion, or of a word and what its dead time hides, can be.

    An ion's signals lie within max |d| of each other on a layer, and within (T + max |d|) / 2 of its MCP signal.
    """
    span = float(np.maximum(np.abs(a.d_low), np.abs(a.d_high)).max())
    far = max(span, 0.5 * (float((a.time_sum + a.walk_most).max()) + span))
    return float(math.ceil(far + a.sum_gate + a.end_gate + a.mcp_gate + a.dead + a.shadow_margin + 1.0))


def _describe_layers(a: np.record, anode: Anode, bin_width: float) -> None:
    centre = np.array(anode.centre_mm) * 1000
    radius = anode.radius_mm * 1000
    for k, name in enumerate(anode.layer_names):
        layer = anode.layers[name]
        slope = layer.mm_per_ns * bin_width / 2  # mm/ns = um/ps
        middle = float(np.dot(anode.axis(name), centre))
        a.time_sum[k] = layer.time_sum_ps / bin_width
        a.u_slope[k] = slope
        a.u_zero[k] = -layer.mm_per_ns * layer.offset_ps / 2
        a.d_low[k] = (middle - radius - 1 - a.u_zero[k]) / slope
        a.d_high[k] = (middle + radius + 1 - a.u_zero[k]) / slope
        a.walk_per_d[k] = (WALK_POINTS - 1) / (a.d_high[k] - a.d_low[k])
        if layer.walk is not None:
            d = np.linspace(a.d_low[k], a.d_high[k], WALK_POINTS)
            coordinate_mm = (slope * d + a.u_zero[k]) / 1000
            walk_ps = np.interp(coordinate_mm, layer.walk.coordinate_mm, layer.walk.time_sum_ps)
            a.walk[k] = walk_ps / bin_width
            a.walk_most[k] = np.abs(a.walk[k]).max()
            a.with_walk = True


def _describe_signals(a: np.record, anode: Anode) -> None:
    names = anode.layer_names
    axes = [anode.axis(name) for name in names]
    centre = np.array(anode.centre_mm) * 1000
    for k, axis in enumerate(axes):
        d_centre = (float(np.dot(axis, centre)) - a.u_zero[k]) / a.u_slope[k]
        for end, sign in ((1, 1.0), (2, -1.0)):
            a.origin[2 * k + end] = (a.time_sum[k] + sign * d_centre) / 2
            a.along[2 * k + end] = sign * np.array(axis) / (2 * a.u_slope[k])
    for i, (ax, ay) in enumerate(axes):
        for j, (bx, by) in enumerate(axes):
            if i != j:
                det = ax * by - ay * bx
                a.place[i, j] = by / det, -ay / det, -bx / det, ax / det
    a.axis[:] = axes
    a.solve[:] = _ways_back(np.column_stack([np.ones(len(a.origin)), a.along]))
    a.enough[:] = a.solve.any(axis=(1, 2))
    if len(names) == 3:
        a.third[:] = np.linalg.solve(np.array(axes[:2]).T, np.array(axes[2]))


def _ways_back(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares solution for every mask of signals, shape (masks, 3, channels).

    Zero for the signals that a mask has not, and altogether where its signals do not fix time and place.
    """
    size = np.abs(rows).max(axis=0)  # the columns differ by powers of ten
    channels = len(rows)
    present = (np.arange(1 << channels)[:, None] >> np.arange(channels)) & 1
    seen = (rows / size) * present[:, :, None]
    solvable = np.linalg.matrix_rank(seen, tol=1e-6) == 3
    back: NDArray[np.float64] = np.linalg.pinv(seen) / size[:, None]
    back *= present[:, None, :]
    back[~solvable] = 0.0
    return back


def _third_sigma(a: np.record, sigma: float) -> float:
    """Spread of a third coordinate against its prediction, each from one end and the MCP signal: 2 sqrt(2) bins."""
    return math.sqrt(8.0) * sigma * math.hypot(*(a.third * a.u_slope[:2]), a.u_slope[-1])
