"""What the kernels work with: the anode's numbers in units of one block's bins, and scratch memory made once.

Times inside the kernels are float64 counts of bins: sums of int32 times are exact, and the same source gives
the same bits compiled or as plain Python (no fused or reordered arithmetic is allowed to the compiler).
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.matching.anode import LAYERS, Anode
from evapd.matching.quality import Quality

# Bounds that keep the cost of any pulse finite, whatever the noise; passing one sets Loss.SATURATED.
MAX_SIGNALS = 64  # per channel and pulse; later ones are not used
MAX_PAIRS = 32  # of the ends of one layer for one MCP signal
MAX_CANDIDATES = 1024  # of hits with all signals, per pulse
MAX_FREE = 16  # left-over signals per channel from which hits with a missing signal are made

# Outside this a hit's time would not fit into int32 picoseconds.
TIME_LIMIT_PS = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSettings:
    """How far signals may disagree, in standard deviations, and which incomplete hits are made.

    The gate on a full hit is on the joint deviation of both time sums. Their common MCP signal makes them
    correlated (variance 6, covariance 4, in jitter squared), so chi2 = (3 r^2 + 3 s^2 - 4 r s) / (10 jitter^2).
    """

    full_sigma: float = 4.5
    mcp_missing_sigma: float = 2.25  # of x-sum minus y-sum (2 jitter): narrow, nothing else checks these hits
    end_missing_sigma: float = 3.5  # of the complete layer's time sum (sqrt 6 jitter)
    mcp_missing: bool = True
    end_missing: bool = True


class Quad(NamedTuple):
    """Numbers of a quad anode for one bin width; times in bins, lengths in um."""

    sum_x: float  # time sums
    sum_y: float
    d_x_low: float  # t1 - t2 of an ion at either rim of the detector
    d_x_high: float
    d_y_low: float
    d_y_high: float
    u_x: float  # um along the axis per bin of t1 - t2
    u_y: float
    u_x0: float  # um along the axis at t1 = t2
    u_y0: float
    xx: float  # position = (xx u_x + xy u_y, yx u_x + yy u_y) - centre
    xy: float
    yx: float
    yy: float
    centre_x: float
    centre_y: float
    radius2: float  # um^2
    full: float  # largest 3 r^2 + 3 s^2 - 4 r s
    sum_gate: float  # largest |r| that a full hit can have
    end_gate: float  # largest |r| of the complete layer when one end is missing
    mcp_gate: float  # largest |x-sum - y-sum| when the MCP is missing
    with_mcp_missing: bool
    with_end_missing: bool
    ps_num: float  # ps = bins ps_num / ps_den
    ps_den: float


def quad_numbers(anode: Anode, settings: MatchSettings, bin_ps: Fraction) -> Quad:
    """The anode's numbers in bins of `bin_ps`; the bin's own rounding is added to the jitter."""
    bin_width = float(bin_ps)
    sigma = math.sqrt((anode.jitter_ps / bin_width) ** 2 + 1.0 / 12.0)
    name_x, name_y = LAYERS["quad"]
    (ax, ay), (bx, by) = anode.axis(name_x), anode.axis(name_y)
    det = ax * by - ay * bx
    layers = [anode.layers[name_x], anode.layers[name_y]]
    slope = [layer.mm_per_ns * bin_width / 2 for layer in layers]  # um per bin: mm/ns = um/ps
    zero = [-layer.mm_per_ns * layer.offset_ps / 2 for layer in layers]
    centre = [anode.centre_mm[0] * 1000, anode.centre_mm[1] * 1000]
    middle = [ax * centre[0] + ay * centre[1], bx * centre[0] + by * centre[1]]
    radius = anode.radius_mm * 1000
    rim = [sorted((middle[k] + sign * (radius + 1) - zero[k]) / slope[k] for sign in (-1, 1)) for k in (0, 1)]
    return Quad(
        sum_x=layers[0].time_sum_ps / bin_width,
        sum_y=layers[1].time_sum_ps / bin_width,
        d_x_low=rim[0][0],
        d_x_high=rim[0][1],
        d_y_low=rim[1][0],
        d_y_high=rim[1][1],
        u_x=slope[0],
        u_y=slope[1],
        u_x0=zero[0],
        u_y0=zero[1],
        xx=by / det,
        xy=-ay / det,
        yx=-bx / det,
        yy=ax / det,
        centre_x=centre[0],
        centre_y=centre[1],
        radius2=radius * radius,
        full=10.0 * (settings.full_sigma * sigma) ** 2,
        sum_gate=math.sqrt(6.0) * settings.full_sigma * sigma,
        end_gate=math.sqrt(6.0) * settings.end_missing_sigma * sigma,
        mcp_gate=2.0 * settings.mcp_missing_sigma * sigma,
        with_mcp_missing=settings.mcp_missing,
        with_end_missing=settings.end_missing,
        ps_num=float(bin_ps.numerator),
        ps_den=float(bin_ps.denominator),
    )


class Scratch(NamedTuple):
    """Memory the kernels use again and again; only `hits` outlives a pulse."""

    hits: NDArray[np.int64]  # (qualities,): hits made so far, the one field that is a result
    lone: NDArray[np.float64]  # (channels,)
    time: NDArray[np.float64]  # (channels, MAX_SIGNALS), ascending
    filled: NDArray[np.int64]  # (channels,)
    free: NDArray[np.bool_]  # (channels, MAX_SIGNALS)
    cost: NDArray[np.float64]  # (MAX_CANDIDATES,)
    chosen: NDArray[np.int64]  # (MAX_CANDIDATES, channels): index of the signal on each channel
    pair_1: NDArray[np.int64]  # (layers, MAX_PAIRS)
    pair_2: NDArray[np.int64]
    pair_r: NDArray[np.float64]  # deviation of the time sum
    pair_u: NDArray[np.float64]  # um along the layer's axis


def make_scratch(channels: int) -> Scratch:
    """Scratch for an anode with `channels` channels, MCP included."""
    layers = (channels - 1) // 2
    return Scratch(
        hits=np.zeros(len(Quality), np.int64),
        lone=np.zeros(channels),
        time=np.zeros((channels, MAX_SIGNALS)),
        filled=np.zeros(channels, np.int64),
        free=np.zeros((channels, MAX_SIGNALS), np.bool_),
        cost=np.zeros(MAX_CANDIDATES),
        chosen=np.zeros((MAX_CANDIDATES, channels), np.int64),
        pair_1=np.zeros((layers, MAX_PAIRS), np.int64),
        pair_2=np.zeros((layers, MAX_PAIRS), np.int64),
        pair_r=np.zeros((layers, MAX_PAIRS)),
        pair_u=np.zeros((layers, MAX_PAIRS)),
    )


class Columns(NamedTuple):
    """Columns of the hits under construction."""

    pulse: NDArray[np.uint32]
    tof_ps: NDArray[np.int32]
    x_um: NDArray[np.int32]
    y_um: NDArray[np.int32]
    quality: NDArray[np.uint8]
    multiplicity: NDArray[np.uint8]


def make_columns(n: int) -> Columns:
    """Room for `n` hits."""
    return Columns(
        pulse=np.empty(n, np.uint32),
        tof_ps=np.empty(n, np.int32),
        x_um=np.empty(n, np.int32),
        y_um=np.empty(n, np.int32),
        quality=np.empty(n, np.uint8),
        multiplicity=np.empty(n, np.uint8),
    )
