"""Which sequence numbers were seen, kept as ranges: memory grows with the gaps, not with the frames."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Sequence:
    """Numbers seen of one topic of one instance, in any order."""

    def __init__(self, first: Iterable[int] = (), last: Iterable[int] = ()) -> None:
        self._first = list(first)  # ranges, ascending, disjoint, never touching
        self._last = list(last)

    def ranges(self) -> tuple[list[int], list[int]]:
        """Give the first and the last numbers of the ranges seen."""
        return list(self._first), list(self._last)

    def add(self, number: int) -> bool:
        """Take a number; False when it was there already."""
        if self._last and number == self._last[-1] + 1:
            self._last[-1] = number
            return True
        at = bisect_right(self._first, number) - 1  # the range that could hold it, or lie just before it
        if at >= 0 and number <= self._last[at]:
            return False
        joins_before = at >= 0 and self._last[at] + 1 == number
        joins_after = at + 1 < len(self._first) and self._first[at + 1] == number + 1
        if joins_before and joins_after:
            self._last[at] = self._last.pop(at + 1)
            self._first.pop(at + 1)
        elif joins_before:
            self._last[at] = number
        elif joins_after:
            self._first[at + 1] = number
        else:
            self._first.insert(at + 1, number)
            self._last.insert(at + 1, number)
        return True

    @property
    def last(self) -> int:
        """The highest number seen, -1 where there is none."""
        return self._last[-1] if self._last else -1

    def missing(self) -> Iterator[tuple[int, int]]:
        """Give the ranges, both ends included, that lie between numbers seen and were not seen themselves."""
        # Not counted from 0: an instance outlives runs. Not from step to step: threads may append out of order.
        for before, after in zip(self._last, self._first[1:], strict=False):
            yield before + 1, after - 1
