"""What voltage a pulse had, while the run goes on: the guard's readback, and a short way beyond its newest value.

The readback of a pulse's own time comes 50 to 120 ms after the pulse. To wait for it would make every display late by as much.
Instead the straight line through the last readings is followed beyond the newest: while V rises at 3 %/s, holding the newest reading
would put m/q 0.3 % too low all the time; the line is wrong only where the slope changes, by at most that.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd.record.voltage import MAX_GAP_US
from evapd.units import US_PER_S

KEPT = 128
LINE_US = 250_000  # readings that the line is laid through
BEYOND_US = 300_000  # and how far it is followed; from there it is level
STEEPEST = 0.05  # 1/s of V: no law raises it quicker, and where it falls quicker no ions come

Floats = NDArray[np.float64]


class Voltages:
    """Newest readings of one voltage; written by one thread, read by any."""

    def __init__(self) -> None:
        self._readings: tuple[Floats, Floats] = (np.empty(0), np.empty(0))  # replaced as a whole

    def take(self, t_us: ArrayLike, value: ArrayLike) -> None:
        """Take readings with the times at which they were read; unknown ones and repeats are passed over."""
        times, values = self._readings
        new_t = np.atleast_1d(np.asarray(t_us, np.float64))
        new_v = np.atleast_1d(np.asarray(value, np.float64))
        fresh = np.isfinite(new_v) & (new_t > 0) & (np.diff(new_t, prepend=-1.0) > 0)
        if len(times):
            fresh &= new_t > times[-1]
        if fresh.any():
            self._readings = (
                np.concatenate((times, new_t[fresh]))[-KEPT:],
                np.concatenate((values, new_v[fresh]))[-KEPT:],
            )

    def at(self, t_us: float) -> float:
        """Give the voltage at a monotonic time in us; NaN where it is not known."""
        times, values = self._readings
        if not len(times):
            return math.nan
        if t_us > times[-1]:
            late_us = t_us - times[-1]
            return math.nan if late_us > MAX_GAP_US else self._beyond(times, values, late_us)
        after = int(np.searchsorted(times, t_us))
        if after == 0:
            return float(values[0]) if times[0] - t_us <= MAX_GAP_US else math.nan
        if times[after] - times[after - 1] > MAX_GAP_US:
            return math.nan
        return float(np.interp(t_us, times, values))

    @staticmethod
    def _beyond(times: Floats, values: Floats, late_us: float) -> float:
        newest = float(values[-1])
        part = times >= times[-1] - LINE_US
        if np.count_nonzero(part) < 3:
            return newest
        t, v = times[part] - times[-1], values[part]
        t_mean, v_mean = float(t.mean()), float(v.mean())
        slope = float(((t - t_mean) @ (v - v_mean)) / ((t - t_mean) @ (t - t_mean)))
        steepest = STEEPEST * abs(newest) / US_PER_S
        slope = min(max(slope, -steepest), steepest)
        return newest + slope * min(late_us, BEYOND_US)
