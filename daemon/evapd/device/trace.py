"""The bytes of one device both ways, kept while somebody wants to see them."""

import logging
import threading
import time
from collections import deque
from typing import Literal, NamedTuple

from evapd.device.transport import Clock

_log = logging.getLogger("evapd.device.trace")

KEPT_BYTES = 65_536
KEPT_PIECES = 1024  # written down within a tick of the guard: 4 ms where 4096 take 20 ms
LONGEST_PIECE = 512  # of a TDC's megabytes the beginning of each piece is enough


class Piece(NamedTuple):
    """Bytes that passed at once: monotonic time in s, direction as the computer sees it, the first of them, how many there were."""

    t_mono_s: float
    direction: Literal["write", "read"]
    data: bytes
    length: int

    def __str__(self) -> str:
        more = f" ... {self.length} bytes" if self.length > len(self.data) else ""
        return f"{self.t_mono_s:.6f} {'>' if self.direction == 'write' else '<'} {self.data!r}{more}"


class ByteTrace:
    """Given to a transport as its `trace`. Off at first, and then one comparison per piece is all that it costs.

    The newest pieces are kept, 1024 of them and 64 KiB at most; with `to_log` each is also a line of the log of this process.
    """

    def __init__(self, name: str, clock: Clock = time.monotonic) -> None:
        """Name the device, for the log."""
        self.name = name
        self.on = False
        self._to_log = False
        self._clock = clock
        self._lock = threading.Lock()
        self._pieces: deque[Piece] = deque()
        self._bytes = self._dropped = 0

    def __call__(self, direction: Literal["write", "read"], data: bytes) -> None:
        """Take note of what passed."""
        if not self.on:
            return
        piece = Piece(self._clock(), direction, bytes(data[:LONGEST_PIECE]), len(data))
        with self._lock:
            self._pieces.append(piece)
            self._bytes += len(piece.data)
            while self._bytes > KEPT_BYTES or len(self._pieces) > KEPT_PIECES:
                self._bytes -= len(self._pieces.popleft().data)
                self._dropped += 1
        if self._to_log:
            _log.info("%s: %s", self.name, piece)

    def switch(self, *, on: bool, to_log: bool = False) -> None:
        """Begin, or end, keeping bytes; those that were kept stay until the next beginning. From any thread."""
        with self._lock:
            if on and not self.on:
                self._pieces.clear()
                self._bytes = self._dropped = 0
            self._to_log = to_log
            self.on = on

    def take(self) -> tuple[tuple[Piece, ...], int]:
        """Give what was kept, oldest first, and how many older pieces had to go; both are forgotten."""
        with self._lock:
            taken, dropped = tuple(self._pieces), self._dropped
            self._pieces.clear()
            self._bytes = self._dropped = 0
        return taken, dropped

    def pieces(self) -> tuple[Piece, ...]:
        """Give what was kept, oldest first."""
        with self._lock:
            return tuple(self._pieces)
