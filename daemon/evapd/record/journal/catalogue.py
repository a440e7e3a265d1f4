"""Which numbers lie where in a series of segments: block by block, kept up with a journal that grows.

A block is about a megabyte of a segment. Of each, the lowest and highest number of every topic are kept, so that a
range of numbers is found by reading the heads of one or two blocks. The account never holds more than `MAX_BLOCKS`:
beyond, the blocks of the oldest segments are joined, and at last the oldest segments are forgotten.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from evapd.errors import FrameError, RecordError
from evapd.record.journal.index import FramePlace, frame_places, read_place
from evapd.record.journal.layout import NEXT, TOPIC_OF_KIND
from evapd.record.journal.segments import segment_number, segments
from evapd.stream.frame import stamp

BLOCK_BYTES = 1 << 20
MAX_BLOCKS = 65_536
_KINDS = max(TOPIC_OF_KIND)
_ROW = 1 + 2 * _KINDS  # offset, then lowest and highest number by kind; -1 where there is none
_BATCH = 512  # frames looked at between two commits
BLOCK_ROW_BYTES = 8 * _ROW


@dataclass(slots=True)
class _Segment:
    path: Path
    instance: str = ""
    walked: int = 0  # end of the last frame that is accounted for
    size: int = -1  # of the file when it was looked at last
    complete: bool = False  # it was looked at when nothing more came to it
    rows: "array[int]" = field(default_factory=lambda: array("q"))
    span: list[int] = field(default_factory=lambda: [-1] * 2 * _KINDS)

    @property
    def blocks(self) -> int:
        return len(self.rows) // _ROW

    def take(self, place: FramePlace, seq: int) -> None:
        if not self.rows or place.offset - self.rows[-_ROW] >= BLOCK_BYTES:
            self.rows.extend([place.offset, *[-1] * (2 * _KINDS)])
        low, high = 2 * (place.kind - 1), 2 * (place.kind - 1) + 1
        for spans, at in ((self.rows, len(self.rows) - 2 * _KINDS), (self.span, 0)):
            spans[at + low] = seq if spans[at + low] < 0 else min(spans[at + low], seq)
            spans[at + high] = max(spans[at + high], seq)

    def holding(self, kind: int, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Give begin and end of the blocks that may hold some of these numbers."""
        low, high = 2 * (kind - 1), 2 * (kind - 1) + 1
        if not self.span[low] <= last or not first <= self.span[high]:
            return
        for at in range(0, len(self.rows), _ROW):
            if self.rows[at + 1 + low] <= last and first <= self.rows[at + 1 + high]:
                yield self.rows[at], self.rows[at + _ROW] if at + _ROW < len(self.rows) else self.walked

    def join_blocks(self) -> None:
        """Make one block of all."""
        if self.rows:
            self.rows = array("q", [self.rows[0], *self.span])


class Catalogue:
    """The segments of some series, by folder and prefix. Not for several threads at once.

    A segment belongs to one start of a process, whose name its first frame tells. A folder or file that cannot be read
    is told, and holds nothing.
    """

    def __init__(self, tell: Callable[[str], None], max_blocks: int = MAX_BLOCKS) -> None:
        self._tell, self._max_blocks = tell, max_blocks
        self._segments: dict[Path, _Segment] = {}  # in the order in which they came
        self._forgotten: dict[
            tuple[Path, str], int
        ] = {}  # number of the newest that there was no room for, by series

    @property
    def blocks(self) -> int:
        """Blocks accounted for, of `BLOCK_ROW_BYTES` each."""
        return sum(segment.blocks for segment in self._segments.values())

    def tend(self, folder: Path, prefix: str, least_number: int = 0) -> Iterator[None]:
        """Account for what a series holds now; a step of the iterator is a small part of the work."""
        least_number = max(least_number, self._forgotten.get((folder, prefix), 0) + 1)
        try:
            found = [path for path in segments(folder, prefix) if segment_number(path) >= least_number]
        except RecordError as error:
            self._tell(str(error))
            return
        kept = set(found)
        for gone in [path for path in self._segments if path.parent == folder and path not in kept]:
            if gone.name.startswith(f"{prefix}-"):
                del self._segments[gone]
        for path in found:
            segment = self._segments.setdefault(path, _Segment(path))
            if segment.complete:
                continue
            try:
                yield from self._walk(segment)
                segment.complete = (
                    path != found[-1]
                )  # once a newer one is there, nothing comes to an older one
            except (RecordError, OSError) as error:
                self._tell(str(error))
        self._make_room()

    def places(self, instance: str, topic_kind: int, first: int, last: int) -> Iterator[FramePlace]:
        """Give the places of frames of one kind with numbers from first to last; in the order of the files."""
        for segment in list(self._segments.values()):
            if segment.instance != instance:
                continue
            for begin, end in segment.holding(topic_kind, first, last):
                try:
                    for place in frame_places(segment.path, begin):
                        if place.offset >= end:
                            break
                        if place.kind == topic_kind and first <= _seq(place) <= last:
                            yield place
                except RecordError as error:
                    if segment.path.exists():
                        self._tell(str(error))
                    else:
                        self._segments.pop(segment.path, None)  # an old run has been removed
                    break

    def newest(self, instance: str, kind: int) -> int:
        """Give the highest number of one kind, -1 when there is none."""
        spans = (one.span[2 * (kind - 1) + 1] for one in self._segments.values() if one.instance == instance)
        return max(spans, default=-1)

    def _walk(self, segment: _Segment) -> Iterator[None]:
        try:
            size = segment.path.stat().st_size
        except FileNotFoundError:
            return  # removed since the folder was listed
        if size == segment.size:
            return
        places = frame_places(segment.path, segment.walked)
        while batch := list(islice(places, _BATCH)):
            for place in batch:
                self._account(segment, place)
            yield
        segment.size = size  # a place behind the last frame is looked at again only when the file has grown

    def _account(self, segment: _Segment, place: FramePlace) -> None:
        segment.walked = place.end
        if place.kind == NEXT:
            return
        try:
            read = stamp(place.header)
        except FrameError:
            return  # damaged: reading would not give it either
        if not segment.instance:
            segment.instance = _proved_instance(place)
        segment.take(place, read.seq)

    def _make_room(self) -> None:
        excess = self.blocks - self._max_blocks
        for segment in list(self._segments.values()):
            if excess <= 0:
                return
            excess -= segment.blocks - 1 if segment.rows else 0
            segment.join_blocks()
        for path in list(self._segments)[: max(0, excess)]:
            del self._segments[path]
            self._forgotten[path.parent, path.name.rsplit("-", 1)[0]] = segment_number(path)


def _proved_instance(place: FramePlace) -> str:
    """Read an instance from a header whose checksum holds; "" when it does not."""
    with place.path.open("rb") as file:
        return "" if read_place(file, place) is None else stamp(place.header).instance


def _seq(place: FramePlace) -> int:
    try:
        return stamp(place.header).seq
    except FrameError:
        return -1
