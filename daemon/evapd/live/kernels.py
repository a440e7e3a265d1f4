"""The one kernel of live analysis: counts the hits of a block into everything that is shown."""

# ruff: noqa: PLR0917 - kernels hand over plain numbers and columns: a record would be made anew for every call

import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import evapd.mass
from evapd.compiled import entry, inlined
from evapd.live.tallies import (
    BEYOND,
    HITS,
    IN_BACKGROUND,
    IN_WINDOW,
    MULTIPLICITIES,
    OFF_MAP,
    PULSES,
    TOF_PIECES,
    WITHOUT_MASS,
)

I4 = NDArray[np.int32]
U1 = NDArray[np.uint8]
U4 = NDArray[np.uint32]
_ratio_da = inlined(evapd.mass.ratio_da)
# Part of the kernel's cache key, beside the sources of this package.
_MASS_SOURCE = zlib.crc32(Path(evapd.mass.__file__).read_bytes())


class Numbers(NamedTuple):
    """What is constant in a run."""

    factor: float  # of `evapd.mass.ratio_da`
    t0_ps: float
    path_mm2: float  # square of the flight path along the axis
    bins_per_root: float  # fine bins per root of a dalton
    window_low_ps: int  # the time-of-flight window, its end not included
    window_high_ps: int
    pieces_per_ps: float
    background_low_ps: int  # low = high: no such window
    background_high_ps: int
    half_um: int  # half the side of the map
    cells_per_um: float
    side: int


AddHits = Callable[[U4, I4, I4, I4, U1, U1, float, float, Numbers, U4, U4, U4, U4, U4, U4, U4], None]


def _make_add_hits(source_digest: int) -> AddHits:
    mass_source = _MASS_SOURCE

    def add_hits(
        pulse: U4,
        tof_ps: I4,
        x_um: I4,
        y_um: I4,
        quality: U1,
        multiplicity: U1,
        v_v: float,
        v_per_pulse: float,
        a: Numbers,
        spectrum: U4,
        cells: U4,
        tof: U4,
        multiplicity_hits: U4,
        multiplicity_pulses: U4,
        qualities: U4,
        singles: U4,
    ) -> None:
        _ = source_digest, mass_source
        n = len(pulse)
        in_window = in_background = without = beyond = off = pulses = 0
        for i in range(n):
            t, x, y = int(tof_ps[i]), int(x_um[i]), int(y_um[i])
            flight_s = 1e-12 * (t - a.t0_ps)
            mass = -1.0
            if flight_s > 0.0:
                path_m2 = 1e-6 * (a.path_mm2 + 1e-6 * (float(x) * x + float(y) * y))
                mass = _ratio_da(a.factor, v_v + v_per_pulse * pulse[i], flight_s, path_m2)
            if mass > 0.0:  # false for NaN
                place = math.sqrt(mass) * a.bins_per_root
                if place < len(spectrum):
                    spectrum[int(place)] += 1
                else:
                    beyond += 1
            else:
                without += 1
            if a.window_low_ps <= t < a.window_high_ps:
                in_window += 1
                tof[min(int((t - a.window_low_ps) * a.pieces_per_ps), TOF_PIECES - 1)] += 1
            in_background += a.background_low_ps <= t < a.background_high_ps
            if -a.half_um <= x < a.half_um and -a.half_um <= y < a.half_um:
                column = min(int((x + a.half_um) * a.cells_per_um), a.side - 1)
                row = min(int((y + a.half_um) * a.cells_per_um), a.side - 1)
                cells[row * a.side + column] += 1
            else:
                off += 1
            m = min(max(int(multiplicity[i]), 1), MULTIPLICITIES - 1)
            multiplicity_hits[m] += 1
            if i == 0 or pulse[i] != pulse[i - 1]:
                multiplicity_pulses[m] += 1
                pulses += 1
            qualities[quality[i]] += 1
        singles[HITS] += n
        singles[IN_WINDOW] += in_window
        singles[IN_BACKGROUND] += in_background
        singles[WITHOUT_MASS] += without
        singles[BEYOND] += beyond
        singles[OFF_MAP] += off
        singles[PULSES] += pulses

    return add_hits


add_hits: Any = entry(_make_add_hits)
"""Count hits of one block.

Args:
    pulse, tof_ps, x_um, y_um, quality, multiplicity: columns of a HitBlock.
    v_v: accelerating voltage at the block's first pulse, V; NaN where it is not known: no hit has a mass then.
    v_per_pulse: by how much it rises from pulse to pulse, V.
    a: constants.
    spectrum and the rest: parts of the present Tallies, which are added to.
"""


def warm_up(numbers: Numbers, parts: tuple[Any, ...]) -> None:
    """Compile, or load what was compiled; counts nothing."""
    empty = np.empty(0, np.int32)
    columns = (empty.astype(np.uint32), empty, empty, empty, empty.astype(np.uint8), empty.astype(np.uint8))
    for column in columns:
        column.flags.writeable = False  # as in a block: another type to numba
    add_hits(*columns, 0.0, 0.0, numbers, *parts)
