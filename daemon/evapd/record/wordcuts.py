"""Where a stream of words may be cut: between two pulses, at places that depend on the words alone.

Damaged words must not decide where a pulse ends, nor which pulses a piece covers. So a cut needs witnesses: the few
words right before it lie all in earlier pulses than the few right behind it, and most of many do.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.record.wordfalls import Fall, find_fall, middle

Pulses = NDArray[np.uint64]
Read = Callable[[int, int], Pulses]
NEAR = 8  # words on either side that must all agree
FAR = 1024  # words on either side of which three quarters must agree
MAX_SPAN = 2**31  # pulses of one piece: a hit's pulse is counted in 32 bits
_CHUNKS = (16, 2048)  # places looked at together: few at first, because mostly the first one will do


class Cut(NamedTuple):
    """Words a to b - 1, which cover the pulses first to last; words of other pulses among them are damaged."""

    a: int
    b: int
    first: int
    last: int
    continues: bool  # the pulse `last` goes on in the next cut
    fall: Fall | None = None  # of the pulse counter, right before word a


def find_cut(pulse: Pulses, low: int, high: int, least_rise: int = 1) -> int | None:
    """Find the first place to cut.

    Args:
        pulse: pulses of consecutive words, with FAR words before `low` and behind `high` where the stream has them.
        low: the first place allowed; a cut at i parts the words before i from word i on.
        high: the place behind the last one allowed.
        least_rise: pulses between the two words, at least.

    Returns:
        The place, or None when there is none.
    """
    low, high = max(low, 1), min(high, len(pulse))
    if high <= low:
        return None
    before, behind = pulse[low - 1 : high - 1], pulse[low:high]
    places = low + np.flatnonzero((behind > before) & (behind - before >= np.uint64(least_rise)))
    near, begin, size = np.arange(NEAR), 0, _CHUNKS[0]
    while begin < len(places):
        some = places[begin : begin + size, None]
        highest = pulse[np.maximum(some - 1 - near, 0)].max(axis=1)
        lowest = pulse[np.minimum(some + near, len(pulse) - 1)].min(axis=1)
        for i in some[highest < lowest, 0].tolist():
            if _mostly(pulse, i):
                return int(i)
        begin, size = begin + size, _CHUNKS[1]
    return None


def _mostly(pulse: Pulses, i: int) -> bool:
    before, behind = pulse[max(0, i - FAR) : i], pulse[i : i + FAR]
    late, early = np.count_nonzero(before >= pulse[i]), np.count_nonzero(behind < pulse[i])
    return bool(4 * late <= len(before) and 4 * early <= len(behind))


def cuts(read: Read, rows: int, first: int, last: int, unit: int) -> Iterator[Cut]:
    """Cut a stream of words into pieces of `unit` to 2 `unit` - 1 words (the last one has fewer), at pulse boundaries.

    Where the pulse counter falls for good is a cut, too, so that what comes behind does not decide over what was
    before: the piece before it has fewer words. Pulses that were covered are not covered again. A pulse of more words than that is cut too, and says so. A piece of `unit` words among which nobody can tell where
    a pulse ends covers no pulse at all: its words are all damaged.

    Args:
        read: gives the pulses of the words a to b - 1; none before FAR words before the last cut are asked for.
        rows: number of words.
        first: first pulse of the stream.
        last: last pulse of the stream.
        unit: smallest size of a piece, in words.
    """
    a, begin, fall = 0, first, None
    while a < rows:
        cut, next_fall = _cut(_Stream(read, rows), a, (begin, last), unit)
        yield cut._replace(fall=fall)
        a, begin, fall = cut.b, cut.last + (not cut.continues), next_fall


class _Stream(NamedTuple):
    read: Read
    rows: int

    def pulse(self, i: int) -> int:
        return int(self.read(i, i + 1)[0])

    def find(self, low: int, high: int, least_rise: int = 1) -> int | None:
        """Find the first cut at low to high - 1; mostly it is near, so little is read at first."""
        base, near = max(0, low - FAR), min(low + FAR, high)
        for end in (near, high)[: 1 + (near < high)]:
            found = find_cut(self.read(base, min(self.rows, end + FAR)), low - base, end - base, least_rise)
            if found is not None:
                return base + found
        return None


def _cut(words: _Stream, a: int, pulses: tuple[int, int], unit: int) -> tuple[Cut, Fall | None]:
    """Give the next cut, and the fall of the counter at its end."""
    begin, last = pulses
    place, end, found = words.rows, last, None
    if words.rows - a > unit:
        found = words.find(a + unit, a + 2 * unit)
        place = min(a + 2 * unit, words.rows) if found is None else found
    pulse = words.read(a, place)
    fall = _first_fall(
        pulse, int(pulse[-NEAR:].max()) if found else middle(pulse[-NEAR:]), begin if a else None
    )
    if fall is not None:
        fall = fall._replace(place=a + fall.place)
        place, end = fall.place, min(fall.last, last)
    elif found is not None:
        end = words.pulse(found) - 1
    elif words.rows >= a + 2 * unit:
        return _uncut(words, a, pulses, unit), None
    if end - begin >= MAX_SPAN:  # pulses without a word are left out, also where they lie in the midst
        begin = max(begin, min(words.pulse(a), last))
    if end - begin >= MAX_SPAN:
        gap = words.find(a + 1, place, MAX_SPAN // 2)
        if gap is not None:
            place, end, fall = gap, words.pulse(gap) - 1, None
        end = min(end, begin + MAX_SPAN - 1)
    return Cut(a, place, begin, min(max(end, begin - 1), last), continues=False), fall


def _first_fall(pulse: Pulses, end: int, begin: int | None) -> Fall | None:
    """Find the first fall of the counter among the words of a piece; arguments as for `find_fall`."""
    fall = None
    while (earlier := find_fall(pulse, end, begin)) is not None:
        fall, pulse, end = earlier, pulse[: earlier.place], earlier.last
    return fall


def _uncut(words: _Stream, a: int, pulses: tuple[int, int], unit: int) -> Cut:
    """A piece that no pulse boundary ends: part of one long pulse, or damaged altogether."""
    begin, last = pulses
    window = words.read(a + unit, a + 2 * unit)
    most = middle(window)
    if most - begin >= MAX_SPAN:
        begin = max(begin, min(words.pulse(a), most, last))
    one_pulse = 4 * np.count_nonzero(window == np.uint64(most)) >= 3 * len(window)
    if one_pulse and begin <= most <= min(last, begin + MAX_SPAN - 1):
        return Cut(a, a + unit, begin, most, continues=True)
    return Cut(a, a + unit, begin, begin - 1, continues=False)
