"""Whether this client still commands, as its own clock sees it; shared by the thread that renews and those that ask."""

import threading

from evapd.errors import LeaseLost


class Term:
    """The time for which a lease was granted.

    Args:
        ttl_s: For how long each renewal holds.
        now_s: Monotonic time just before it was asked for: it ends earlier here than at the daemon, never later.
    """

    def __init__(self, ttl_s: float, now_s: float) -> None:
        self.ttl_s = ttl_s
        self._until_s = now_s + ttl_s
        self._why = ""
        self._lock = threading.Lock()

    def renewed(self, now_s: float) -> None:
        """Take note of a renewal that was asked for at `now_s`."""
        with self._lock:
            self._until_s = now_s + self.ttl_s

    def lose(self, why: str) -> None:
        """Take note that it is over; the first reason is kept."""
        with self._lock:
            self._why = self._why or why

    def lost(self, now_s: float) -> str:
        """Say why it is over, "" while it is not."""
        with self._lock:
            if not self._why and now_s > self._until_s:
                self._why = f"the daemon confirmed no renewal for {self.ttl_s:g} s"
            return self._why

    def check(self, now_s: float) -> None:
        """Raise LeaseLost when it is over."""
        if why := self.lost(now_s):
            raise LeaseLost(
                f"the lease is lost: {why}; look at `status()` before you take it again, another may command now"
            )
