"""Everything that is counted, in one vector: so that a window of the last seconds is a sum of vectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FINE = 8  # bins of the fine spectrum, from which widths are taken, in one that is shown
MULTIPLICITIES = 9  # 0 is not used, 8 is eight or more
QUALITIES = 256
TOF_PIECES = 40  # of the time-of-flight window, for the height of what is flat in it
# Single counters.
HITS, IN_WINDOW, IN_BACKGROUND, WITHOUT_MASS, BEYOND, OFF_MAP, PULSES = range(7)
SINGLES = 8

Counts = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tallies:
    """A vector of counts and its parts, which are views of it."""

    vector: Counts
    spectrum: Counts  # fine bins of equal width in the root of m/q
    cells: Counts  # of the map, row by row: y, then x
    tof: Counts  # pieces of the time-of-flight window
    multiplicity_hits: Counts
    multiplicity_pulses: Counts
    quality: Counts
    singles: Counts


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the parts that the configuration decides."""

    bins: int  # of the spectrum as it is shown
    side: int  # cells of the map each way

    @property
    def _sizes(self) -> tuple[int, ...]:
        return (
            self.bins * FINE, self.side * self.side, TOF_PIECES, MULTIPLICITIES, MULTIPLICITIES, QUALITIES, SINGLES,
        )  # fmt: skip

    def zeros(self, dtype: Any) -> Tallies:
        """Make counts of nothing."""
        return self.view(np.zeros(sum(self._sizes), dtype))

    def view(self, vector: Counts) -> Tallies:
        """Show the parts of a vector."""
        edges = np.cumsum(self._sizes)[:-1]
        return Tallies(vector, *np.split(vector, edges))


class Rolling:
    """Counts of the whole run and of the last seconds. One thread writes and reads.

    The present step is counted into; a finished one is added to both sums, and taken from the sum of the last seconds when
    it has become too old.
    """

    def __init__(self, shape: Shape, span_s: float, now_s: float, steps: int = 20) -> None:
        self._shape, self._span_s, self._step_s = shape, span_s, span_s / steps
        self._sum = np.zeros(len(shape.zeros(np.uint32).vector), np.int64)
        self._whole = self._sum.copy()
        self._steps: list[tuple[float, Tallies]] = []
        self.now, self._begun_s = shape.zeros(np.uint32), now_s

    def turn(self, now_s: float) -> None:
        """Begin a new step when it is time, and let go of what is too old."""
        if now_s - self._begun_s < self._step_s:
            return
        self._sum += self.now.vector
        self._whole += self.now.vector
        self._steps.append((self._begun_s, self.now))
        spare: Tallies | None = None
        while self._steps and self._steps[0][0] < now_s - self._span_s:
            _, spare = self._steps.pop(0)
            self._sum -= spare.vector
        if spare is None:
            spare = self._shape.zeros(np.uint32)
        else:
            spare.vector[:] = 0
        self.now, self._begun_s = spare, now_s

    def recent(self) -> Tallies:
        """Counts of the last seconds, the present step included; a copy."""
        return self._shape.view(self._sum + self.now.vector)

    def whole(self) -> Tallies:
        """Counts since the beginning, the present step included; a copy."""
        return self._shape.view(self._whole + self.now.vector)

    def covered_s(self, now_s: float) -> float:
        """Seconds that `recent` covers."""
        return now_s - (self._steps[0][0] if self._steps else self._begun_s)
