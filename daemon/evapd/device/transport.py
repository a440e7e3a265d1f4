"""Bytes to and from an instrument, whatever the cable: one contract, opened from a descriptor."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from evapd.errors import DeviceLost, DeviceProtocolError, DeviceTimeout

Clock = Callable[[], float]
Trace = Callable[[Literal["write", "read"], bytes], None]


class Terms(NamedTuple):
    """What a transport is opened with: default deadline in s, monotonic clock in s, and who sees the bytes."""

    timeout_s: float
    clock: Clock
    trace: Trace | None = None


MAX_CHATTER = 4_000_000  # bytes dropped by one flush before the other side counts as never silent
_CHUNK = 262_144
_SHOWN = 80


class Transport(Protocol):
    """A link to one instrument. Each deadline covers the whole call; every method but `close` may raise `DeviceLost`."""

    @property
    def is_open(self) -> bool:
        """Whether `close` has not been called."""
        ...

    def write(self, data: bytes) -> None:
        """Send all bytes; `DeviceTimeout` when the other side does not take them within the deadline."""
        ...

    def read_until(self, terminator: bytes, *, timeout_s: float | None = None, limit: int = 65536) -> bytes:
        """Read up to the terminator and give what stands before it.

        Raises:
            DeviceTimeout: no terminator within the deadline; nothing is consumed.
            DeviceProtocolError: more than `limit` bytes without a terminator.
        """
        ...

    def read_exactly(self, n: int, timeout_s: float | None = None) -> bytes:
        """Read `n` bytes; on `DeviceTimeout` nothing is consumed."""
        ...

    def read_some(self, limit: int, timeout_s: float | None = None) -> bytes:
        """Read what is there, at least one and at most `limit` bytes; `DeviceTimeout` when nothing comes."""
        ...

    def flush_input(self) -> None:
        """Drop what has arrived and was not read, so that it answers no later question."""
        ...

    def close(self) -> None:
        """Close the link and free the port; idempotent, never raises."""
        ...


class BufferedTransport(ABC):
    """What all transports share: a buffer, deadlines over whole calls, messages that say what came so far.

    A subclass moves bytes: `_receive` waits up to a time for at least one byte, `_send` sends all or raises.
    """

    def __init__(self, name: str, terms: Terms) -> None:
        self.name = name
        self.timeout_s, self._clock, self._trace = terms
        self._buffer = bytearray()
        self._open = True

    @abstractmethod
    def _receive(self, limit: int, timeout_s: float) -> bytes:
        """Give 1 to `limit` bytes, or nothing when none came within `timeout_s`; raise `DeviceLost` at the end."""

    @abstractmethod
    def _send(self, data: bytes, timeout_s: float) -> None:
        """Send all bytes, or raise `DeviceTimeout` or `DeviceLost`."""

    @abstractmethod
    def _shut(self) -> None:
        """Free everything; called once, must not raise."""

    @property
    def is_open(self) -> bool:
        """Whether `close` has not been called."""
        return self._open

    def write(self, data: bytes) -> None:
        """Send all bytes within the transport's time-out."""
        self._must_be_open()
        self._send(data, self.timeout_s)
        if self._trace:
            self._trace("write", data)

    def read_until(self, terminator: bytes, *, timeout_s: float | None = None, limit: int = 65536) -> bytes:
        """Read up to the terminator and give what stands before it."""
        if not terminator:
            raise ValueError("the terminator is empty")
        deadline_s = self._deadline(timeout_s)
        searched = 0
        while (end := self._buffer.find(terminator, searched)) < 0:
            searched = max(0, len(self._buffer) - len(terminator) + 1)
            if searched > limit:
                raise DeviceProtocolError(
                    f"{self.name}: no {terminator!r} in {len(self._buffer)} bytes, {self._so_far()}; wrong baud rate?"
                )
            self._fill(deadline_s, f"a line ended by {terminator!r}")
        if end > limit:
            raise DeviceProtocolError(
                f"{self.name}: a line of {end} bytes, allowed are {limit}; {self._so_far()}"
            )
        line = self._take(end)
        del self._buffer[: len(terminator)]
        return line

    def read_exactly(self, n: int, timeout_s: float | None = None) -> bytes:
        """Read `n` bytes."""
        deadline_s = self._deadline(timeout_s)
        while len(self._buffer) < n:
            self._fill(deadline_s, f"{n} bytes")
        return self._take(n)

    def read_some(self, limit: int, timeout_s: float | None = None) -> bytes:
        """Read what is there, at least one and at most `limit` bytes."""
        deadline_s = self._deadline(timeout_s)
        while not self._buffer:
            self._fill(deadline_s, "any byte")
        return self._take(min(limit, len(self._buffer)))

    def flush_input(self) -> None:
        """Drop what has arrived and was not read."""
        self._must_be_open()
        dropped = len(self._buffer)
        self._buffer.clear()
        while chunk := self._receive(_CHUNK, 0.0):
            dropped += len(chunk)
            if self._trace:
                self._trace("read", chunk)
            if dropped > MAX_CHATTER:
                raise DeviceProtocolError(
                    f"{self.name}: the other side never stops sending, {dropped} bytes were dropped"
                )

    def close(self) -> None:
        """Close the link and free the port."""
        if self._open:
            self._open = False
            self._shut()

    def _deadline(self, timeout_s: float | None) -> float:
        self._must_be_open()
        return self._clock() + (self.timeout_s if timeout_s is None else timeout_s)

    def _fill(self, deadline_s: float, awaited: str) -> None:
        left_s = deadline_s - self._clock()
        # At the deadline itself one more look: what is there already has come in time.
        chunk = self._receive(_CHUNK, max(0.0, left_s))
        if chunk:
            self._buffer += chunk
            if self._trace:
                self._trace("read", chunk)
        elif self._clock() >= deadline_s:
            raise DeviceTimeout(f"{self.name}: awaited {awaited} in vain, {self._so_far()}")

    def _take(self, n: int) -> bytes:
        data = bytes(memoryview(self._buffer)[:n])
        del self._buffer[:n]
        return data

    def _so_far(self) -> str:
        if not self._buffer:
            return "nothing came"
        head = bytes(self._buffer[:_SHOWN])
        return f"so far came {head!r}" + ("..." if len(self._buffer) > _SHOWN else "")

    def _must_be_open(self) -> None:
        if not self._open:
            raise DeviceLost(f"{self.name} is closed")
