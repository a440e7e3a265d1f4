"""For TDCs that count starts in hardware and tell the count with every event: from events to pulses that are over."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import Loss

NONSENSE = 2**62  # no counter of starts stands there
FARTHEST = 2**31  # pulses between two events; beyond it the counter is nonsense


class Over(NamedTuple):
    """Events of the pulses `first_pulse` to `last_pulse` that are over, ascending; `pulse` in absolute numbers."""

    first_pulse: int
    last_pulse: int
    pulse: NDArray[np.int64]
    events: NDArray[Any]
    loss: Loss


class PulseOrder:
    """Numbers events by the hardware's counter of starts, puts them in order, and holds the newest pulse back.

    A pulse is over when an event of a later one has come, or when `flush` says so. For one thread.

    Args:
        dtype: of the events.
        counter_bits: width of the counter; it wraps to 0.
        settle: pulses by which events come out of order.
        counter: name of the counter's column.
        time: name of the time's column.
    """

    def __init__(
        self, dtype: np.dtype[Any], *, counter_bits: int, settle: int, counter: str, time: str
    ) -> None:
        self._bits, self._settle, self._counter, self._time = counter_bits, settle, counter, time
        self._base = 0  # pulse number of count 0 of this measurement
        self._newest = -1  # pulse of the newest event
        self._pulse: NDArray[np.int64] = np.empty(0, np.int64)
        self._events: NDArray[Any] = np.empty(0, dtype)
        self.due = 0  # first pulse that nothing has covered yet
        self.impossible = 0  # events left out so far
        self._origin_known = False  # an event of this measurement has shown where its count began

    @property
    def held(self) -> int:
        """Events that wait for a later pulse."""
        return len(self._pulse)

    def restart(self) -> None:
        """The hardware counts from 0 again: what comes belongs to later pulses than everything before."""
        self._base = max(self.due, self._newest + 1)
        self._origin_known = False

    def add(self, events: NDArray[Any], most: int = FARTHEST) -> Over:
        """Take events in; give those of the pulses that are over.

        Args:
            events: of the hardware, in about their order.
            most: pulses that can have come since the measurement began. A first count beyond says that the hardware did
                not begin at 0: then this is the next pulse, and the jump is flagged.
        """
        count, loss = events[self._counter], Loss.NONE
        if len(count) and not self._origin_known and int(count[0]) < NONSENSE:
            self._origin_known = True
            if int(count[0]) > most:
                loss = Loss.COUNTER_JUMP
                self._base = max(self.due, self._newest + 1) - int(count[0])
                self._newest = max(self.due, self._newest + 1) - 1
        pulse = self._numbered(count)
        sound = (pulse >= self.due) & (pulse - np.maximum(self._newest, self.due) < FARTHEST)
        if not sound.all():
            self.impossible += int(np.count_nonzero(~sound))
            loss |= Loss.DAMAGED
            pulse, events = pulse[sound], events[sound]
        if len(pulse):
            self._newest = max(self._newest, int(pulse.max()))
        if self.held:
            pulse, events = np.concatenate((self._pulse, pulse)), np.concatenate((self._events, events))
        time = events[self._time]
        steps = np.diff(pulse)
        if np.any(steps < 0) or np.any((steps == 0) & (time[1:] < time[:-1])):
            order = np.lexsort((time, pulse))
            pulse, events = pulse[order], events[order]
        self._pulse, self._events = pulse, events
        return self._cut(self._newest - self._settle, loss)

    def reach(self, count: int) -> Over:
        """A start of this count has come, and everything before it: give the events of the pulses that are over."""
        (pulse,) = self._numbered(np.array([count], np.uint64))
        if 0 <= pulse - max(self._newest, self.due) < FARTHEST:
            self._newest = int(pulse)
        return self._cut(self._newest - self._settle, Loss.NONE)

    def flush(self) -> Over:
        """Give what is held back: its pulse is over."""
        return self._cut(self._newest + 1, Loss.NONE)

    def _numbered(self, count: NDArray[Any]) -> NDArray[np.int64]:
        """Pulse numbers of counts, of which the newest event before says in which turn of the counter they are."""
        if self._bits >= 63:
            return count.astype(np.int64) + self._base
        span = 1 << self._bits
        before = max(self._newest - self._base, 0)
        # The nearest number with these low bits: disorder goes back a little, a wrap goes on a little.
        steps = (count.astype(np.int64) - before + span // 2) % span - span // 2
        numbers: NDArray[np.int64] = before + steps + self._base
        return numbers

    def _cut(self, end: int, loss: Loss) -> Over:
        """Give everything before pulse `end`."""
        first = self.due
        n = int(np.searchsorted(self._pulse, end))
        over = Over(first, max(end, first) - 1, self._pulse[:n], self._events[:n], loss)
        self._pulse, self._events = self._pulse[n:].copy(), self._events[n:].copy()
        self.due = max(end, first)
        return over
