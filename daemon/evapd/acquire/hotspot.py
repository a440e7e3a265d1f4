"""How hits lie on the detector: how many of the last second fell into the hottest cell of the map."""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import HitBlock

CELL_UM = 4_000
SPAN_S = 1.0
_SIDE = 48  # cells each way, +- 96 mm; what lies beyond counts into the outermost
_STEP_S = 0.05  # maps of this length are kept, so that a second is twenty of them
_MOST = 1_000  # hits looked at per block: a share does not need all of them


class HotSpot:
    """A map of the last second. Written by the pipeline's thread only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps: deque[tuple[float, NDArray[np.int64]]] = deque()
        self._sum = np.zeros(_SIDE * _SIDE, dtype=np.int64)
        self._now = (0, 0)
        self._due_s = -np.inf

    def clear(self) -> None:
        """Forget the map."""
        self._steps.clear()
        self._sum[:] = 0
        self._now, self._due_s = (0, 0), -np.inf

    def add(self, hits: HitBlock) -> tuple[int, int]:
        """Take in a block; gives the hits of the last second, and those in the hottest cell.

        Of a block above 1000 hits every n-th is looked at and counts n times.
        """
        now_s = self._clock()
        if hits.n:
            self._take(hits, now_s)
        elif not self._steps:
            return self._now
        if now_s >= self._due_s:
            self._due_s = now_s + _STEP_S
            while self._steps and self._steps[0][0] < now_s - SPAN_S:
                self._sum -= self._steps.popleft()[1]
            self._now = int(self._sum.sum()), int(self._sum.max())
        return self._now

    def _take(self, hits: HitBlock, now_s: float) -> None:
        every = -(-hits.n // _MOST)
        cells = [
            np.clip(values[::every] // CELL_UM + _SIDE // 2, 0, _SIDE - 1)
            for values in (hits.x_um, hits.y_um)
        ]
        counts = every * np.bincount(cells[0] * _SIDE + cells[1], minlength=_SIDE * _SIDE)
        self._sum += counts
        if self._steps and now_s - self._steps[-1][0] < _STEP_S:
            np.add(self._steps[-1][1], counts, out=self._steps[-1][1])
        else:
            self._steps.append((now_s, counts))
