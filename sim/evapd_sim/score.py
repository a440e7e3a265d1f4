"""How a matching did against the truth."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd_sim.true_hits import TrueHits

Floats = NDArray[np.float64]


class Hits(NamedTuple):
    """What a matching found, ascending in `pulse` (absolute). Shapes (n,)."""

    pulse: NDArray[np.int64]
    tof_ps: Floats
    x_mm: Floats
    y_mm: Floats
    quality: NDArray[np.uint8]


class Found(NamedTuple):
    """What was found of the true hits whose pulse has one multiplicity; shares from 0 to 1."""

    hits: int
    efficiency: float
    ceiling: float


@dataclass(frozen=True)
class Score:
    """A matching against the truth; every number but the two counts is a share from 0 to 1.

    A ghost is a hit without a true one near it. `of_recoverable` is efficiency / ceiling.
    """

    hits: int
    true_hits: int
    efficiency: float
    ceiling: float
    of_recoverable: float
    ghosts: float
    ghosts_by_quality: dict[int, float]
    share_by_quality: dict[int, float]
    by_multiplicity: dict[int, Found]


def score(truth: TrueHits, hits: Hits, *, tof_ps: float = 1000.0, distance_mm: float = 0.3) -> Score:
    """Compare hits with the truth: a hit is right when a true one lies within `tof_ps` and `distance_mm`."""
    right, found = _pair(truth, hits, tof_ps, distance_mm)
    codes = np.unique(hits.quality)
    efficiency = _mean(found)
    return Score(
        hits=len(hits.pulse),
        true_hits=len(truth.pulse),
        efficiency=efficiency,
        ceiling=truth.ceiling,
        of_recoverable=efficiency / truth.ceiling if truth.ceiling > 0.0 else 0.0,
        ghosts=_mean(~right),
        ghosts_by_quality={int(code): _mean(~right[hits.quality == code]) for code in codes},
        share_by_quality={int(code): _mean(hits.quality == code) for code in codes},
        by_multiplicity={
            int(many): _found(truth, found, truth.multiplicity == many)
            for many in np.unique(truth.multiplicity)
        },
    )


def _found(truth: TrueHits, found: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Found:
    return Found(int(rows.sum()), _mean(found[rows]), _mean(truth.recoverable[rows]))


def _mean(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def _pair(
    truth: TrueHits, hits: Hits, tof_ps: float, distance_mm: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which hits have a true one near them, and which true ones have a hit near them."""
    begin = np.searchsorted(truth.pulse, hits.pulse, "left")
    end = np.searchsorted(truth.pulse, hits.pulse, "right")
    right = np.zeros(len(hits.pulse), np.bool_)
    found = np.zeros(len(truth.pulse), np.bool_)
    for k in range(int((end - begin).max(initial=0))):
        here = np.flatnonzero(begin + k < end)
        true = begin[here] + k
        apart_mm = np.hypot(hits.x_mm[here] - truth.x_mm[true], hits.y_mm[here] - truth.y_mm[true])
        close = (np.abs(hits.tof_ps[here] - truth.tof_ps[true]) <= tof_ps) & (apart_mm <= distance_mm)
        right[here] |= close
        found[true[close]] = True
    return right, found
