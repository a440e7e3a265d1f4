"""Where the frames of a segment lie: found by their heads, without reading payloads that nobody asked for."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from evapd.errors import RecordError
from evapd.record.journal.layout import HEAD, Head, checked_frame, parse_head
from evapd.record.journal.reader import find_frame, frame_at

_AHEAD = 2048  # bytes read with a head: most headers are shorter


@dataclass(frozen=True, slots=True)
class FramePlace:
    """A frame by its head. Its checksum has not been compared: `read_place` does that."""

    path: Path
    offset: int
    kind: int
    header: bytes
    payload_len: int

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.offset + HEAD.size + len(self.header) + self.payload_len

    @property
    def payload_offset(self) -> int:
        """Where the payload begins."""
        return self.end - self.payload_len


def frame_places(path: Path, start: int = 0) -> Iterator[FramePlace]:
    """Give the place of every frame of a segment, as long as it is now; damage and a torn tail are passed over.

    `start` is where a frame begins or ends: of what lies before it, nothing is looked at.

    These are the frames that `read_segment` gives, and those that it would not give because their checksum fails
    although their lengths are right.

    Raises:
        RecordError: when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size, offset = os.fstat(file.fileno()).st_size, start
            place = _place(file, path, offset, size)
            while offset < size:
                following = _place(file, path, place.end, size) if place is not None else None
                whole = place is not None and (
                    following is not None or place.end == size or frame_at(file, offset, size)[0] is not None
                )
                if place is not None and whole:
                    yield place
                    offset, place = place.end, following
                    if place is not None or offset >= size:
                        continue
                # The lengths cannot be trusted here: only a checksum that holds tells where the next frame begins.
                found, _ = find_frame(file, offset + (not whole), size)
                if found is None:
                    return
                offset = found.offset
                place = _place(file, path, offset, size)
    except OSError as error:
        raise RecordError(
            f"journal {path}: {error.strerror}; check the disk and the file's permissions"
        ) from error


def read_place(file: BinaryIO, place: FramePlace) -> bytes | None:
    """Read the payload of a frame; None when the checksum fails.

    Raises:
        OSError: when the file cannot be read.
    """
    size = place.end - place.offset
    data = os.pread(file.fileno(), size, place.offset)
    while len(data) < size:  # a read may stop early
        more = os.pread(file.fileno(), size - len(data), place.offset + len(data))
        if not more:
            return None
        data += more
    head, payload = data[: HEAD.size], data[size - place.payload_len :]
    frame = checked_frame(head, place.header, payload, place.offset)
    return frame.payload if frame is not None else None


def _place(file: BinaryIO, path: Path, offset: int, size: int) -> FramePlace | None:
    data = os.pread(file.fileno(), HEAD.size + _AHEAD, offset)
    head: Head | None = parse_head(data[: HEAD.size]) if len(data) >= HEAD.size else None
    if head is None or offset + head.frame_len > size:
        return None
    header = data[HEAD.size : HEAD.size + head.header_len]
    if len(header) < head.header_len:
        header = os.pread(file.fileno(), head.header_len, offset + HEAD.size)
    return FramePlace(path, offset, data[5], header, head.payload_len)
