"""Where the pulse counter of a stream of words falls for good: it wrapped, or began anew.

Damaged words and bursts of them must not pass for that. So many words of later pulses than those at the end of a
piece must stand together, they and those behind them mostly in order, and what follows them must also be earlier than
what came before them: behind a burst the counter goes on where it was.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEAST = 64  # words that stand together, in excess of others among them
_SOME = 32  # words that tell the pulses about a place
_NEAR = 8  # words right before a place
_FAR = 1024  # words that tell how fast the pulses go on


class Fall(NamedTuple):
    """A fall of the counter."""

    place: int  # of the first word behind it
    last: int  # pulse of the last word before it
    then: int  # about the pulse of the words behind it


def find_fall(pulse: NDArray[np.uint64], end: int, begin: int | None) -> Fall | None:
    """Find the place behind which words of a piece are of earlier pulses than those before it, and stay so.

    Args:
        pulse: pulses of the words of a piece.
        end: pulse at its end.
        begin: first pulse that no piece before covers; None where there is no piece before: then the words before
            and those behind are equally trustworthy, and the larger part is believed.

    Returns:
        The fall, or None when there is none. Of several it is any; look again at what is before it.
    """
    late = pulse > np.uint64(max(end, 0))
    if np.count_nonzero(late) < _LEAST:  # nearly always
        return None
    # The run of words with the largest excess of late ones over others.
    excess = np.concatenate(([0], np.cumsum(np.where(late, 1, -1))))
    gain = excess - np.minimum.accumulate(excess)
    place = len(pulse) - int(np.argmax(gain[::-1]))
    start = place - int(np.argmin(excess[place::-1]))
    if len(pulse) - place < _SOME or gain[place] < _LEAST or 2 * gain[place] < place - start:
        return None
    then = middle(pulse[place : place + _SOME])
    before = middle(pulse[max(0, start - _SOME) : start]) if start else begin
    believed = then < before if before is not None else 2 * place >= len(pulse)
    if not believed or not _in_order(pulse[start:place]) or not _in_order(pulse[place:]):
        return None
    return Fall(place, _last(pulse[start:place][late[start:place]]), then)


def _in_order(pulse: NDArray[np.uint64]) -> bool:
    return bool(3 * np.count_nonzero(pulse[1:] < pulse[:-1]) <= len(pulse))


def _last(pulse: NDArray[np.uint64]) -> int:
    """The last pulse of ascending words; one that is far ahead of its neighbours is damaged."""
    near = pulse[-_NEAR:]
    now = middle(near)
    limit = 2 * now - middle(pulse[-_FAR:])
    return max((value for value in near.tolist() if value <= limit), default=now)


def middle(pulse: NDArray[np.uint64]) -> int:
    """The median: a pulse of the stream, also where some words are damaged."""
    return int(np.partition(pulse, len(pulse) // 2)[len(pulse) // 2])
