"""A frame on disk: a fixed head with lengths and checksum, then the stream's header and payload unchanged.

The layout is written down in docs/protocols/journal.md. All integers are little endian.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from zlib_ng.zlib_ng import crc32 as crc32_of

from evapd.errors import FrameError
from evapd.stream.frame import (
    BEAT,
    EVENT,
    HITS,
    LOOP,
    MAX_HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
    SLOW,
    STATE,
    WORDS,
    Frame,
    Message,
    decode,
)

MAGIC = b"EVJ1"
VERSION = 1
HEAD = struct.Struct("<4sBBHIII")  # magic, version, kind, reserved, header_len, payload_len, crc32
_CHECKED = slice(4, 16)  # version to payload_len
_LENGTHS = struct.Struct("<BBHII")

NEXT = 255  # names the segment that continues this one
KIND_OF_TOPIC = {HITS: 1, WORDS: 2, LOOP: 3, SLOW: 4, STATE: 5, EVENT: 6, BEAT: 7}
TOPIC_OF_KIND = {kind: topic for topic, kind in KIND_OF_TOPIC.items()}

Buffer = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Head:
    """Lengths of one frame on disk."""

    header_len: int
    payload_len: int

    @property
    def frame_len(self) -> int:
        """Bytes of the whole frame, head included."""
        return HEAD.size + self.header_len + self.payload_len


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One whole frame whose checksum holds, and where it begins in its segment."""

    offset: int
    kind: int
    header: bytes
    payload: bytes

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return HEAD.size + len(self.header) + len(self.payload)

    def message(self) -> Message:
        """Decode the frame as the stream would.

        Raises:
            FrameError: when the checksum holds but the content is not a frame of this protocol's version.
        """
        return decode(TOPIC_OF_KIND[self.kind].encode("ascii"), self.header, self.payload)

    def next_path(self, segment: Path) -> Path:
        """Give the path that a NEXT frame of `segment` names; a bare name lies beside it.

        Raises:
            FrameError: when it names none.
        """
        try:
            return segment.parent / str(json.loads(self.payload)["path"])
        except (ValueError, KeyError, TypeError) as error:
            raise FrameError(f"a NEXT frame without a path: {error}") from None


def _crc(checked: bytes, header: Buffer, payload: Buffer) -> int:
    return crc32_of(payload, crc32_of(header, crc32_of(checked)))


def pack_head(kind: int, header: Buffer, payload: Buffer) -> bytes:
    """Make the head for a header and payload."""
    checked = _LENGTHS.pack(VERSION, kind, 0, len(header), len(payload))
    return MAGIC + checked + struct.pack("<I", _crc(checked, header, payload))


def check_size(frame: Frame) -> None:
    """Refuse what no reader would accept.

    Raises:
        FrameError: when header or payload is larger than the protocol allows, or the topic has no kind.
    """
    if frame.topic not in KIND_OF_TOPIC:
        raise FrameError(f"topic {frame.topic!r} has no place in a journal, only {', '.join(KIND_OF_TOPIC)}")
    if len(frame.header) > MAX_HEADER_BYTES or len(frame.payload) > MAX_PAYLOAD_BYTES:
        raise FrameError(
            f"frame of {len(frame.header)} + {len(frame.payload)} bytes is larger than the protocol allows"
        )


def pack_next(path: Path, segment: Path) -> bytes:
    """Make a whole NEXT frame of `segment` that names the segment which continues it."""
    # A bare name where both lie in one folder: the folder may then be moved, and a copy of it is the same to the byte.
    named = path.name if path.parent == segment.parent else str(path)
    payload = json.dumps({"path": named}).encode()
    return pack_head(NEXT, b"", payload) + payload


def parse_head(data: Buffer) -> Head | None:
    """Read a head from the first 20 bytes; None when they are not one."""
    magic, version, kind, reserved, header_len, payload_len, _ = HEAD.unpack(data)
    if magic != MAGIC or version != VERSION or reserved != 0:
        return None
    if kind not in TOPIC_OF_KIND and kind != NEXT:
        return None
    if header_len > MAX_HEADER_BYTES or payload_len > MAX_PAYLOAD_BYTES:
        return None
    return Head(header_len, payload_len)


def checked_frame(head: bytes, header: bytes, payload: bytes, offset: int) -> RawFrame | None:
    """Make a frame of its three parts as read from `offset`; None when the checksum fails."""
    _, _, kind, _, _, _, crc32 = HEAD.unpack(head)
    if _crc(head[_CHECKED], header, payload) != crc32:
        return None
    return RawFrame(offset, kind, header, payload)
