"""The 10 ms record to the guard, on a thread of its own and absolute deadlines."""

import threading
import time
from collections.abc import Callable

from evapd.link import LinkRecord, LinkSender

PERIOD_S = 0.010


class Beacon:
    """Sends a record every 10 ms as long as the process lives, whether a run is under way or not."""

    def __init__(self, sender: LinkSender, make: Callable[[int, int], LinkRecord]) -> None:
        self._sender, self._make = sender, make
        self._ending = threading.Event()
        self.sent = self.refused = 0
        self._thread = threading.Thread(target=self._run, name="beacon", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; the guard sees the end of file."""
        self._ending.set()
        self._thread.join(1.0)
        self._sender.close()

    def _run(self) -> None:
        deadline_s = time.monotonic()
        seq = 0
        while not self._ending.is_set():
            if self._sender.send(self._make(seq, time.monotonic_ns())):
                self.sent += 1
            else:
                self.refused += 1
            seq += 1
            deadline_s += PERIOD_S
            late_s = time.monotonic() - deadline_s
            if late_s > PERIOD_S:
                deadline_s = time.monotonic()  # counters are cumulative: nothing is lost by leaving some out
            self._ending.wait(max(0.0, -late_s))


def heartbeat_age_us(last_block_s: float | None, now_ns: int) -> int:
    """Age of the newest heartbeat in us, saturated at what the record can carry."""
    if last_block_s is None:
        return 2**32 - 1
    return min(2**32 - 1, max(0, now_ns // 1000 - int(last_block_s * 1e6)))


