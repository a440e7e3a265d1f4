"""Which frame of another process became which frame of ours: remembered in stretches, bounded in number."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from evapd.stream.frame import Stamp

MAX_STRETCHES = 20_000  # some 200 bytes each


@dataclass(slots=True)
class Stretch:
    """Consecutive numbers of ours that were consecutive numbers there, under one run and segment."""

    first: int
    count: int
    origin: str  # instance there
    origin_first: int
    run: str
    segment: int

    @property
    def shift(self) -> int:
        """What is added to a number there to have ours."""
        return self.first - self.origin_first

    @property
    def last(self) -> int:
        """The last number of ours."""
        return self.first + self.count - 1


class Origins:
    """The stretches of every topic, in ascending order; the oldest are forgotten first."""

    def __init__(self, max_stretches: int = MAX_STRETCHES) -> None:
        self._max = max_stretches
        self._stretches: dict[str, deque[Stretch]] = {}
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def add(self, topic: str, own: Stamp, origin: str, origin_seq: int) -> None:
        """Remember one frame; numbers of ours ascend."""
        kept = self._stretches.setdefault(topic, deque())
        if kept and self._continues(kept[-1], own, origin, origin_seq):
            kept[-1].count += 1
            return
        if kept and kept[-1].origin == origin:  # one text for all, instead of one each
            origin = kept[-1].origin
        run = kept[-1].run if kept and kept[-1].run == own.run else own.run
        kept.append(Stretch(own.seq, 1, origin, origin_seq, run, own.segment))
        self._held += 1
        if self._held > self._max:
            longest = max(self._stretches.values(), key=len)
            longest.popleft()
            self._held -= 1

    def within(self, topic: str, first: int, last: int) -> Iterator[Stretch]:
        """Give the stretches that hold some of our numbers from first to last, cut to them."""
        kept = list(self._stretches.get(topic, ()))
        at = max(0, bisect_right(kept, first, key=lambda stretch: stretch.first) - 1)
        for stretch in kept[at:]:
            if stretch.first > last:
                return
            begin, end = max(first, stretch.first), min(last, stretch.last)
            if begin <= end:
                yield Stretch(
                    begin,
                    end - begin + 1,
                    stretch.origin,
                    begin - stretch.shift,
                    stretch.run,
                    stretch.segment,
                )

    @staticmethod
    def _continues(stretch: Stretch, own: Stamp, origin: str, origin_seq: int) -> bool:
        return (
            (stretch.origin, stretch.run, stretch.segment) == (origin, own.run, own.segment)
            and own.seq == stretch.first + stretch.count
            and origin_seq == stretch.origin_first + stretch.count
        )
