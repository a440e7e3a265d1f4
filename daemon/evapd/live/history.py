"""Histories of the run in bounded memory: minimum, maximum and mean per bin; bins are joined in pairs when they run out."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.live.arrays import packed
from evapd.units import US_PER_S

MOST = 2000
FIRST_BIN_S = 0.2
MOST_COLUMNS = 64

Floats = NDArray[np.float64]


class _Column:
    """Sums of one quantity per bin."""

    def __init__(self, bins: int) -> None:
        self.n = np.zeros(bins, np.int64)
        self.sum = np.zeros(bins)
        self.low = np.full(bins, np.inf)
        self.high = np.full(bins, -np.inf)

    def add(self, place: int, value: float) -> None:
        self.n[place] += 1
        self.sum[place] += value
        self.low[place] = min(self.low[place], value)
        self.high[place] = max(self.high[place], value)

    def joined(self, by: int, length: int) -> "_Column":
        """Join bins; the result is filled up with empty ones to a length."""
        made = _Column(length)
        bins = -(-len(self.n) // by)
        pad = bins * by - len(self.n)
        made.n[:bins] = np.pad(self.n, (0, pad)).reshape(bins, by).sum(axis=1)
        made.sum[:bins] = np.pad(self.sum, (0, pad)).reshape(bins, by).sum(axis=1)
        made.low[:bins] = np.pad(self.low, (0, pad), constant_values=np.inf).reshape(bins, by).min(axis=1)
        made.high[:bins] = np.pad(self.high, (0, pad), constant_values=-np.inf).reshape(bins, by).max(axis=1)
        return made

    def part(self, first: int, stop: int) -> "_Column":
        made = _Column(0)
        made.n, made.sum = self.n[first:stop], self.sum[first:stop]
        made.low, made.high = self.low[first:stop], self.high[first:stop]
        return made

    def document(self) -> dict[str, Any]:
        none = self.n == 0
        mean = self.sum / np.maximum(self.n, 1)
        return {
            name: packed(np.where(none, np.nan, values).astype(np.float32))
            for name, values in (("mean", mean), ("min", self.low), ("max", self.high))
        }


class History:
    """Quantities over time since the run began. One thread adds, any reads."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._begun_s, self._begun_utc, self._run = 0.0, 0, ""
        self._clear()

    def _clear(self) -> None:
        self._bin_s, self._columns, self._used = FIRST_BIN_S, dict[str, _Column](), 0

    def begin(self, run: str, t_s: float, t_utc_us: int) -> None:
        """Begin afresh with a run; `t_s` monotonic, `t_utc_us` the same instant as a label."""
        with self._lock:
            self._run, self._begun_s, self._begun_utc = run, t_s, t_utc_us
            self._clear()

    def add(self, t_s: float, values: Mapping[str, float | None]) -> None:
        """Take values of one moment, not earlier than those before; what is None or no finite number is passed over."""
        with self._lock:
            place = int(max(t_s - self._begun_s, 0.0) / self._bin_s)
            while place >= self._most:
                self._columns = {name: each.joined(2, self._most) for name, each in self._columns.items()}
                self._bin_s *= 2.0
                self._used, place = -(-self._used // 2), place // 2
            for name, value in values.items():
                if value is None or not np.isfinite(value):
                    continue
                if name not in self._columns and len(self._columns) >= MOST_COLUMNS:
                    continue
                self._columns.setdefault(name, _Column(self._most)).add(place, value)
            self._used = max(self._used, place + 1)

    def document(self, since_s: float = 0.0, most: int = MOST) -> dict[str, Any]:
        """Give the columns from `since_s` after the beginning, in at most `most` bins."""
        with self._lock:
            first = min(int(max(since_s, 0.0) / self._bin_s), self._used)
            by = max(1, -(-(self._used - first) // max(most, 1)))
            first -= first % by  # so that bins of two replies have the same edges
            by = max(by, -(-(self._used - first) // max(most, 1)))
            bins = -(-(self._used - first) // by)
            columns = {
                name: each.part(first, self._used).joined(by, bins)
                for name, each in sorted(self._columns.items())
            }
            return {
                "run": self._run,
                "begun_utc": self._begun_utc,
                "begun_mono_us": round(self._begun_s * US_PER_S),
                "first_s": first * self._bin_s,
                "bin_s": by * self._bin_s,
                "bins": bins,
                "columns": {name: each.document() for name, each in columns.items()},
            }
