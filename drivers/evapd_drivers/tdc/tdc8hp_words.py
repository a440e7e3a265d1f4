"""From the 32-bit words of a RoentDek TDC8HP to edges with absolute times; numpy alone.

Source: RoentDek's reading of the words as a public wrapper has it. Bits 31 and 30 say what a word is: 11 and 10 an edge (rising,
falling) with its channel in bits 29 to 24 and 24 bits of time; 01 an error; 00 something else: a group word where bits 31 to 28
are 0 (24 bits of the trigger's time), a rollover word where bits 31 to 24 are 0x10 (24 bits of count, each 2^24 bins).
Where groups are made an edge's time is signed and counts from its trigger; else it counts from the rollover.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TRIGGER = 64  # channel given to a group's trigger: edges have 0 to 63
TIME_BITS, COUNTER_BITS = 24, 48
_TIME, _TURN = (1 << TIME_BITS) - 1, 1 << TIME_BITS
_NONE = -1


class Edges(NamedTuple):
    """Columns of edges, shapes (n,): channel and absolute time in bins; and what other words said."""

    channel: NDArray[np.int32]
    time: NDArray[np.int64]
    errors: int  # error words
    homeless: int  # edges before the first group


class Words:
    """Keeps rollover and group from call to call.

    Args:
        grouped: whether the library groups edges by their trigger.
        trigger: channel of the trigger, whose own edge stands in each group beside the group word.
    """

    def __init__(self, *, grouped: bool, trigger: int) -> None:
        self._grouped, self._trigger = grouped, trigger
        self._rollover = 0
        self._group = _NONE

    def edges(self, words: NDArray[np.uint32]) -> Edges:
        """Give the edges of the next words."""
        word = words.astype(np.int64)
        low, kind = word & _TIME, word >> 30
        rollover = _carried(word >> 24 == 0x10, low, self._rollover)
        edge = kind >= 2
        errors = int(np.count_nonzero(kind == 1))
        if len(word):
            self._rollover = int(rollover[-1])
        if not self._grouped:
            return Edges(
                ((word >> 24) & 0x3F)[edge].astype(np.int32), (rollover * _TURN + low)[edge], errors, 0
            )
        is_group = word >> 28 == 0
        group = _carried(is_group, rollover * _TURN + low, self._group)
        if len(word):
            self._group = int(group[-1])
        channel = np.where(is_group, TRIGGER, (word >> 24) & 0x3F)
        signed = np.where(low & (_TURN >> 1), low - _TURN, low)
        time = np.where(is_group, group, group + signed) & ((1 << COUNTER_BITS) - 1)
        homeless = edge & (group == _NONE)
        wanted = is_group | (edge & ~homeless & (channel != self._trigger))
        return Edges(channel[wanted].astype(np.int32), time[wanted], errors, int(np.count_nonzero(homeless)))


def _carried(here: NDArray[np.bool_], value: NDArray[Any], before: int) -> NDArray[np.int64]:
    """At every place the newest value so far: `value` where `here`, `before` where there was none yet."""
    place = (
        np.maximum.accumulate(np.where(here, np.arange(len(here)), -1))
        if len(here)
        else np.empty(0, np.int64)
    )
    return np.where(place >= 0, value[place], before)
