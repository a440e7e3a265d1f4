"""Compositions and charge-state ratios from the fine spectrum, with counting errors.

What is not correlated with the pulse is even in time of flight, and so even in the root of m/q: its height in counts per fine
bin is the median over pieces of the spectrum that no range touches. Compositions and ratios come from `evapd.spectrometry`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.live.legend import Legend, edges_of
from evapd.spectrometry.composition import Counted, charge_ratios, shares_of

PIECES = 128
FEWEST_PIECES = 5
_MARGIN = 0.01  # of m/q: what lies this near to a range is not taken for background
_Z = 1.2533  # standard error of a median over that of a mean


class Flat(NamedTuple):
    """Counts per fine bin that are not correlated, and the standard error; None where nothing is free of ranges."""

    height: float
    error: float


class Ranged:
    """Counts in the ranges of a legend."""

    def __init__(self, legend: Legend, bins_per_root: float, bins: int) -> None:
        self._legend = legend
        self._edges = [edges_of(part.range, bins_per_root, bins) for part in legend.parts]
        free = np.ones(bins, bool)
        for part in legend.shown:
            low, high = edges_of(part.range, bins_per_root, bins)
            free[int(low * (1 - 0.5 * _MARGIN)) : int(np.ceil(high * (1 + 0.5 * _MARGIN)))] = False
        self._wide = max(bins // PIECES, 1)
        whole = len(free) // self._wide * self._wide
        self._free = free[:whole].reshape(-1, self._wide)
        self._room = self._free.sum(axis=1)

    def flat(self, spectrum: NDArray[np.int64]) -> Flat | None:
        """Give the height of what is flat."""
        enough = self._room >= self._wide // 2
        if np.count_nonzero(enough) < FEWEST_PIECES:
            return None
        pieces = spectrum[: self._free.size].reshape(self._free.shape)
        counts = np.where(self._free, pieces, 0).sum(axis=1)[enough]
        room = self._room[enough]
        variance = float(np.median(np.maximum(counts, 1.0) / room**2))
        return Flat(float(np.median(counts / room)), _Z * float(np.sqrt(variance / len(counts))))

    def document(self, spectrum: NDArray[np.int64]) -> dict[str, Any]:
        """Give charge states, and the composition where ranges come from a file."""
        flat = self.flat(spectrum)
        total = np.concatenate(([0], np.cumsum(spectrum)))
        counted = []
        for part, (low, high) in zip(self._legend.parts, self._edges, strict=True):
            height, error = flat or (0.0, 0.0)
            hits = int(total[high] - total[low])
            counted.append(
                Counted(part.range, hits, height * (high - low), error * (high - low), part.charge)
            )
        shares = shares_of(counted) if self._legend.source == "ranges" else []
        return {
            "background": "flat" if flat else "none",
            "ranged_hits": sum(each.hits for each in counted),
            "charge_states": [
                {"ion": r.ion, "charges": [r.charge + 1, r.charge], "ratio": r.ratio, "error": r.error}
                for r in charge_ratios(counted)
            ],
            "composition": [{"element": s.element, "fraction": s.fraction, "error": s.error} for s in shares],
        }
