"""What every simulated instrument has in common: bytes in, bytes out, in virtual time, without any I/O."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from evapd_sim.plant import Plant

# An instrument reads seven bits. Anything else is noise that belongs to no command: one character that nobody uses.
_SEVEN_BITS = bytes(byte if byte < 0x80 else 0x7F for byte in range(256))


def seven_bits(line: bytes) -> str:
    """Read a line as an instrument does: ASCII without blanks around it, noise as DEL."""
    return line.translate(_SEVEN_BITS).decode("ascii").strip()


def _nobody_waits() -> None:
    """Stand in for a server until one is there."""


class Wire(ABC):
    """One instrument as its cable shows it.

    Bytes may arrive in any fragmentation. `now_s` is seconds of one monotonic or virtual clock that all callers share; the
    instrument's own ramps and conversions follow it. Every call holds `plant.lock`, so server and physics may be different threads.

    Attributes:
        baud: speed in bit/s that is set in the instrument; on a pseudo-terminal the line is as slow as that.
        bits_per_byte: start, data, parity and stop bits of one character.
        tick_s: how often a server calls `poll` when nothing else happens.
        tells_serial: whether a reader can learn the serial number.
        serial_line: whether it is had on a serial line, where some echo; set by a server, False on a socket.
        wake: set by a server; called when there is something to `poll` before its time.
    """

    tick_s: ClassVar[float] = 0.02
    tells_serial: ClassVar[bool] = False

    def __init__(self, plant: Plant, *, baud: int = 9600, bits_per_byte: int = 10) -> None:
        self.plant = plant
        self.baud = baud
        self.bits_per_byte = bits_per_byte
        self.now_s = 0.0
        self.serial_line = True
        self.wake: Callable[[], None] = _nobody_waits
        self._started = False

    def receive(self, data: bytes, now_s: float) -> bytes:
        """Take bytes that arrived by `now_s` and give the bytes of the reply, which may be none."""
        with self.plant.lock:
            self.advance(now_s)
            return self._received(data)

    def poll(self, now_s: float) -> bytes:
        """Give what the instrument sends by itself, by `now_s`."""
        with self.plant.lock:
            self.advance(now_s)
            return self._polled()

    def advance(self, now_s: float) -> None:
        """Let the instrument's own time run to `now_s`: ramps, conversions, demands to the plant. Time never runs backwards."""
        with self.plant.lock:
            dt_s = max(0.0, now_s - self.now_s) if self._started else 0.0
            self.now_s = max(now_s, self.now_s) if self._started else now_s
            self._started = True
            self._advanced(dt_s)

    def due_s(self, now_s: float) -> float:
        """Give the time at which `poll` should be called at the latest."""
        return now_s + self.tick_s

    def disconnected(self) -> None:
        """Note that the client on a socket is gone; on a serial line nobody can tell."""
        with self.plant.lock:
            self._forget()

    def renumber(self, serial: str) -> None:
        """Become another unit of the same type.

        Raises:
            ValueError: where the serial number is not told, see `tells_serial`.
        """
        raise ValueError(f"a {type(self).__name__} tells no serial number, {serial} would not be seen")

    @abstractmethod
    def _forget(self) -> None:
        """Drop what a client left half said."""

    @abstractmethod
    def _received(self, data: bytes) -> bytes: ...

    def _polled(self) -> bytes:
        return b""

    @abstractmethod
    def _advanced(self, dt_s: float) -> None:
        """Follow the time and write demands to the plant; called with 0 where a command shall act at once."""


class LineWire(Wire):
    """An instrument that takes lines of text.

    A line ends at any byte of `ends`; an empty one is ignored. Of a longer line than `max_length` nothing is executed.
    """

    ends: ClassVar[bytes] = b"\r\n"
    max_length: ClassVar[int] = 255

    def __init__(self, plant: Plant, *, baud: int = 9600, bits_per_byte: int = 10) -> None:
        super().__init__(plant, baud=baud, bits_per_byte=bits_per_byte)
        self._line = bytearray()

    def _forget(self) -> None:
        self._line.clear()

    def _received(self, data: bytes) -> bytes:
        reply = bytearray()
        for byte in data:
            if byte not in self.ends:
                if (
                    len(self._line) <= self.max_length
                ):  # one more than allowed is kept, to know that it was too long
                    self._line.append(byte)
                continue
            line, self._line = bytes(self._line), bytearray()
            if len(line) > self.max_length:
                reply += self._too_long()
            elif text := seven_bits(line):
                reply += self._answer(text)
        return bytes(reply)

    @abstractmethod
    def _answer(self, line: str) -> bytes: ...

    @abstractmethod
    def _too_long(self) -> bytes: ...
