"""The truth behind a stream of words: which ions struck, where and when, and which of their signals the stream has."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evapd_sim.converter import Words
from evapd_sim.signals import Arrivals

Floats = NDArray[np.float64]
RECOVERABLE_SIGNALS = 4  # time, x and y are three unknowns; one more signal checks them


@dataclass(frozen=True)
class TrueHits:
    """True hits, ascending in pulse and time. Shapes (n,).

    Bit 0 of `alive` is set where the MCP signal is in the stream, bit k where that of channel k is.
    """

    pulse: NDArray[np.int64]
    tof_ps: Floats
    x_mm: Floats  # from the detector's centre
    y_mm: Floats
    alive: NDArray[np.uint8]

    @classmethod
    def of(cls, arrivals: Arrivals, words: Words) -> Self:
        """Put arrivals, numbered from 0, beside the words they left."""
        alive = np.zeros(len(arrivals.pulse), np.uint8)
        own = words.owner >= 0
        np.bitwise_or.at(alive, words.owner[own], np.uint8(1) << words.channel[own])
        return cls(arrivals.pulse, arrivals.t_ps, arrivals.x_mm, arrivals.y_mm, alive)

    @cached_property
    def signals(self) -> NDArray[np.uint8]:
        """How many signals of each hit are in the stream."""
        counts: NDArray[np.uint8] = np.unpackbits(self.alive[:, None], axis=1).sum(axis=1, dtype=np.uint8)
        return counts

    @cached_property
    def recoverable(self) -> NDArray[np.bool_]:
        """Which hits have enough signals in the stream to be found and checked."""
        return self.signals >= RECOVERABLE_SIGNALS

    @property
    def ceiling(self) -> float:
        """Share of the hits that is recoverable; 0 where there are no hits."""
        return float(self.recoverable.mean()) if len(self.pulse) else 0.0

    @cached_property
    def multiplicity(self) -> NDArray[np.int64]:
        """True hits in the pulse of each hit."""
        _, index, counts = np.unique(self.pulse, return_inverse=True, return_counts=True)
        many: NDArray[np.int64] = counts[index]
        return many
