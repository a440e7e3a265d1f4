"""The present rate with its statistical band, from the exact counts of the run."""

from collections import deque
from typing import Any

import numpy as np

WINDOW_S = 2.0


class RateWindow:
    """Counts of the last two seconds; `add` is called about five times a second."""

    def __init__(self) -> None:
        self._rows: deque[tuple[float, int, int, int]] = deque()

    def clear(self) -> None:
        """Begin afresh."""
        self._rows.clear()

    def add(self, t_s: float, live_pulses: int, hits_in_window: int, hits: int) -> None:
        """Take cumulative counts; smaller ones than before are those of a new run."""
        if self._rows and (live_pulses < self._rows[-1][1] or hits < self._rows[-1][3]):
            self.clear()
        self._rows.append((t_s, live_pulses, hits_in_window, hits))
        while len(self._rows) > 2 and self._rows[1][0] <= t_s - WINDOW_S:
            self._rows.popleft()

    def document(self, target: float | None) -> dict[str, Any]:
        """Give hits in the time-of-flight window per live pulse; without live pulses it is not known."""
        (t0_s, pulses0, seen0, hits0), (t_s, pulses1, seen1, hits1) = (
            (self._rows[0], self._rows[-1]) if self._rows else ((0.0, 0, 0, 0),) * 2
        )
        pulses, seen, window_s = pulses1 - pulses0, seen1 - seen0, t_s - t0_s
        known = pulses > 0
        return {
            "window_s": window_s,
            "live_pulses": pulses,
            "hits_in_window": seen,
            "per_pulse": seen / pulses if known else None,
            # One standard deviation of a Poisson number; of one where nothing came.
            "error": float(np.sqrt(max(seen, 1))) / pulses if known else None,
            "target": target,
            "target_error": float(np.sqrt(target / pulses)) if known and target else None,
            "hits_per_s": (hits1 - hits0) / window_s if window_s > 0.0 else None,
        }
