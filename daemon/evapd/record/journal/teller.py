"""Telling faults on a thread of its own."""

import logging
import queue
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


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
