"""Frames of the tdc-stream protocol, version 1, as the TDC makes and reads them.

Source: the protocol page tdc-stream. Header of 48 bytes, payload, CRC-32.
"""

import struct
import zlib
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = b"EVTD"
VERSION = 1
MAX_PAYLOAD = 16_777_216
MAX_OFFSET = 2**24  # pulses that a frame with words may cover
_HEADER = struct.Struct("<4sBBHIIQIIQII")
_CRC = struct.Struct("<I")
FRAME_BYTES = _HEADER.size + _CRC.size


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    DATA = 2
    ACK = 3
    NAK = 4
    IDENT = 16
    ARM = 17
    DISARM = 18


class Flag(IntFlag):
    """What a DATA frame says beside its words."""

    NONE = 0
    LOSS = 1
    SATURATED = 2
    EXHAUSTED = 4


class Request(NamedTuple):
    """A frame from the client."""

    kind: int
    seq: int


def frame(
    kind: Kind,
    payload: bytes = b"",
    *,
    seq: int = 0,
    flags: int = 0,
    first_pulse: int = 0,
    pulses: int = 0,
    inhibited: int = 0,
    t_device_ns: int = 0,
    lost_words: int = 0,
) -> bytes:
    """Make a frame; counters are those of the page, `seq` taken modulo 2^32, `lost_words` saturating."""
    header = _HEADER.pack(
        MAGIC, VERSION, kind, flags, seq & 0xFFFFFFFF, len(payload), first_pulse, pulses, inhibited,
        t_device_ns, min(lost_words, 0xFFFFFFFF), 0,
    )  # fmt: skip
    return b"".join((header, payload, _CRC.pack(zlib.crc32(payload, zlib.crc32(header)))))


def pack_words(offsets: NDArray[Any], channels: NDArray[Any], times: NDArray[Any]) -> NDArray[np.uint32]:
    """Make words: an array (n, 2) of the low half (time) and the high half (offset of the pulse, channel)."""
    halves = np.empty((len(offsets), 2), dtype="<u4")
    halves[:, 0] = np.ascontiguousarray(times, dtype="<i4").view("<u4")
    high = offsets.astype(np.uint32)
    high <<= 8
    high |= channels.astype(np.uint32)
    halves[:, 1] = high
    return halves


class Requests:
    """Finds requests in bytes of any fragmentation. After bytes that are no frame it searches for the next magic."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lost = False  # searching; one complaint is enough

    def clear(self) -> None:
        """Forget what was received: another client will speak."""
        self._buffer.clear()
        self._lost = False

    def feed(self, data: bytes) -> list[Request | str]:
        """Take bytes, give requests and, as text, complaints."""
        found: list[Request | str] = []
        self._buffer += data
        while self._buffer:
            trouble = self._trouble()
            if trouble:
                found += [] if self._lost else [trouble]
                self._lost = True
                del self._buffer[0]
                nxt = self._buffer.find(MAGIC[:1])
                del self._buffer[: nxt if nxt >= 0 else len(self._buffer)]
            elif len(self._buffer) < FRAME_BYTES:
                break
            else:
                _, _, kind, _, seq, *_ = _HEADER.unpack_from(self._buffer)
                found.append(Request(kind, seq))
                self._lost = False
                del self._buffer[:FRAME_BYTES]
        return found

    def _trouble(self) -> str:
        """Say what is wrong with the beginning of the buffer, as soon as it is certain."""
        buffer = self._buffer
        if buffer[:4] != MAGIC[: len(buffer)]:
            return "bad magic"
        if len(buffer) > 4 and buffer[4] != VERSION:
            return f"unknown version {buffer[4]}"
        if len(buffer) >= 16 and buffer[12:16] != bytes(4):
            return "a request has no payload"
        if len(buffer) >= FRAME_BYTES and zlib.crc32(buffer[:48]) != _CRC.unpack_from(buffer, 48)[0]:
            return "bad checksum"
        return ""
