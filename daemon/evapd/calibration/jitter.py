"""Jitter of the signals from the scatter of the time sums."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.robust import clipped_mean_chi2
from evapd.calibration.timesums import joint_deviation

Floats = NDArray[np.float64]

# Up to here hits are kept: 99.7 % of two degrees of freedom, 99.3 % of three.
CHI2_LIMIT = 12.0
_ROUNDS = 12
_LEAST_PS, _LEAST_BINS = 0.3, 0.2  # a jitter below either is not told from none


@dataclass(frozen=True, slots=True, kw_only=True)
class Jitter:
    """Standard deviations of single signals in ps, without the rounding of the TDC.

    Attributes:
        signal: one number for all signals, as the matching uses it.
        error: its uncertainty.
        mcp, line: of the MCP signal and of a line's end, where they can be told apart (NaN where not).
        rounded: of a signal as it is in the stream: with the rounding to bins.
    """

    signal: float
    error: float
    mcp: float
    line: float
    rounded: float


def estimate_jitter(deviations_ps: Floats, bin_ps: float) -> tuple[Jitter, NDArray[np.bool_]]:
    """Find the jitter, and which hits it explains.

    The joint deviation of L time sums has the mean L j^2. Hits above CHI2_LIMIT j^2 are left out, and the mean
    of the rest is divided by that of a chi-squared distribution cut there, until nothing changes. With the MCP's own m and
    the lines' a, a sum has the variance 2 a^2 + 4 m^2 and two sums the covariance 4 m^2.

    Args:
        deviations_ps: of the time sums, shape (n, layers), centred.
        bin_ps: the TDC's bin; rounding adds bin^2 / 12 to the variance of every signal.
    """
    layers = deviations_ps.shape[1]
    joint = joint_deviation(deviations_ps)
    least = max(_LEAST_PS, _LEAST_BINS * bin_ps) ** 2
    variance = max(
        float(np.median(joint)) / (1.386 if layers == 2 else 2.366), least
    )  # medians of chi-squared
    cut = clipped_mean_chi2(CHI2_LIMIT, layers)
    kept = joint < CHI2_LIMIT * variance
    for _ in range(_ROUNDS):
        variance = max(float(joint[kept].mean()) / cut, least) if kept.any() else variance
        now = joint < CHI2_LIMIT * variance
        if np.array_equal(now, kept):
            break
        kept = now
    good = deviations_ps[kept] - deviations_ps[kept].mean(axis=0)
    widen = layers / cut  # what the cut took from the variances
    covariance = good.T @ good / max(len(good), 1) * widen
    off = covariance[~np.eye(layers, dtype=bool)].mean()
    mcp2 = off / 4.0 - bin_ps**2 / 12.0
    line2 = (np.diag(covariance).mean() - off) / 2.0 - bin_ps**2 / 12.0
    own = max(variance - bin_ps**2 / 12.0, (0.02 * bin_ps) ** 2, 1.0)
    rounded = math.sqrt(variance)
    error = rounded / math.sqrt(2.0 * layers * max(int(kept.sum()), 1)) * rounded / math.sqrt(own)
    jitter = Jitter(
        signal=math.sqrt(own),
        error=error,
        mcp=math.sqrt(mcp2) if mcp2 > 0 else math.nan,
        line=math.sqrt(line2) if line2 > 0 else math.nan,
        rounded=rounded,
    )
    return jitter, kept
