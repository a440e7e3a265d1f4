"""Counts as displays get them: map, multiplicity, quality, and what is not correlated with the pulse."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.config.model import Instrument
from evapd.live.arrays import packed_counts
from evapd.live.tallies import HITS, IN_BACKGROUND, IN_WINDOW, OFF_MAP, PULSES, TOF_PIECES, Tallies
from evapd.matching.quality import meaning

_Z = 1.2533  # standard error of a median over that of a mean


def map_document(recent: Tallies, whole: Tallies, side: int, half_mm: float) -> dict[str, Any]:
    """Give the detector's map: row k holds y from -half + k cells on, and within it x ascends."""
    return {
        "cells": side,
        "extent_mm": [-half_mm, half_mm, -half_mm, half_mm],
        "recent": packed_counts(recent.cells.reshape(side, side)),
        "run": packed_counts(whole.cells.reshape(side, side)),
        "outside": int(whole.singles[OFF_MAP]),
        "hot_spot": {
            "recent": _hot_spot(recent.cells, side, half_mm),
            "run": _hot_spot(whole.cells, side, half_mm),
        },
    }


def _hot_spot(cells: NDArray[np.int64], side: int, half_mm: float) -> dict[str, Any] | None:
    total = int(cells.sum())
    if not total:
        return None
    row, column = divmod(int(cells.argmax()), side)
    cell_mm = 2.0 * half_mm / side
    return {
        "x_mm": round((column + 0.5) * cell_mm - half_mm, 3),
        "y_mm": round((row + 0.5) * cell_mm - half_mm, 3),
        "hits": int(cells.max()),
        "share": int(cells.max()) / total,
    }


def multiplicity_document(recent: Tallies, whole: Tallies) -> dict[str, Any]:
    """Give hits and pulses by hits per pulse: 1 to 7, and 8 or more."""
    return {key: _multiplicity(one) for key, one in (("recent", recent), ("run", whole))}


def _multiplicity(tallies: Tallies) -> dict[str, Any]:
    hits = tallies.multiplicity_hits[1:]
    n = int(hits.sum())
    share = float(hits[1:].sum()) / n if n else None
    return {
        "hits": hits.tolist(),
        "pulses": tallies.multiplicity_pulses[1:].tolist(),
        "multi_fraction": share,
        # Hits of one pulse come together: their number of pulses is what scatters.
        "error": None
        if share is None
        else float(np.sqrt(max(share * (1.0 - share), 1.0 / n) / max(int(tallies.singles[PULSES]), 1))),
    }


def quality_document(recent: Tallies, whole: Tallies) -> dict[str, Any]:
    """Give hits by quality code, those that occurred, with their meaning."""
    codes = np.flatnonzero(whole.quality).tolist()
    return {
        "meaning": {str(code): meaning(code) for code in codes},
        "recent": {str(code): int(recent.quality[code]) for code in codes},
        "run": {str(code): int(whole.quality[code]) for code in codes},
    }


def uncorrelated_document(tallies: Tallies, instrument: Instrument) -> dict[str, Any]:
    """Give the part of the hits in the time-of-flight window that is not correlated with the pulse, with its standard error.

    By the background window, scaled to the width of the other; without one by what is flat: the median over 40 equal
    pieces of the time-of-flight window, an upper bound where peaks fill more than half of it.
    """
    seen = int(tallies.singles[IN_WINDOW])
    low, high = instrument.tof_window_ns
    if instrument.background_window_ns is not None:
        b_low, b_high = instrument.background_window_ns
        counts, scale = int(tallies.singles[IN_BACKGROUND]), (high - low) / (b_high - b_low)
        below, variance = scale * counts, scale**2 * max(counts, 1)
        method = "background window"
    else:
        median = float(np.median(tallies.tof))
        below, variance = TOF_PIECES * median, TOF_PIECES * _Z**2 * max(median, 1.0)
        method = "flat part"
    fraction = min(below / seen, 1.0) if seen else None
    return {
        "method": method,
        "fraction": fraction,
        "error": None if fraction is None else float(np.sqrt(variance + fraction**2 * seen)) / seen,
        "hits": seen,
        "all_hits": int(tallies.singles[HITS]),
    }
