"""Two damaged copies of one journal become a third that holds every frame which either has."""

import heapq
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evapd.errors import FrameError, RecordError
from evapd.record.journal.layout import NEXT, RawFrame, pack_head
from evapd.record.journal.reader import JournalReport, scan
from evapd.record.journal.segments import segments
from evapd.record.journal.sequences import Sequence as Numbers
from evapd.record.journal.sink import SegmentSink, free_bytes, make_durable
from evapd.record.wholefile import sync_folder
from evapd.stream.jsontext import from_json

_SEGMENT_BYTES = 256_000_000
_FRAMES_PER_SIGN = 1000


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A frame and its place in the order of framing."""

    t_mono_us: int
    seq: int
    key: tuple[str, int]
    frame: RawFrame

    def __lt__(self, other: "_Ranked") -> bool:
        return (self.t_mono_us, self.seq) < (other.t_mono_us, other.seq)


def merge_journals(
    sources: Sequence[Path], prefix: str, target: Path, alive: Callable[[], None] = lambda: None
) -> int:
    """Write every frame that any of the sources holds to segments in `target`, each once, in the order of framing.

    The sources are only read. `target` appears when it is whole and durable; one that was left behind half made is
    made anew. Memory holds one frame of each source, and the ranges of the sequence numbers seen.

    Returns:
        How many frames of the result the first source does not hold; when there are none, nothing is written.

    Raises:
        RecordError: when a source cannot be read, or the disk cannot take the result.
    """
    gained = _not_in_first(sources, prefix, alive)
    if not gained:
        return 0
    size = max(sum(path.stat().st_size for path in segments(source, prefix)) for source in sources)
    part = target.with_name(f"{target.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True, mode=0o750)
        if (free := free_bytes(part)) < 1.1 * size:
            raise RecordError(
                f"{target}: merging two copies takes {size / 1e6:.0f} MB, {free / 1e6:.0f} MB are free; make room, then recover again"
            )
        _write(_union(sources, prefix), prefix, part, alive)
        part.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise RecordError(
            f"{target}: {error.strerror}; make room or check the disk, then recover again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return gained


def _ranked(source: Path, prefix: str, report: JournalReport) -> Iterator[_Ranked]:
    t_mono_us = 0
    for path in segments(source, prefix):
        for frame in scan(path, report):
            if frame.kind == NEXT:
                continue
            try:
                header = from_json(frame.header)
                t_mono_us, seq = int(header["t_mono_us"]), int(header["seq"])
                instance = str(header["instance"])
            except (FrameError, ValueError, KeyError, TypeError):
                continue  # stays in the original, for whoever can read it
            yield _Ranked(t_mono_us, seq, (instance, frame.kind), frame)


def _not_in_first(sources: Sequence[Path], prefix: str, alive: Callable[[], None]) -> int:
    seen: dict[tuple[str, int], Numbers] = {}
    gained = 0
    for number, source in enumerate(sources):
        for count, ranked in enumerate(_ranked(source, prefix, JournalReport())):
            gained += seen.setdefault(ranked.key, Numbers()).add(ranked.seq) and number > 0
            if count % _FRAMES_PER_SIGN == 0:
                alive()
    return gained


def _union(sources: Sequence[Path], prefix: str) -> Iterator[RawFrame]:
    seen: dict[tuple[str, int], Numbers] = {}
    for ranked in heapq.merge(*(_ranked(source, prefix, JournalReport()) for source in sources)):
        if seen.setdefault(ranked.key, Numbers()).add(ranked.seq):
            yield ranked.frame


def _write(frames: Iterator[RawFrame], prefix: str, folder: Path, alive: Callable[[], None]) -> None:
    sink = SegmentSink(folder, prefix)
    try:
        sink.open()
        for count, frame in enumerate(frames):
            if sink.size and sink.size + frame.nbytes > _SEGMENT_BYTES:
                sink.change(folder)
            head = pack_head(frame.kind, frame.header, frame.payload)
            _, error = sink.write([(head, frame.header, frame.payload)])
            if error is not None:
                raise error
            if count % _FRAMES_PER_SIGN == 0:
                alive()
        make_durable(sink.unsynced())
    finally:
        sink.close()
