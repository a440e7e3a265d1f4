"""Hits of a run for fitting: at most so many, spread evenly over the run."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.record.nxs import RunFile

Floats = NDArray[np.float64]
MOST_HITS = 1_000_000


@dataclass(frozen=True, slots=True)
class Hits:
    """Raw hits with known voltages; float64 columns of one length."""

    tof_ps: Floats
    x_um: Floats
    y_um: Floats
    v_dc_v: Floats
    v_p_v: Floats

    @property
    def n(self) -> int:
        """Number of hits."""
        return len(self.tof_ps)

    @property
    def columns(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """The columns in the order that `MassScale.mass_da` takes."""
        return self.tof_ps, self.x_um, self.y_um, self.v_dc_v, self.v_p_v

    def part(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> "Hits":
        """Some of the hits."""
        return Hits(*(column[rows] for column in self.columns))


def sample_hits(
    run: RunFile,
    *,
    voltage_mode: bool,
    most: int = MOST_HITS,
    progress: Callable[[float], None] = lambda _: None,
) -> Hits:
    """Take every k-th hit of a run, so that at most `most` are taken; those without known voltage are left out."""
    step = max(1, -(-run.n_hits // most))
    taken: list[list[Floats]] = [[] for _ in range(5)]
    seen = 0
    for chunk in run.iter_hits():
        rows = slice(-seen % step, None, step)
        columns = (chunk.tof_ps, chunk.x_um, chunk.y_um, chunk.v_dc_v, chunk.v_p_v)
        picked = [column[rows].astype(np.float64) for column in columns]
        if not voltage_mode:
            picked[4] = np.nan_to_num(picked[4])
        known = np.isfinite(picked[3]) & np.isfinite(picked[4])
        for pile, column in zip(taken, picked, strict=True):
            pile.append(column[known])
        seen += chunk.n
        progress(seen / run.n_hits)
    return Hits(*(np.concatenate(pile) if pile else np.empty(0) for pile in taken))
