"""Histogram of mass-to-charge ratios in bounded memory; the ratios themselves come from `evapd.mass`."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

CHUNK = 65_536  # hits per step: the temporaries of one step stay in the processor's cache


@dataclass(slots=True, kw_only=True)
class Spectrum:
    """A histogram of mass-to-charge ratios with bins of equal width; hits are added block by block."""

    edges: NDArray[np.float64]  # Da, shape (bins + 1,)
    counts: NDArray[np.int64]  # shape (bins,)
    outside: int = field(default=0)  # hits below, above, or without a mass

    @classmethod
    def empty(cls, low_da: float = 0.0, high_da: float = 200.0, bin_da: float = 0.01) -> "Spectrum":
        """A spectrum without hits.

        Raises:
            ValueError: no bins in the range.
        """
        bins = round((high_da - low_da) / bin_da)
        if bins < 1:
            raise ValueError(f"a spectrum from {low_da:g} to {high_da:g} Da has no bins of {bin_da:g} Da")
        edges = np.linspace(low_da, low_da + bins * bin_da, bins + 1, dtype=np.float64)
        return cls(edges=edges, counts=np.zeros(bins, np.int64))

    @property
    def bin_da(self) -> float:
        """Width of a bin in Da."""
        return float(self.edges[-1] - self.edges[0]) / len(self.counts)

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middle of each bin in Da."""
        return 0.5 * (self.edges[:-1] + self.edges[1:])

    @property
    def n(self) -> int:
        """Hits in the histogram."""
        return int(self.counts.sum())

    def add(self, mass_da: ArrayLike) -> None:
        """Count hits by their mass-to-charge ratios in Da; NaN counts as outside."""
        mass = np.asarray(mass_da, np.float64)
        bins = len(self.counts)
        for a in range(0, len(mass), CHUNK):
            here = mass[a : a + CHUNK]
            inside = here[(here >= self.edges[0]) & (here < self.edges[-1])]
            self.outside += len(here) - len(inside)
            place = ((inside - self.edges[0]) / self.bin_da).astype(np.int64)
            # Rounding may put a mass just below the upper edge beyond the last bin.
            self.counts += np.bincount(np.minimum(place, bins - 1), minlength=bins)
