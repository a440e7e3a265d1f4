"""Where a library's own thread puts what it has, until the readout thread takes it: bounded, and nothing is lost silently."""

import threading
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Mail(NamedTuple):
    """What was taken: records in the order of their arrival, and how many found no room since the last time."""

    records: list[NDArray[Any]]
    lost: int


class Inbox:
    """Filled by the library's thread, emptied by the readout thread.

    A callback must never raise: no exception can pass through the library. What goes wrong there is kept, and raised by
    `take`.

    Args:
        limit: records that may wait; beyond, they are dropped and counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[NDArray[Any]] = deque()
        self._n = self._lost = 0
        self._failure: BaseException | None = None
        # Written by the library's thread alone, in the order of the records:
        self.ticks = 0  # of the hardware's clock
        self.reached: int | None = None  # newest start that was told without a record

    def put(self, records: NDArray[Any]) -> None:
        """Take records in; they are kept as they are."""
        with self._lock:
            if self._n + len(records) > self._limit:
                self._lost += len(records)
                return
            self._n += len(records)
            self._waiting.append(records)

    def lose(self, records: int) -> None:
        """Count records of which the library says that they are lost."""
        with self._lock:
            self._lost += records

    def fail(self, error: BaseException) -> None:
        """Keep an error of a callback."""
        self._failure = error

    def take(self) -> Mail:
        """Give everything that waits.

        Raises:
            BaseException: what a callback has raised.
        """
        if self._failure is not None:
            error, self._failure = self._failure, None
            raise error
        with self._lock:
            records, lost = list(self._waiting), self._lost
            self._waiting.clear()
            self._n = self._lost = 0
        return Mail(records, lost)

    def clear(self) -> None:
        """Forget everything: a new measurement begins."""
        with self._lock:
            self._waiting.clear()
            self._n = self._lost = 0
            self._failure = self.reached = None


def joined(records: list[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """One array of all of them."""
    if len(records) == 1:
        return records[0]
    return np.concatenate(records) if records else np.empty(0, dtype)
