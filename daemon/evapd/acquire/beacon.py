"""The 10 ms record to the guard, on a thread of its own and absolute deadlines."""

import threading
import time
from collections.abc import Callable

from evapd.acquire.counts import Counts
from evapd.link import LinkFlag, LinkRecord, LinkSender

PERIOD_S = 0.010
_LEAST_S = 0.002  # between two records, however urgent
_NEVER_US = 2**32 - 1


class Beacon:
    """Sends a record every 10 ms as long as the process lives, whether a run is under way or not, and one at once on `hurry`.

    `counts` gives the newest counts, `heartbeat_s` the monotonic time of the last TDC heartbeat or None, `flags` what holds
    now; flags of loss are found by comparing counts from record to record.
    """

    def __init__(
        self,
        sender: LinkSender,
        config: bytes,
        counts: Callable[[], Counts],
        heartbeat_s: Callable[[], float | None],
        flags: Callable[[], LinkFlag],
    ) -> None:
        self.sent = self.refused = 0
        self._sender, self._config = sender, config
        self._counts, self._heartbeat_s, self._flags = counts, heartbeat_s, flags
        self._before = Counts()
        self._ending, self._hurry = threading.Event(), threading.Event()
        self._sent_s = 0.0
        self._thread = threading.Thread(target=self._run, name="beacon", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the guard listens."""
        return self._sender.connected

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; the guard sees the end of file."""
        self._ending.set()
        self._hurry.set()
        self._thread.join(1.0)
        self._sender.close()

    def hurry(self) -> None:
        """Send a record now: what was counted is too much to wait for the next. From any thread, returns at once."""
        if time.monotonic() - self._sent_s >= _LEAST_S:
            self._hurry.set()

    def record(self, seq: int, now_ns: int) -> LinkRecord:
        """Make the record of this instant."""
        counts, before = self._counts(), self._before
        self._before = counts
        flags = self._flags()
        if counts.saturated_blocks > before.saturated_blocks:
            flags |= LinkFlag.SATURATED
        if counts.lost_blocks > before.lost_blocks:
            flags |= LinkFlag.LOSS
        if counts.jump_blocks > before.jump_blocks:
            flags |= LinkFlag.COUNTER_JUMP
        return LinkRecord(
            seq=seq,
            t_mono_ns=now_ns,
            flags=flags,
            pulse_counter=counts.pulses,
            live_pulses=counts.live_pulses,
            hits_window=counts.hits_window,
            background_hits=counts.hits_background,
            hits_total=counts.hits,
            words=counts.words,
            triggers=counts.triggers,
            early_hits=counts.hits_early,
            map_hits=counts.map_hits,
            hot_hits=counts.hot_hits,
            heartbeat_age_us=_age_us(self._heartbeat_s(), now_ns),
            config=self._config,
        )

    def _run(self) -> None:
        deadline_s = time.monotonic()
        seq = 0
        while not self._ending.is_set():
            self._hurry.clear()
            if self._sender.send(self.record(seq, time.monotonic_ns())):
                self.sent += 1
            else:
                self.refused += 1
            seq += 1
            self._sent_s = time.monotonic()
            if self._sent_s >= deadline_s:
                # Counters are cumulative: nothing is lost by leaving some out where this thread was held up.
                deadline_s = max(deadline_s + PERIOD_S, self._sent_s)
            self._hurry.wait(deadline_s - self._sent_s)


def _age_us(heartbeat_s: float | None, now_ns: int) -> int:
    if heartbeat_s is None:
        return _NEVER_US
    return min(_NEVER_US, max(0, now_ns // 1000 - int(heartbeat_s * 1e6)))
