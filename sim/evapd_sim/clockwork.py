"""Steps against absolute deadlines of a monotonic clock.

A late step is made up by a longer one, but never longer than `BURST_S`: the far end would take a burst of seconds for a
fault of its own, and pulses that were stopped meanwhile would all be counted as let through. After a pause of more than
`GIVE_UP_S` (a stopped process) the time beyond it is let go and counted.
"""

import threading
from collections.abc import Callable

BURST_S = 0.01
GIVE_UP_S = 1.0


class Clockwork:
    """Calls `advance(dt_s)` so that the sum of all `dt_s` follows the clock.

    Attributes:
        lost_s: time that was let go.
        late_s: the longest delay of a step so far.
    """

    def __init__(
        self,
        step_s: float,
        advance: Callable[[float], None],
        clock: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._step_s = step_s
        self._advance = advance
        self._clock = clock
        self._stop = stop
        self.lost_s = 0.0
        self.late_s = 0.0

    def run(self) -> None:
        """Step until `stop` is set."""
        done_s = self._clock()
        while not self._stop.is_set():
            behind_s = self._clock() - done_s
            if behind_s < self._step_s:
                self._stop.wait(self._step_s - behind_s)
                continue
            self.late_s = max(self.late_s, behind_s - self._step_s)
            if behind_s > GIVE_UP_S:
                done_s += behind_s - GIVE_UP_S
                self.lost_s += behind_s - GIVE_UP_S
                behind_s = GIVE_UP_S
            dt_s = min(behind_s, BURST_S)
            self._advance(dt_s)
            done_s += dt_s
