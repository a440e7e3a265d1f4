"""The 10 ms record to the guard, on a thread of its own and absolute deadlines."""

import threading
import time
from collections.abc import Callable

from evapd.acquire.counts import Counts
from evapd.link import LinkFlag, LinkRecord, LinkSender

PERIOD_S = 0.010
_NEVER_US = 2**32 - 1


class Beacon:
    """Sends a record every 10 ms as long as the process lives, whether a run is under way or not.

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
        self._ending = threading.Event()
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
        self._thread.join(1.0)
        self._sender.close()

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
            if self._sender.send(self.record(seq, time.monotonic_ns())):
                self.sent += 1
            else:
                self.refused += 1
            seq += 1
            deadline_s += PERIOD_S
            late_s = time.monotonic() - deadline_s
            if late_s > PERIOD_S:
                deadline_s = time.monotonic()  # counters are cumulative: nothing is lost by leaving some out
            self._ending.wait(max(0.0, -late_s))


def _age_us(heartbeat_s: float | None, now_ns: int) -> int:
    if heartbeat_s is None:
        return _NEVER_US
    return min(_NEVER_US, max(0, now_ns // 1000 - int(heartbeat_s * 1e6)))
