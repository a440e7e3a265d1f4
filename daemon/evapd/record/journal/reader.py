"""Reading a journal: every whole frame, nothing else, and an account of what was not readable."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self

from evapd.errors import FrameError, RecordError
from evapd.record.journal.layout import HEAD, MAGIC, NEXT, RawFrame, checked_frame, parse_head
from evapd.record.journal.segments import segment_number, segments
from evapd.record.journal.sequences import Sequence
from evapd.stream.frame import Message

_SEARCH_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 18  # frames are small: without it every one of them is three calls of the kernel
_MOST_RANGES = 1000  # named in a report; all are counted


@dataclass(slots=True)
class JournalReport:
    """What reading found: frames and bytes that are whole, and everything that is not."""

    segments: int = 0
    frames: int = 0
    bytes: int = 0
    torn_bytes: int = 0  # behind the last whole frame of a segment
    damaged_bytes: int = 0  # skipped between whole frames
    crc_errors: int = 0  # frames of plausible shape whose checksum fails
    undecodable: int = 0  # frames whose checksum holds but that this program cannot read
    missing_segments: int = 0  # numbers left out between the first and the last segment
    per_topic: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0  # frames that were there already, by instance, topic and sequence number
    problems: list[str] = field(default_factory=list)
    place: tuple[str, int] = ("", 0)  # segment and end of the newest frame
    _sequences: dict[tuple[str, str], Sequence] = field(default_factory=dict)

    @property
    def gaps(self) -> dict[str, int]:
        """Frames missing per topic, by their sequence numbers; topics without a gap are left out."""
        missing: dict[str, int] = {}
        for _, topic, first, last in self.missing():
            missing[topic] = missing.get(topic, 0) + last - first + 1
        return missing

    def missing(self) -> Iterator[tuple[str, str, int, int]]:
        """Give the ranges of frames that are missing: instance, topic, first and last sequence number."""
        for (instance, topic), sequence in self._sequences.items():
            for first, last in sequence.missing():
                yield instance, topic, first, last

    def last_seq(self) -> dict[tuple[str, str], int]:
        """Give the highest sequence number read, by instance and topic."""
        return {key: sequence.last for key, sequence in self._sequences.items()}

    @property
    def whole(self) -> bool:
        """True when nothing is known to be missing: a torn tail counts as missing."""
        lost = self.torn_bytes + self.damaged_bytes + self.undecodable + self.missing_segments
        return lost == 0 and not self.gaps

    def count(self, message: Message) -> bool:
        """Take one message into account; False when it was there already."""
        topic = message.topic
        key = (message.header["instance"], topic)
        seen = self._sequences.get(key)
        if seen is None:
            seen = self._sequences[key] = Sequence()
        if not seen.add(message.header["seq"]):
            self.duplicates += 1
            return False
        self.per_topic[topic] = self.per_topic.get(topic, 0) + 1
        return True

    def kept(self) -> dict[str, Any]:
        """Give everything as plain data, for a reader that is to go on later."""
        plain = {name.name: getattr(self, name.name) for name in fields(self) if name.name != "_sequences"}
        seen = [[*key, *sequence.ranges()] for key, sequence in self._sequences.items()]
        return plain | {"per_topic": dict(self.per_topic), "problems": list(self.problems), "seen": seen}

    @classmethod
    def of_kept(cls, kept: Mapping[str, Any]) -> Self:
        """Make a report again of what `kept` gave."""
        plain = {name: value for name, value in kept.items() if name != "seen"}
        name, offset = plain.pop("place")
        seen = {(instance, topic): Sequence(first, last) for instance, topic, first, last in kept["seen"]}
        return cls(**plain, place=(str(name), int(offset)), _sequences=seen)

    def as_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "segments": self.segments,
            "frames": self.frames,
            "bytes": self.bytes,
            "torn_bytes": self.torn_bytes,
            "damaged_bytes": self.damaged_bytes,
            "crc_errors": self.crc_errors,
            "undecodable": self.undecodable,
            "missing_segments": self.missing_segments,
            "per_topic": dict(self.per_topic),
            "gaps": self.gaps,
            "missing": [
                {"instance": instance, "topic": topic, "first": first, "last": last}
                for instance, topic, first, last in islice(self.missing(), _MOST_RANGES)
            ],
            "last_seq": {f"{instance} {topic}": seq for (instance, topic), seq in self.last_seq().items()},
            "duplicates": self.duplicates,
            "problems": list(self.problems),
        }


def frame_at(file: BinaryIO, offset: int, size: int) -> tuple[RawFrame | None, bool]:
    """Read the frame that begins at `offset` of a file of `size` bytes.

    Returns:
        The frame, or None when there is no whole one; and whether a plausible frame failed its checksum.
    """
    if offset + HEAD.size > size:
        return None, False
    file.seek(offset)
    data = file.read(HEAD.size)
    head = parse_head(data) if len(data) == HEAD.size else None
    if head is None or offset + head.frame_len > size:
        return None, False
    header, payload = file.read(head.header_len), file.read(head.payload_len)
    if len(header) + len(payload) + HEAD.size < head.frame_len:  # cut while we read
        return None, False
    frame = checked_frame(data, header, payload, offset)
    return frame, frame is None


def find_frame(file: BinaryIO, offset: int, size: int) -> tuple[RawFrame | None, int]:
    """Find the first whole frame at or behind `offset`; also count the checksums that failed on the way."""
    failed = 0
    while offset + HEAD.size <= size:
        file.seek(offset)
        piece = file.read(min(_SEARCH_BYTES, size - offset))
        at = piece.find(MAGIC)
        if at < 0:
            offset += max(1, len(piece) - len(MAGIC) + 1)
            continue
        frame, bad = frame_at(file, offset + at, size)
        failed += bad
        if frame is not None:
            return frame, failed
        offset += at + 1
    return None, failed


def scan(path: Path, report: JournalReport, start: int = 0) -> Iterator[RawFrame]:
    """Give every whole frame of a segment in order, NEXT frames included, and account for the rest in `report`.

    A place that holds no whole frame is skipped only up to the next whole frame; without one it is a torn tail.
    With `start`, the end of a frame that `report` has counted, reading goes on there.

    Raises:
        RecordError: when the file cannot be read.
    """
    report.segments += not start
    name = path.name
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as file:
            size, offset = path.stat().st_size, start
            while offset < size:
                frame, bad = frame_at(file, offset, size)
                if frame is None:
                    frame, failed = find_frame(file, offset + 1, size)
                    report.crc_errors += bad + failed
                    if frame is None:
                        report.torn_bytes += size - offset
                        report.problems.append(
                            f"{name}: {size - offset} bytes behind byte {offset} are no whole frame"
                        )
                        return
                    report.damaged_bytes += frame.offset - offset
                    report.problems.append(f"{name}: bytes {offset} to {frame.offset - 1} are damaged")
                offset = frame.offset + frame.nbytes
                report.frames += 1
                report.bytes += frame.nbytes
                report.place = (name, offset)
                yield frame
    except OSError as error:
        raise RecordError(
            f"journal {path}: {error.strerror}; check the disk and the file's permissions"
        ) from error


def read_segment(path: Path, report: JournalReport | None = None, start: int = 0) -> Iterator[Message]:
    """Give every whole message of one segment; a torn tail or damage is reported, never read as data.

    Raises:
        RecordError: when the file cannot be read.
    """
    report = report if report is not None else JournalReport()
    for frame in scan(path, report, start):
        if frame.kind == NEXT:
            continue
        try:
            message = frame.message()
        except FrameError as error:
            report.undecodable += 1
            report.problems.append(f"{path.name}: frame at byte {frame.offset}: {error}")
            continue
        if report.count(message):  # one that was there already, of a segment copied by hand, is counted only
            yield message


def read_journal(
    directory: Path,
    prefix: str | None = None,
    report: JournalReport | None = None,
    after: tuple[str, int] | None = None,
) -> Iterator[Message]:
    """Give every whole message of all segments of a folder in order; links to other folders are not followed.

    With `after`, the `place` of a report that was kept with the rest of what had been read, reading goes on behind it.

    Raises:
        RecordError: when the folder or a file cannot be read.
    """
    report = report if report is not None else JournalReport()
    before: Path | None = None
    name, start = after or ("", 0)
    for path in segments(directory, prefix):
        if path.name < name:
            before = path
            continue
        expected = segment_number(before) + 1 if before and _series(before) == _series(path) else 1
        missing = segment_number(path) - expected
        # A standing folder may have been tidied up at its beginning; inside a series every number counts.
        if before and _series(before) == _series(path) and missing > 0:
            report.missing_segments += missing
            report.problems.append(f"{path.name}: {missing} segments before it are missing")
        before = path
        yield from read_segment(path, report, start if path.name == name else 0)


def _series(path: Path) -> str:
    return path.name.rsplit("-", 1)[0]
