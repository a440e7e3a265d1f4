"""Reads tdc-stream frames in tests, independently of the simulated TDC."""

import struct
import zlib
from typing import NamedTuple


class Frame(NamedTuple):
    kind: int
    flags: int
    seq: int
    first_pulse: int
    pulses: int
    inhibited: int
    t_device_ns: int
    lost_words: int
    payload: bytes

    @property
    def words(self) -> list[tuple[int, int, int]]:
        halves = struct.iter_unpack("<iI", self.payload)
        return [(high >> 8, high & 0xFF, time) for time, high in halves]


def cut(data: bytes) -> tuple[list[Frame], bytes]:
    """Cut whole frames from the beginning; check magic, version, checksum."""
    frames = []
    while len(data) >= 52:
        magic, version, kind, flags, seq, length, first, pulses, inhibited, t_ns, lost, zero = (
            struct.unpack_from("<4sBBHIIQIIQII", data)
        )
        assert (magic, version, zero) == (b"EVTD", 1, 0)
        if len(data) < 52 + length:
            break
        assert struct.unpack_from("<I", data, 48 + length)[0] == zlib.crc32(data[: 48 + length])
        frames.append(Frame(kind, flags, seq, first, pulses, inhibited, t_ns, lost, data[48 : 48 + length]))
        data = data[52 + length :]
    return frames, data


def all_frames(data: bytes) -> list[Frame]:
    frames, rest = cut(data)
    assert rest == b""
    return frames


def request(kind: int, seq: int = 1) -> bytes:
    header = struct.pack("<4sBBHII", b"EVTD", 1, kind, 0, seq, 0) + bytes(32)
    return header + struct.pack("<I", zlib.crc32(header))


IDENT, ARM, DISARM = 16, 17, 18
HELLO, DATA, ACK, NAK = 1, 2, 3, 4
LOSS, SATURATED, EXHAUSTED = 1, 2, 4
