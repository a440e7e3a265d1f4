"""Kernels that write a finished hit."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers: a record would be made anew for every call

import numpy as np

from evapd.compiled import compiled, inlined
from evapd.matching.geometry import round_to_int
from evapd.matching.workspace import Columns


@inlined
def tof_of(a: np.record, t: float) -> np.int32:
    """Bins to ps: floor(t num / den + 1/2), for whole bins exact while num and den are below 2^20."""
    return np.int32(round_to_int(t * a.ps_num / a.ps_den))


@inlined
def write_lone(
    a: np.record, s: np.record, out: Columns, n: int, pulse: int, t: float, x: float, y: float, quality: int
) -> int:
    """Add the only hit of a pulse."""
    out.pulse[n] = pulse
    out.tof_ps[n] = tof_of(a, t)
    out.x_um[n] = np.int32(x)
    out.y_um[n] = np.int32(y)
    out.quality[n] = quality
    out.multiplicity[n] = 1
    s.hits[quality] += 1
    return n + 1


@compiled
def write_hit(
    a: np.record,
    s: np.record,
    out: Columns,
    begin: int,
    n: int,
    pulse: int,
    t: float,
    x: float,
    y: float,
    quality: int,
) -> int:
    """Add a hit, keeping the hits of one pulse (from `begin`) ascending in time of flight."""
    tof = tof_of(a, t)
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
