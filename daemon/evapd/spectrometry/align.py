"""Finding known peaks in a spectrum whose scale is still wrong: t0 and scale by search, then who is who."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.spectrometry.masses import MassScale
from evapd.spectrometry.sample import Hits

Floats = NDArray[np.float64]
_BIN = 4e-4  # of ln m
_HALVES = (
    4,
    12,
)  # bins to either side of a known peak: for sharp peaks, and for those that drift through the run
_PREFERENCE = 0.12  # by which a score at the end of the search counts less
_MOST_HITS = 150_000
_PRESENT_HALF = 0.004  # of ln m: half the window in which a peak is counted
_PRESENT_SHARE = 0.3  # the same, of the distance to the nearest known neighbour
_T0_STEPS_PS = (500.0, 100.0)


@dataclass(frozen=True, slots=True)
class KnownPeak:
    """A peak whose mass is known."""

    name: str
    mass_da: float


def align(
    hits: Hits, known: Sequence[KnownPeak], scale: MassScale, *, t0_reach_ps: float, scale_reach: float
) -> MassScale:
    """Search t0 and alpha for which the most hits lie on the known peaks.

    A candidate scores the sum over the peaks of the square root of the hits on it above those beside it, so that one
    tall peak in a wrong place does not outweigh several in their right places.

    Args:
        hits: of the run.
        known: the peaks.
        scale: where the search begins.
        t0_reach_ps: how far t0 is searched to either side; 0 leaves it.
        scale_reach: how far ln(m/q) is searched to either side.
    """
    few = hits.part(slice(None, None, max(1, -(-hits.n // _MOST_HITS))))
    wanted = np.log([peak.mass_da for peak in known])
    low = float(wanted.min()) - scale_reach - 0.05
    bins = int((float(wanted.max()) + scale_reach + 0.05 - low) / _BIN) + 1
    places = ((wanted - low) / _BIN).astype(np.int64)
    reach = int(scale_reach / _BIN)
    shifts = np.arange(-reach, reach + 1)
    best = (-1.0, scale.t0_ps, 0.0)
    centre, span = scale.t0_ps, t0_reach_ps
    for step in _T0_STEPS_PS:
        steps = round(span / step) if t0_reach_ps > 0.0 else 0
        for offset in range(-steps, steps + 1):
            t0_ps = centre + offset * step
            masses = scale.model_copy(update={"t0_ps": t0_ps}).mass_da(*few.columns)
            with np.errstate(divide="ignore", invalid="ignore"):
                index = (np.log(masses) - low) / _BIN
            index = index[(index >= 0) & (index < bins)].astype(np.int64)
            total = np.concatenate(([0], np.cumsum(np.bincount(index, minlength=bins))))
            at = places[:, None] + shifts[None, :]
            score = sum((_on_peaks(total, at, half) for half in _HALVES), np.zeros(len(shifts)))
            # Between equals the nearer to where the search began wins.
            away = np.abs(shifts) / max(reach, 1) + abs(t0_ps - scale.t0_ps) / max(t0_reach_ps, 1.0)
            score = score * (1.0 - _PREFERENCE * away)
            top = int(np.argmax(score))
            if score[top] > best[0]:
                best = (float(score[top]), t0_ps, float(shifts[top] * _BIN))
        centre, span = best[1], step
    return scale.model_copy(update={"t0_ps": best[1], "alpha": scale.alpha * float(np.exp(-best[2]))})


def _on_peaks(total: NDArray[np.int64], at: NDArray[np.int64], half: int) -> Floats:
    """Score windows around places (peaks, shifts) in a spectrum given as running sums."""
    at = np.clip(at, 3 * half + 1, len(total) - 3 * half - 3)
    on = total[at + half + 1] - total[at - half]
    both = total[at + 3 * half + 1] - total[at - 3 * half]
    beside = (both - on) * (2 * half + 1) / (4.0 * half)
    score: Floats = np.sqrt(np.maximum(on - beside, 0.0)).sum(axis=0)
    return score


def present(
    masses_da: Floats, known: Sequence[KnownPeak], *, fewest: float, sigma: float = 6.0
) -> list[KnownPeak]:
    """Tell which of the known peaks stand out in roughly aligned masses: `fewest` hits and `sigma` deviations.

    A peak is compared with what lies beside it; where known neighbours are near, both windows shrink, and what is near
    a neighbour counts for neither.
    """
    places = np.log([peak.mass_da for peak in known])
    order = np.sort(np.log(masses_da[masses_da > 0.0]))

    def between(low: float, high: float) -> float:
        return float(np.searchsorted(order, high) - np.searchsorted(order, low))

    found = []
    for peak, place in zip(known, places.tolist(), strict=True):
        apart = np.abs(places - place)
        near = apart[apart > 1e-6]
        half = min(_PRESENT_HALF, _PRESENT_SHARE * float(near.min())) if len(near) else _PRESENT_HALF
        on, beside, room = between(place - half, place + half), 0.0, 0.0
        for step in range(1, 3):
            for low in (place - (step + 1) * half, place + step * half):
                if not np.any((apart > 1e-6) & (np.abs(places - low - 0.5 * half) < 1.5 * half)):
                    beside += between(low, low + half)
                    room += half
        under = beside * 2.0 * half / room if room else 0.0
        if on - under >= fewest and on - under > sigma * np.sqrt(on + under + 1.0):
            found.append(peak)
    return found
