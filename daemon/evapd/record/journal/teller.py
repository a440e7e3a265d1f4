"""Telling faults on a thread of its own."""

import logging
import math
import queue
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)
_LOSS_REPORT_S = 1.0


class LossTold:
    """When a growing number of losses is to be told: the first at once, later once a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told, self._at_s = 0, -math.inf

    def due(self, lost: int) -> int:
        """Give how many have not been told yet, 0 while it is too soon."""
        now_s = self._clock()
        if now_s - self._at_s < _LOSS_REPORT_S:
            return 0
        new, self._told, self._at_s = lost - self._told, lost, now_s
        return new


class FaultTeller:
    """Hands faults to a callback from its own thread.

    So the callback may take locks that the caller of `append` holds, and a disk that hangs delays no alarm.
    """

    def __init__(self, name: str, on_fault: Callable[[str], None]) -> None:
        self.told: list[str] = []
        self._on_fault = on_fault
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def tell(self, message: str) -> None:
        """Take a fault; does not wait."""
        self.told.append(message)
        self._waiting.put(message)

    def close(self, timeout_s: float) -> None:
        """Tell what is waiting, then end."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None:
            _log.error("%s", message)
            self._on_fault(message)
