"""The 10 ms record from acquire to guard: AF_UNIX SEQPACKET, fixed size, non-blocking on both sides.

Counters are cumulative since the TDC was armed, so a record that is dropped loses nothing. The guard listens and
acquire connects; the kernel keeps the boundaries of records, and end of file means that the other side is dead.

Layout, 104 bytes, little endian:

| offset | type | field |
| --- | --- | --- |
| 0 | u16 | version, 2 |
| 2 | u16 | flags, see `LinkFlag` |
| 4 | u32 | heartbeat_age_us, 2^32 - 1 = that or more |
| 8 | u64 | seq |
| 16 | i64 | t_mono_ns |
| 24 | u64 x 8 | pulse_counter, live_pulses, hits_window, background_hits, hits_total, words, triggers, early_hits |
| 88 | u32 x 2 | map_hits, hot_hits |
| 96 | 8 bytes | config: first bytes of the configuration's digest |
"""

import errno
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import IntFlag
from pathlib import Path

from evapd.errors import LinkError

VERSION = 2
_STRUCT = struct.Struct("<HHIQqQQQQQQQQII8s")
SIZE = _STRUCT.size
_MAX_AGE_US = _MAX_U32 = 2**32 - 1
_BATCH = 512  # records taken at once at most, so that a flood cannot hold the guard's loop


class LinkFlag(IntFlag):
    """What holds for the time since the record before; a flag of a record that could not be sent is kept for the next."""

    NONE = 0
    ARMED = 1  # the TDC is armed and counters count
    SATURATED = 2  # a FIFO is or was full: counts are a lower bound
    LOSS = 4  # words were lost: counts are a lower bound
    COUNTER_JUMP = 8  # the pulse counter moved in a way pulses cannot explain
    RUN_ACTIVE = 16  # acquire records a run
    SOURCE_EXHAUSTED = 32  # a replay has no more data
    TIME_SUMS_LOST = 64  # what comes on the channels does not belong together: hits are being lost


_STICKY = LinkFlag.SATURATED | LinkFlag.LOSS | LinkFlag.COUNTER_JUMP


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRecord:
    """Counts since arming as of `t_mono_ns` (CLOCK_MONOTONIC, ns).

    Attributes:
        flags: see `LinkFlag`.
        seq: number of this record since acquire started.
        t_mono_ns: when the counters were read.
        pulse_counter: pulses matched so far.
        live_pulses: those of them that were not inhibited.
        hits_window: hits in the time-of-flight window.
        background_hits: raw count in the background window.
        hits_total: hits whatever their time of flight.
        words: TDC words.
        triggers: raw words of the busiest channel, whether a hit came of them or not.
        early_hits: hits before the time-of-flight window.
        map_hits: hits on the detector's map in the last second, not cumulative.
        hot_hits: those of them in the map's hottest cell (4 mm).
        heartbeat_age_us: age of the last TDC heartbeat at `t_mono_ns`.
        config: first 8 bytes of the configuration's digest, see `short_digest`.
    """

    seq: int
    t_mono_ns: int
    flags: LinkFlag = LinkFlag.NONE
    pulse_counter: int = 0
    live_pulses: int = 0
    hits_window: int = 0
    background_hits: int = 0
    hits_total: int = 0
    words: int = 0
    triggers: int = 0
    early_hits: int = 0
    map_hits: int = 0
    hot_hits: int = 0
    heartbeat_age_us: int = _MAX_AGE_US
    config: bytes = bytes(8)


_COUNTS = (
    "pulse_counter",
    "live_pulses",
    "hits_window",
    "background_hits",
    "hits_total",
    "words",
    "triggers",
    "early_hits",
    "map_hits",
    "hot_hits",
)


def short_digest(digest: str) -> bytes:
    """Give the 8 bytes of a hexadecimal digest that travel in every record."""
    return bytes.fromhex(digest)[:8].ljust(8, b"\0")


def encode(record: LinkRecord) -> bytes:
    """Encode one record as `SIZE` bytes."""
    return _STRUCT.pack(
        VERSION,
        int(record.flags),
        min(max(record.heartbeat_age_us, 0), _MAX_AGE_US),
        record.seq,
        record.t_mono_ns,
        record.pulse_counter,
        record.live_pulses,
        record.hits_window,
        record.background_hits,
        record.hits_total,
        record.words,
        record.triggers,
        record.early_hits,
        min(record.map_hits, _MAX_U32),
        min(record.hot_hits, _MAX_U32),
        record.config,
    )


