"""What voltage belongs to a hit: pulse number to time by the blocks' anchors, time to voltage by the readback."""

from array import array

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd.blocks import NO_ANCHOR, Anchor, HitBlock
from evapd.units import US_PER_S

MAX_GAP_US = 5 * US_PER_S
_STALL = 3.0  # a mean period this much longer than the last one means that pulses stood still meanwhile


class Readback:
    """Measured values of one quantity with the times of their readings; times ascend, repeats are left out."""

    def __init__(self) -> None:
        self._t_us = array("q")
        self._value = array("d")

    def __len__(self) -> int:
        return len(self._t_us)

    def add(self, t_us: ArrayLike, value: ArrayLike) -> None:
        """Take readings of any shape; unknown ones (NaN) and those already seen are passed over."""
        for t, v in zip(np.atleast_1d(t_us).tolist(), np.atleast_1d(value).tolist(), strict=True):
            if np.isfinite(v) and t > 0 and (not self._t_us or t > self._t_us[-1]):
                self._t_us.append(t)
                self._value.append(v)

    @property
    def t_us(self) -> NDArray[np.int64]:
        """Times of the readings, CLOCK_MONOTONIC in us."""
        return np.frombuffer(self._t_us, dtype=np.int64) if self._t_us else np.empty(0, np.int64)

    @property
    def value(self) -> NDArray[np.float64]:
        """The readings."""
        return np.frombuffer(self._value, dtype=np.float64) if self._value else np.empty(0)

    def at(self, t_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate at the given times, us; NaN where the readings around are more than 5 s apart or away.

        A bridge over a long silence would be a guess: the supply may have done anything meanwhile.
        """
        if not len(self):
            return np.full(len(t_us), np.nan)
        times, values = self.t_us, self.value
        result = np.interp(t_us, times, values)
        after = np.searchsorted(times, t_us)
        left = times[np.maximum(after - 1, 0)]
        right = times[np.minimum(after, len(times) - 1)]
        inside = (after > 0) & (after < len(times))
        distance = np.where(inside, right - left, np.maximum(t_us - right, left - t_us))
        return np.where(distance <= MAX_GAP_US, result, np.nan)


class PulseClock:
    """Times of pulses, from the anchors of the blocks in their order.

    Between two anchors pulses are evenly spaced. When pulses stood still for a while, those behind the pause are
    counted back from the later anchor with the period seen before.
    """

    def __init__(self, pulse_rate_hz: float) -> None:
        self._period_us = US_PER_S / pulse_rate_hz
        self._anchor: Anchor | None = None

    def times_us(self, block: HitBlock, t_frame_us: int) -> NDArray[np.float64]:
        """Give the time of each hit's pulse, CLOCK_MONOTONIC in us.

        Args:
            block: the next block.
            t_frame_us: when its frame was made; stands in for a missing anchor.
        """
        anchor = block.anchor if block.anchor != NO_ANCHOR else Anchor(block.last_pulse, t_frame_us)
        before = self._anchor
        if before is not None and anchor.pulse > before.pulse and anchor.t_mono_us > before.t_mono_us:
            period_us = (anchor.t_mono_us - before.t_mono_us) / (anchor.pulse - before.pulse)
            if period_us < _STALL * self._period_us:
                self._period_us = period_us
        self._anchor = anchor
        pulses = block.first_pulse - anchor.pulse + block.pulse.astype(np.int64)
        return np.asarray(anchor.t_mono_us + pulses * self._period_us, dtype=np.float64)
