"""Frames that have left the replay ring, read again from the journals: byte for byte what was published.

What this process framed itself lies in its own journal while a run is under way. What it passed on for the guard lies
in the guard's journal under the guard's numbers; `Origins` remembers which became which, and the frame is stamped
again. Checksums decide: a damaged or removed place is missing, never wrong.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from evapd.errors import FrameError
from evapd.record.journal.catalogue import MAX_BLOCKS, Catalogue
from evapd.record.journal.index import FramePlace, read_place
from evapd.record.journal.layout import KIND_OF_TOPIC
from evapd.record.journal.origins import Origins, Stretch
from evapd.stream.frame import Frame, Stamp, decode, restamped, stamp

CHUNK = 256  # frames looked for at once
TEND_S = 1.0
_CATCH_UP_S = 0.8  # that a request waits for the account
_TRANSIENT = (
    4  # series of runs that may still grow: the run under way and the one before, ours and the guard's
)
_TOLD = 100  # different faults that are told

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a frame lies, and the stamp that it needs when it is another process's."""

    place: FramePlace
    own: Stamp | None = None


class OlderFrames:
    """Gives older frames of one start of this process; called by the replay socket's thread.

    A thread of its own keeps the account of the journals up to date, so that the first request after hours is
    answered at once. `follow` and `relayed` may be called from any thread and never wait for a disk.
    """

    def __init__(self, instance: str, *, max_blocks: int = MAX_BLOCKS) -> None:
        """Prepare; nothing is read yet.

        Args:
            instance: this start of the process, as in its frames' headers.
            max_blocks: bound of the account, `catalogue.BLOCK_ROW_BYTES` each.
        """
        self._instance = instance
        self._catalogue = Catalogue(self._tell, max_blocks)
        self._origins = Origins()
        self._standing: list[tuple[Path, str, int]] = []
        self._transient: list[tuple[Path, str, int]] = []
        self._reading = threading.RLock()  # over the catalogue; waits for disks
        self._noting = threading.Lock()  # over origins and series; never waits for one
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="older-frames", daemon=True)
        self._told: set[str] = set()
        self._waiting: Callable[[], bool] = lambda: False

    @property
    def blocks(self) -> int:
        """How large the account is, in blocks."""
        with self._reading:
            return self._catalogue.blocks

    def start(self) -> None:
        """Begin to keep the account."""
        self._thread.start()

    def stop(self) -> None:
        """End; frames may still be asked for."""
        self._ending.set()
        self._thread.join()

    def follow(
        self,
        folder: Path,
        prefix: str,
        *,
        least_number: int = 0,
        standing: bool = False,
        waiting: Callable[[], bool] | None = None,
    ) -> None:
        """From now on look into a series of segments too.

        Args:
            folder: where the segments lie, or will lie.
            prefix: name of the series.
            least_number: the first segment that may hold frames of this start.
            standing: it grows as long as this process lives; others are taken as complete after two more runs.
            waiting: tells whether frames of ours still wait to be written there.
        """
        folder = folder.absolute()
        with self._noting:
            if all((folder, prefix) != known[:2] for known in (*self._standing, *self._transient)):
                (self._standing if standing else self._transient).append((folder, prefix, least_number))
            self._waiting = waiting or self._waiting

    def relayed(self, frame: Frame, origin: str, origin_seq: int) -> None:
        """Remember of which frame of another process this one was made."""
        own = stamp(frame.header)
        with self._noting:
            self._origins.add(frame.topic, own, origin, origin_seq)

    def tend(self) -> None:
        """Account for what was written since the last time."""
        with self._noting:
            series = [*self._standing, *self._transient]
        for folder, prefix, least_number in series:
            steps = self._catalogue.tend(folder, prefix, least_number)
            more = True
            while more:
                with self._reading:  # given back at every step, so that a request is served in between
                    more = next(steps, self) is not self
        with self._noting:
            complete = [one for one in self._transient if one in series][:-_TRANSIENT]
            self._transient = [one for one in self._transient if one not in complete]

    def __call__(self, topic: str, first: int, last: int) -> Iterator[Frame | None]:
        """Give the frames of a topic from first to last number that there are, in ascending order.

        None in place of a frame ends it: what follows may still be on its way to the disk.
        """
        kind = KIND_OF_TOPIC.get(topic)
        if kind is None:
            return
        self._catch_up()
        for begin in range(first, last + 1, CHUNK):
            end = min(last, begin + CHUNK - 1)
            found = self._find(topic, kind, begin, end)
            unsure = end + 1
            if len(found) <= end - begin:
                waiting = (
                    self._waiting()
                )  # asked first: what does not wait by now is on the disk when it is looked for
                self._catch_up()
                found = self._find(topic, kind, begin, end)
                if waiting:
                    written = self._catalogue.newest(self._instance, kind)
                    lacking = (seq for seq in range(max(begin, written + 1), end + 1) if seq not in found)
                    unsure = next(lacking, unsure)
            ordered = (found[seq] for seq in sorted(found) if seq < unsure)
            for path, those in groupby(ordered, key=lambda one: one.place.path):
                yield from self._read(topic, path, those)
            if unsure <= end:
                yield None
                return

    def _catch_up(self) -> None:
        if self._reading.acquire(timeout=_CATCH_UP_S):  # else a disk is slow: what is known is given
            try:
                self.tend()
            finally:
                self._reading.release()

    def _find(self, topic: str, kind: int, first: int, last: int) -> dict[int, _Found]:
        with self._noting:
            stretches = list(self._origins.within(topic, first, last))
        with self._reading:
            own = self._catalogue.places(self._instance, kind, first, last)
            found = {stamp(place.header).seq: _Found(place) for place in own}
            for origin, those in groupby(stretches, key=lambda stretch: stretch.origin):
                found |= self._find_relayed(kind, origin, list(those))
        return found

    def _find_relayed(self, kind: int, origin: str, stretches: list[Stretch]) -> dict[int, _Found]:
        wanted = {
            stretch.origin_first + step: Stamp(
                self._instance, stretch.run, stretch.segment, stretch.first + step
            )
            for stretch in stretches
            for step in range(stretch.count)
        }
        found = {}
        for place in self._catalogue.places(origin, kind, min(wanted), max(wanted)):
            own = wanted.get(stamp(place.header).seq)
            if own is not None:
                found[own.seq] = _Found(place, own)
        return found

    def _read(self, topic: str, path: Path, those: Iterable[_Found]) -> Iterator[Frame]:
        try:
            with path.open("rb") as file:
                for one in those:
                    frame = self._frame(topic, file, one)
                    if frame is not None:
                        yield frame
        except FileNotFoundError:
            return  # old runs are removed: these frames are missing
        except OSError as error:
            self._tell(f"journal {path}: {error.strerror}; check the disk")

    def _frame(self, topic: str, file: BinaryIO, found: _Found) -> Frame | None:
        place = found.place
        payload = read_place(file, place)
        if payload is None:
            self._tell(f"journal {place.path}: the frame at byte {place.offset} is damaged")
            return None
        if found.own is None:
            return Frame(topic, place.header, payload)
        try:
            return restamped(decode(topic.encode("ascii"), place.header, payload), found.own)
        except FrameError as error:
            self._tell(f"journal {place.path}: the frame at byte {place.offset}: {error}")
            return None

    def _run(self) -> None:
        while not self._ending.wait(TEND_S):
            self.tend()

    def _tell(self, what: str) -> None:
        if what not in self._told and len(self._told) < _TOLD:
            self._told.add(what)
            _log.warning("%s; frames that lie there cannot be replayed", what)
