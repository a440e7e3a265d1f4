"""A series of positions after the same way out and back: shift per axis, its standard deviation, drift."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.errors import StateError

NM_PER_MM = 1e6
SPECIFIED_NM = 500.0  # what makers of encoded stages specify
_S_PER_H = 3600.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AxisFigures:
    """One axis of a series.

    Attributes:
        shift_nm: of each return against the first, shape (n,), nm; the first is 0.
        sd_nm: standard deviation of these with n-1, as published for encoded stages.
        largest_nm: magnitude of the largest shift.
        drift_nm_per_h: slope of a straight line through the shifts over time; None without times that differ.
        sd_without_drift_nm: of what that line leaves, with n-2; None where there is no line.
    """

    shift_nm: Floats
    sd_nm: float
    largest_nm: float
    drift_nm_per_h: float | None
    sd_without_drift_nm: float | None


def figures(position_nm: Floats, t_s: Floats | None = None) -> AxisFigures:
    """Evaluate one axis.

    Args:
        position_nm: after each return, shape (n,), nm, n at least 3; the first is the reference.
        t_s: when each was read, shape (n,), s.

    Raises:
        StateError: for fewer than three positions, or one that is no number.
    """
    position_nm = np.asarray(position_nm, float)
    if position_nm.ndim != 1 or len(position_nm) < 3 or not np.all(np.isfinite(position_nm)):
        raise StateError("a series needs at least three positions that are numbers")
    shift_nm = position_nm - position_nm[0]
    slope, left_nm = _line(shift_nm, t_s)
    return AxisFigures(
        shift_nm=shift_nm,
        sd_nm=float(np.std(shift_nm, ddof=1)),
        largest_nm=float(np.max(np.abs(shift_nm))),
        drift_nm_per_h=slope,
        sd_without_drift_nm=left_nm,
    )


def _line(shift_nm: Floats, t_s: Floats | None) -> tuple[float | None, float | None]:
    if t_s is None or float(np.ptp(t_s)) <= 0.0:
        return None, None
    t_h = (np.asarray(t_s, float) - t_s[0]) / _S_PER_H
    slope, offset = np.polyfit(t_h, shift_nm, 1)
    left_nm = shift_nm - (slope * t_h + offset)
    return float(slope), float(np.sqrt(np.sum(left_nm**2) / (len(shift_nm) - 2)))
