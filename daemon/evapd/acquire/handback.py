"""Gives back to the system what the allocator holds free: between small things that stay it would pile up for months.

Frames of a hundred kilobytes come and go between readings that stay for minutes, and glibc gives back only what lies at the
end of its heap: measured at 200 000 hits/s, 4 and 6 MB more stayed behind at two stalls of a subscriber. A fixed
M_MMAP_THRESHOLD helps as well, and costs a fifth of the highest rate (docs/decisions/0009-memory-handed-back.md).
"""

import ctypes
import logging
import threading
from collections.abc import Callable

EVERY_S = 30.0

_log = logging.getLogger(__name__)


def trimmer() -> Callable[[int], int] | None:
    """Give glibc's `malloc_trim`, None where the C library has none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None


class HandBack:
    """A thread that does so every `every_s` seconds; others may wait for memory meanwhile, 2 ms where 60 MB were free."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        """Prepare; nothing is done before `start`."""
        self._every_s, self._trim = every_s, trimmer()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="handback", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._trim is None:
            _log.info("this C library cannot be told to give memory back: acquire may grow over weeks")
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ending.set()
        self._thread.join(5.0)

    def _serve(self) -> None:
        while self._trim is not None and not self._ending.wait(self._every_s):
            self._trim(0)
