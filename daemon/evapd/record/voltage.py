"""What voltage belongs to a hit: pulse number to time by the blocks' anchors, time to voltage by the readback."""

from array import array
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd.blocks import NO_ANCHOR, Anchor, HitBlock
from evapd.units import US_PER_S

MAX_GAP_US = 5 * US_PER_S
_STALL = 3.0  # a mean period this much longer than the last one means that pulses stood still meanwhile


class Readback:
    """Measured values of one quantity with the times of their readings; times ascend, repeats are left out."""

    def __init__(self, t_us: ArrayLike = (), value: ArrayLike = ()) -> None:
        self._t_us = array("q", np.asarray(t_us, np.int64).tobytes())
        self._value = array("d", np.asarray(value, np.float64).tobytes())
        self._newest_us = self._t_us[-1] if self._t_us else 0

    def __len__(self) -> int:
        return len(self._t_us)

    def add(self, t_us: ArrayLike, value: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Take readings of any shape; unknown ones (NaN) and those already seen are passed over. Gives what is new."""
        t, v = fresh(np.atleast_1d(t_us), np.atleast_1d(value), self._newest_us)
        if len(t):
            self._t_us.frombytes(t.tobytes())
            self._value.frombytes(v.tobytes())
            self._newest_us = int(t[-1])
        return t, v

    @property
    def t_us(self) -> NDArray[np.int64]:
        """Times of the readings, CLOCK_MONOTONIC in us; a copy."""
        return np.array(self._t_us, np.int64)

    @property
    def value(self) -> NDArray[np.float64]:
        """The readings; a copy."""
        return np.array(self._value, np.float64)

    def forget_before(self, t_us: float) -> None:
        """Forget readings before this time."""
        if len(self._t_us) and self._t_us[0] < t_us:
            n = int(np.searchsorted(self.t_us, t_us))
            del self._t_us[:n], self._value[:n]

    def at(self, t_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate at the given times; see `interpolated`."""
        return interpolated(t_us, self.t_us, self.value)

    def kept(self) -> dict[str, Any]:
        """Give what is needed to go on later."""
        return {"t_us": self.t_us, "value": self.value, "newest_us": self._newest_us}

    @classmethod
    def of_kept(cls, kept: dict[str, Any]) -> Self:
        """Make a readback again of what `kept` gave."""
        made = cls(kept["t_us"], kept["value"])
        made._newest_us = kept["newest_us"]
        return made


def fresh(
    t_us: NDArray[Any], value: NDArray[Any], newest_us: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give the readings that are known (not NaN) and later than all before them and than `newest_us` (at least 0)."""
    t, v = t_us.astype(np.int64), value.astype(np.float64)
    known = np.isfinite(v)
    t, v = t[known], v[known]
    before = np.maximum.accumulate(np.concatenate(([max(0, newest_us)], t)))[:-1]
    return t[t > before], v[t > before]


def interpolated(
    t_us: NDArray[np.float64], times: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate readings at the given times, us; NaN where the readings around are more than 5 s apart or away.

    A bridge over a long silence would be a guess: the supply may have done anything meanwhile.
    """
    if not len(times) or not len(t_us):
        return np.full(len(t_us), np.nan)
    result = np.interp(t_us, times, values)
    within = times[0] <= t_us.min() and t_us.max() <= times[-1]
    if within and (len(times) < 2 or np.diff(times).max() <= MAX_GAP_US):
        return result
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

    def line(self, first_pulse: int, last_pulse: int, anchor: Anchor, t_frame_us: int) -> tuple[float, float]:
        """Take the next block; gives the time of its first pulse, CLOCK_MONOTONIC in us, and the period, us.

        Args:
            first_pulse: of the block.
            last_pulse: of the block.
            anchor: of the block.
            t_frame_us: when its frame was made; stands in for a missing anchor.
        """
        if anchor == NO_ANCHOR:
            anchor = Anchor(last_pulse, t_frame_us)
        before = self._anchor
        if before is not None and anchor.pulse > before.pulse and anchor.t_mono_us > before.t_mono_us:
            period_us = (anchor.t_mono_us - before.t_mono_us) / (anchor.pulse - before.pulse)
            if period_us < _STALL * self._period_us:
                self._period_us = period_us
        self._anchor = anchor
        return anchor.t_mono_us + (first_pulse - anchor.pulse) * self._period_us, self._period_us

    def times_us(self, block: HitBlock, t_frame_us: int) -> NDArray[np.float64]:
        """Give the time of each hit's pulse of the next block, CLOCK_MONOTONIC in us; see `line`."""
        first_us, period_us = self.line(block.first_pulse, block.last_pulse, block.anchor, t_frame_us)
        return np.asarray(first_us + block.pulse * period_us, dtype=np.float64)

    def kept(self) -> dict[str, Any]:
        """Give what is needed to go on later."""
        return {"period_us": self._period_us, "anchor": self._anchor and list(self._anchor)}

    def restore(self, kept: dict[str, Any]) -> None:
        """Go on with what `kept` gave."""
        self._period_us = kept["period_us"]
        self._anchor = Anchor(*kept["anchor"]) if kept["anchor"] else None
