"""What drivers of instruments that answer in lines share: a link opened late, checked numbers, checked limits."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from evapd.device.protocols import DriverConfig
from evapd.device.transport import Transport
from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceLost,
    DeviceProtocolError,
    DeviceTimeout,
    LimitError,
)

TransportFactory = Callable[[str, float], Transport]

MAX_LINE = 512  # no instrument here answers longer; more without a line end is noise
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def number(text: bytes, low: float, high: float) -> float:
    """Read a decimal number, plain or with an exponent, of which physics says that it lies in [low, high].

    Raises:
        DeviceProtocolError: for anything else, `nan` and `inf` included.
    """
    text = text.strip(b" \t")
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not low <= value <= high:
        raise DeviceProtocolError(f"{text!r} is not a number between {low:g} and {high:g}")
    return value


def limited(name: str, value: float, low: float, high: float, unit: str) -> float:
    """Give `value` back when it lies in [low, high].

    Raises:
        LimitError: when it does not, or is no number.
    """
    if not low <= value <= high:
        raise LimitError(f"{name} {value:g} {unit} is outside {low:g} to {high:g} {unit}; nothing was sent")
    return value


def same_serial(wanted: str | None, found: str) -> None:
    """Check the serial number that the configuration names, if it names one.

    Raises:
        DeviceIdentityError: when another instrument answers.
    """
    if wanted is not None and wanted != found:
        raise DeviceIdentityError(
            f"serial number {found or '(none)'} answers, the configuration names {wanted}: check the cable or the settings"
        )


class Link:
    """The driver's end of a transport: opened late, one question at a time, each answer within a deadline.

    A line, or frame, ends at any byte of `ends`.

    Attributes:
        timeout_s: the configured deadline of one answer.
        clock: monotonic time in s.
    """

    def __init__(
        self,
        config: DriverConfig,
        transport_factory: TransportFactory,
        clock: Callable[[], float],
        *,
        ends: bytes = b"\r\n",
    ) -> None:
        self._config = config
        self._end = re.compile(b"[" + re.escape(ends) + b"]")
        self._factory = transport_factory
        self.clock = clock
        self.timeout_s = config.timeout_s
        self._transport: Transport | None = None
        self._buffer = b""

    @property
    def transport(self) -> Transport:
        """The open transport.

        Raises:
            DeviceLost: when the link is not open.
        """
        if self._transport is None:
            raise DeviceLost(f"{self._config.connect} is not open")
        return self._transport

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Open afresh for the checks in the body; closed again when one of them fails."""
        self.close()
        self._transport = self._factory(self._config.connect, self._config.timeout_s)
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the transport; idempotent."""
        transport, self._transport, self._buffer = self._transport, None, b""
        if transport is not None:
            transport.close()

    def send(self, data: bytes) -> None:
        """Drop what came unasked, which must never answer the next question, then write."""
        self._buffer = b""
        self.transport.flush_input()
        self.transport.write(data)

    def ask(self, data: bytes) -> bytes:
        """Send a question and give the one line that answers it."""
        self.send(data)
        return self.line()

    def insist(self, steps: Iterable[bytes], accept: Callable[[bytes], object]) -> None:
        """Send every step of a `make_safe`, whatever is answered; after silence the rest is sent without waiting.

        Args:
            steps: commands of which each is answered by one line.
            accept: raises DeviceError for an answer that does not acknowledge.

        Raises:
            DeviceLost: at once, when the link is gone.
            DeviceError: the first failure, when all was sent.
        """
        failures: list[DeviceError] = []
        for step in steps:
            try:
                if any(isinstance(failure, DeviceTimeout) for failure in failures):
                    self.send(step)
                else:
                    accept(self.ask(step))
            except DeviceLost:
                raise
            except DeviceError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def line(self, *, alone: bool = True, timeout_s: float | None = None, ascii_only: bool = True) -> bytes:
        """Read one line ended by CR, LF or both, in either order (or by what else ends it), and give it without its end.

        Args:
            alone: that more text behind the line is an error, because it would answer the next question.
            timeout_s: in place of the configured deadline.
            ascii_only: that any other byte is an error, because no instrument but a few units of measure has such.

        Raises:
            DeviceTimeout: no line end within the deadline, however many bytes dribble in.
            DeviceProtocolError: too long, not ASCII, or two lines where one is due.
        """
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        deadline_s = self.clock() + timeout_s
        while True:
            self._buffer = self._buffer.lstrip(b"\r\n\0")
            if end := self._end.search(self._buffer):
                line, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
                break
            if len(self._buffer) > MAX_LINE:
                raise DeviceProtocolError(
                    f"{self._config.connect}: no line end in {MAX_LINE} bytes: wrong baud rate?"
                )
            left_s = deadline_s - self.clock()
            if left_s <= 0:
                raise DeviceTimeout(
                    f"{self._config.connect}: half a line {self._buffer!r} in {timeout_s:g} s"
                )
            self._buffer += self.transport.read_some(256, left_s)
        if ascii_only and not line.isascii():
            raise DeviceProtocolError(
                f"{self._config.connect} answered {line!r}: wrong baud rate or a bad cable?"
            )
        if alone and self._buffer.strip(b"\r\n\0"):
            raise DeviceProtocolError(
                f"{self._config.connect} answered twice: {line!r}, then {self._buffer!r}"
            )
        return line
