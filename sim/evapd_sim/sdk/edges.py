"""What a time tagger sees: starts at a fixed period and the words behind them, as edges in the order of their time."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

START = -1


class Edges(NamedTuple):
    """Columns, shapes (n,): channel of the word, `START` for a pulse's own edge, and time since arming in ps."""

    channel: NDArray[np.int64]
    time_ps: NDArray[np.int64]


class EdgeClock:
    """Turns steps of a twin into edges; pulse 0 comes one period after arming.

    Args:
        period_ps: between two pulses.
        bin_ps: of the words' times.
    """

    def __init__(self, period_ps: int, bin_ps: float) -> None:
        self._period_ps, self._bin_ps = period_ps, bin_ps
        self._waiting = Edges(np.empty(0, np.int64), np.empty(0, np.int64))
        self.pulses = 0

    @property
    def now_ps(self) -> int:
        """Time of the next pulse's start."""
        return (1 + self.pulses) * self._period_ps

    def restart(self) -> None:
        """Begin with pulse 0 anew."""
        self.pulses = 0
        self._waiting = Edges(np.empty(0, np.int64), np.empty(0, np.int64))

    def edges(self, pulse_offsets: ArrayLike, channels: ArrayLike, times: ArrayLike, *, pulses: int) -> Edges:
        """Give the edges of the next `pulses` pulses, shapes as `TdcStreamWire.deliver` takes them.

        Words that come after the start of the next step's first pulse wait for that step.
        """
        offsets = np.asarray(pulse_offsets, np.int64)
        start_ps = (1 + self.pulses + np.arange(pulses, dtype=np.int64)) * self._period_ps
        word_ps = (1 + self.pulses + offsets) * self._period_ps
        word_ps += np.rint(np.asarray(times, np.float64) * self._bin_ps).astype(np.int64)
        self.pulses += pulses
        channel = np.concatenate(
            [self._waiting.channel, np.full(pulses, START), np.asarray(channels, np.int64)]
        )
        time_ps = np.concatenate([self._waiting.time_ps, start_ps, word_ps])
        order: NDArray[Any] = np.argsort(time_ps, kind="stable")
        channel, time_ps = channel[order], time_ps[order]
        over = int(np.searchsorted(time_ps, (1 + self.pulses) * self._period_ps))
        self._waiting = Edges(channel[over:], time_ps[over:])
        return Edges(channel[:over], time_ps[:over])
