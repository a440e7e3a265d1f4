"""From arrivals on the detector to words of a time-to-digital converter.

Each arrival gives a signal on the MCP channel and on both ends of every delay line. Signals jitter, go missing, and
merge when two follow each other on one channel within its dead time; lone noise words are added.
"""

import math

import numpy as np
from numpy.typing import NDArray

from evapd_sim.anode import AnodeFile

Floats = NDArray[np.float64]
_NS_TO_PS = 1000.0


class DelayLines:
    """The signals of one anode, in ps, before any converter.

    A hit at t with coordinate c along a layer's axis gives t1 = t + (sum + 2c/f + offset) / 2 and
    t2 = t + (sum - 2c/f - offset) / 2, so that t1 + t2 - 2t = sum and f (t1 - t2 - offset) / 2 = c.
    """

    def __init__(self, anode: AnodeFile, *, jitter_ps: float, missing: float, noise_hz: float) -> None:
        self._jitter_ps = jitter_ps
        self._missing = missing
        self._noise_hz = noise_hz  # per channel
        lines = anode.lines()
        self.channels = 1 + 2 * len(lines)
        base, along_x, along_y = [0.0], [0.0], [0.0]
        for layer, angle_deg in lines:
            ps_per_mm = _NS_TO_PS / layer.mm_per_ns
            for sign in (1.0, -1.0):
                base.append((layer.time_sum_ps + sign * layer.offset_ps) / 2.0)
                along_x.append(sign * ps_per_mm * math.cos(math.radians(angle_deg)))
                along_y.append(sign * ps_per_mm * math.sin(math.radians(angle_deg)))
        self._along_x = np.array(along_x)[:, None]
        self._along_y = np.array(along_y)[:, None]
        centre_x_mm, centre_y_mm = anode.centre_mm
        self._base = np.array(base)[:, None] + self._along_x * centre_x_mm + self._along_y * centre_y_mm

    def signals(
        self, rng: np.random.Generator, pulse: NDArray[np.int64], t_ps: Floats, x_mm: Floats, y_mm: Floats
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], Floats]:
        """Signals of arrivals: pulse, channel and time in ps after that pulse, in no order.

        `x_mm`, `y_mm` are relative to the detector's centre; shapes (n,).
        """
        times = t_ps + self._base + self._along_x * x_mm + self._along_y * y_mm
        if self._jitter_ps > 0.0:
            times += rng.normal(0.0, self._jitter_ps, times.shape)
        flat = np.arange(times.size)
        if self._missing > 0.0:
            flat = flat[rng.random(times.size) >= self._missing]
        channel, hit = np.divmod(flat, max(len(pulse), 1))
        return pulse[hit], channel.astype(np.uint8), times.ravel()[flat]

    def noise(
        self, rng: np.random.Generator, dt_s: float, pulses: int, period_ps: float
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], Floats]:
        """Lone signals of `dt_s` seconds, uniform over the pulses, their periods and the channels."""
        n = int(rng.poisson(self._noise_hz * self.channels * dt_s))
        if n == 0:
            return np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0)
        return (
            rng.integers(0, pulses, n),
            rng.integers(0, self.channels, n, dtype=np.uint8),
            rng.random(n) * period_ps,
        )


class TdcInputs:
    """The converter: folds times into pulse periods, applies dead time, counts bins, keeps what belongs to later pulses.

    Dead time is not extended by a signal that falls into it. It is applied among the words that are taken together.
    """

    def __init__(self, *, bin_ps: float, dead_time_ps: float) -> None:
        self._bin_ps = bin_ps
        self._dead_time_ps = dead_time_ps
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.uint8], Floats]] = []

    def push(self, pulse: NDArray[np.int64], channel: NDArray[np.uint8], t_ps: Floats) -> None:
        """Add signals; `pulse` counts from the first pulse of the next `take`."""
        if len(pulse):
            self._waiting.append((pulse, channel, t_ps))

    def forget(self) -> None:
        """Drop what waits for pulses that did not come."""
        self._waiting.clear()

    def take(
        self, pulses: int, period_ps: float
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int32]]:
        """Words of the next `pulses` pulses: offset, channel, time in bins; ascending in pulse, then time.

        A signal later than `period_ps` belongs to a later pulse, as in a converter that counts from the newest start.
        """
        if not self._waiting:
            return np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.int32)
        pulse, channel, t_ps = (
            self._waiting[0]
            if len(self._waiting) == 1
            else map(np.concatenate, zip(*self._waiting, strict=True))
        )
        self._waiting.clear()
        periods = np.floor(t_ps / period_ps)
        if periods.any():
            t_ps = t_ps - periods * period_ps
            pulse = pulse + periods.astype(np.int64)
        late = pulse >= pulses
        if late.any():
            self._waiting.append((pulse[late] - pulses, channel[late], t_ps[late]))
            ready = ~late
            pulse, channel, t_ps = pulse[ready], channel[ready], t_ps[ready]
        early = pulse < 0  # jitter before the very first pulse of the step
        if early.any():
            pulse, t_ps = np.where(early, 0, pulse), np.where(early, 0.0, t_ps)
        if self._dead_time_ps > 0.0:
            kept = alive(channel, pulse * period_ps + t_ps, self._dead_time_ps)
            pulse, channel, t_ps = pulse[kept], channel[kept], t_ps[kept]
        bins = np.rint(t_ps / self._bin_ps).astype(np.int32)
        order = np.argsort((pulse << 32) | bins, kind="stable")
        return pulse[order], channel[order], bins[order]


def alive(channel: NDArray[np.uint8], t_ps: Floats, dead_time_ps: float) -> NDArray[np.intp]:
    """Indices of the signals that a channel with a dead time (not extended) registers, by channel and time."""
    order = np.lexsort((t_ps, channel))
    while True:
        times, lines = t_ps[order], channel[order]
        too_soon = np.zeros(len(order), dtype=np.bool_)
        too_soon[1:] = (times[1:] - times[:-1] < dead_time_ps) & (lines[1:] == lines[:-1])
        if not too_soon.any():
            return order
        # Only the first of a chain is surely dead; whether the next one is depends on it being gone.
        too_soon[1:] &= ~too_soon[:-1]
        order = order[~too_soon]
