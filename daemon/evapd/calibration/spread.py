"""Rows kept evenly over a stream whose length is not known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Spread:
    """Every 2^k-th of all rows offered, with k as small as `most` rows allow: the same whatever the blocks were."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stride = 1
        self._parts: list[NDArray[Any]] = []
        self._kept = 0
        self.seen = 0

    @property
    def share(self) -> float:
        """Part of the rows offered that is kept."""
        return 1.0 / self._stride

    def add(self, rows: NDArray[Any]) -> None:
        """Offer rows; the first axis counts them."""
        chosen = rows[-self.seen % self._stride :: self._stride]
        self.seen += len(rows)
        if len(chosen):
            self._parts.append(chosen.copy())  # a view would keep all the others alive
            self._kept += len(chosen)
        while self._kept > self._most:
            rows_kept = self.rows()[::2].copy()
            self._parts, self._kept = [rows_kept], len(rows_kept)
            self._stride *= 2

    def rows(self) -> NDArray[Any]:
        """The rows kept, in order; an empty array of one axis when none was ever offered."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0] if self._parts else np.zeros(0)