def decode(data: bytes) -> LinkRecord:
    """Decode one record.

    Raises:
        LinkError: when the size, the version or a flag is not that of this version.
    """
    if len(data) != SIZE:
        raise LinkError(
            f"link record of {len(data)} bytes, expected {SIZE}: guard and acquire differ in version"
        )
    version, flags, age_us, seq, t_mono_ns, *counts, config = _STRUCT.unpack(data)
    if version != VERSION or flags >= 2 * LinkFlag.TIME_SUMS_LOST:
        raise LinkError(
            f"link record of version {version}, flags {flags:#x}; this program reads version {VERSION}"
        )
    return LinkRecord(
        seq=seq,
        t_mono_ns=t_mono_ns,
        flags=LinkFlag(flags),
        heartbeat_age_us=age_us,
        config=config,
        **dict(zip(_COUNTS, counts, strict=True)),
    )


class LinkSender:
    """Acquire's side: connects when the guard listens, and again when it was restarted. Never blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._unsent = LinkFlag.NONE
        self.dropped = 0  # records that found no guard or a full buffer

    @property
    def connected(self) -> bool:
        """Whether the last attempt found the guard listening."""
        return self._socket is not None

    def send(self, record: LinkRecord) -> bool:
        """Send one record; False when nobody listens or the guard does not read. Flags of lost data are kept."""
        pending = record.flags | self._unsent
        if self._deliver(encode(replace(record, flags=pending))):
            self._unsent = LinkFlag.NONE
            return True
        self._unsent = pending & _STICKY
        self.dropped += 1
        return False

    def close(self) -> None:
        """Close the link; the guard reads this as the death of acquire."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _deliver(self, data: bytes) -> bool:
        if self._socket is None and not self._connect():
            return False
        assert self._socket is not None  # noqa: S101 - connected above
        try:
            self._socket.send(data)
        except BlockingIOError:
            return False
        except OSError:
            self.close()  # the guard is gone; the next record connects anew
            return False
        return True

    def _connect(self) -> bool:
        try:
            attempt = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            return False  # too many open files: tried again with the next record
        attempt.setblocking(False)
        try:
            attempt.connect(str(self._path))
        except OSError:
            attempt.close()
            return False
        self._socket = attempt
        return True


class LinkServer:
    """The guard's side: listens, takes one acquire at a time, notices its death."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`; the caller holds the lock that makes it the only guard of this folder.

        Raises:
            LinkError: when the socket cannot be made there.
        """
        self._path = path
        self._peer: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        self.disconnects = 0  # how often an acquire has gone
        self.refused = 0  # second clients that were turned away
        self.damaged = 0  # records of a wrong size or version
        try:
            with suppress(FileNotFoundError):
                path.unlink()  # left by a guard that was killed
            self._listener.bind(str(path))
            path.chmod(0o660)
            self._listener.listen(2)
        except OSError as error:
            self._listener.close()
            raise LinkError(
                f"cannot listen at {path}: {error.strerror}; check the folder and its permissions"
            ) from error

    @property
    def connected(self) -> bool:
        """Whether an acquire is connected, as of the last `poll`."""
        return self._peer is not None

    def filenos(self) -> list[int]:
        """File descriptors to wait on: something to read on any of them means `poll`."""
        sockets = [self._listener] if self._peer is None else [self._listener, self._peer]
        return [one.fileno() for one in sockets]

    def poll(self) -> list[LinkRecord]:
        """Take what has come, oldest first; notices end of file and accepts a new acquire. Never blocks."""
        records = self._receive()
        while (newcomer := self._accept()) is not None:
            if self._peer is None:
                self._peer = newcomer
                records += self._receive()
            else:
                self.refused += 1
                newcomer.close()
        return records

    def close(self) -> None:
        """Close both sockets and remove the path."""
        self._drop()
        self._listener.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _accept(self) -> socket.socket | None:
        try:
            newcomer, _ = self._listener.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in (errno.ECONNABORTED, errno.EINTR):
                return None
            raise
        newcomer.setblocking(False)
        return newcomer

    def _receive(self) -> list[LinkRecord]:
        records: list[LinkRecord] = []
        for _ in range(_BATCH):
            if self._peer is None:
                break
            try:
                data = self._peer.recv(SIZE + 1)
            except BlockingIOError:
                break
            except OSError:
                data = b""  # reset by the other side: dead as well
            if not data:
                self._drop()
                self.disconnects += 1
                break
            try:
                records.append(decode(data))
            except LinkError:
                self.damaged += 1
        return records

    def _drop(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None
