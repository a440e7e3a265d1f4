"""The time-to-digital converter: folds times into pulse periods, applies dead time, counts bins."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_RANGE_BINS = 2**31 - 1  # what a word's time can hold; a later signal is not measured
NO_OWNER = -1  # of a signal that no arrival made by itself: noise, a reflection


class Signals(NamedTuple):
    """Signals before the converter, in no order. Shapes (n,).

    `pulse` is the pulse from which `t_ps` counts, `owner` the number of the arrival that made the signal.
    """

    pulse: NDArray[np.int64]
    channel: NDArray[np.uint8]
    t_ps: Floats
    owner: NDArray[np.int64]

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Signals":
        """The chosen rows."""
        return Signals(self.pulse[chosen], self.channel[chosen], self.t_ps[chosen], self.owner[chosen])


class Words(NamedTuple):
    """Words of the converter, ascending in pulse, then time (in bins). Shapes (n,)."""

    pulse: NDArray[np.int64]
    channel: NDArray[np.uint8]
    time: NDArray[np.int32]
    owner: NDArray[np.int64]


_NO_WORDS = Words(np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.int32), np.empty(0, np.int64))


class TdcInputs:
    """The inputs of the converter; keeps what belongs to later pulses.

    Dead time is not extended by a signal that falls into it. It is applied among the words that are taken together.
    """

    def __init__(self, *, bin_ps: float, dead_time_ps: float) -> None:
        self._bin_ps = bin_ps
        self._range_ps = bin_ps * _RANGE_BINS
        self._dead_time_ps = dead_time_ps
        self._waiting: list[Signals] = []

    def push(self, signals: Signals) -> None:
        """Add signals; `pulse` counts from the first pulse of the next `take`."""
        if len(signals.pulse):
            self._waiting.append(signals)

    def forget(self) -> None:
        """Drop what waits for pulses that did not come."""
        self._waiting.clear()

    def take(self, pulses: int, period_ps: float | None) -> Words:
        """Words of the next `pulses` pulses.

        A signal later than `period_ps` belongs to a later pulse, as in a converter that counts from the newest start.
        Without a period times count on from their own pulse, and pulses are too far apart for dead time to reach.
        """
        if not self._waiting:
            return _NO_WORDS
        signals = (
            self._waiting[0]
            if len(self._waiting) == 1
            else Signals(*map(np.concatenate, zip(*self._waiting, strict=True)))
        )
        self._waiting.clear()
        if period_ps is not None:
            signals = _fold(signals, period_ps)
        if period_ps is None or period_ps > self._range_ps:
            signals = signals.take(signals.t_ps < self._range_ps)
        late = signals.pulse >= pulses
        if late.any():
            rest = signals.take(late)
            self._waiting.append(rest._replace(pulse=rest.pulse - pulses))
            signals = signals.take(~late)
        pulse, channel, t_ps, owner = signals
        early = (pulse < 0) | (t_ps < 0.0)  # jitter before the very first pulse
        if early.any():
            pulse, t_ps = np.maximum(pulse, 0), np.where(early, 0.0, t_ps)
        if self._dead_time_ps > 0.0:
            kept = (
                alive(pulse << 8 | channel, t_ps, self._dead_time_ps)
                if period_ps is None
                else alive(channel, pulse * period_ps + t_ps, self._dead_time_ps)
            )
            pulse, channel, t_ps, owner = pulse[kept], channel[kept], t_ps[kept], owner[kept]
        bins = np.rint(t_ps / self._bin_ps).astype(np.int32)
        order = np.argsort((pulse << 32) | bins, kind="stable")
        return Words(pulse[order], channel[order], bins[order], owner[order])


def _fold(signals: Signals, period_ps: float) -> Signals:
    periods = np.floor(signals.t_ps / period_ps)
    if not periods.any():
        return signals
    return signals._replace(
        pulse=signals.pulse + periods.astype(np.int64), t_ps=signals.t_ps - periods * period_ps
    )


def alive(line: NDArray[np.integer], t_ps: Floats, dead_time_ps: float) -> NDArray[np.intp]:
    """Indices of the signals that lines with a dead time (not extended) register, ordered by line and time.

    `line` tells the signals apart that cannot blind each other: a number per channel, or per channel and pulse.
    """
    order = np.lexsort((t_ps, line))
    while True:
        times, lines = t_ps[order], line[order]
        too_soon = np.zeros(len(order), dtype=np.bool_)
        too_soon[1:] = (times[1:] - times[:-1] < dead_time_ps) & (lines[1:] == lines[:-1])
        if not too_soon.any():
            return order
        # Only the first of a chain is surely dead; whether the next one is depends on it being gone.
        too_soon[1:] &= ~too_soon[:-1]
        order = order[~too_soon]
