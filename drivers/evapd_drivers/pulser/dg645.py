"""Stanford Research Systems DG645 digital delay generator as the source of pulses.

Written from the manufacturer's manual (remote programming chapter): commands of four letters ended by LF, replies ended by CR LF,
sets answer nothing but leave a code in the error queue. TCP port 5025 or RS-232 (8N1, RTS/CTS, default 9600 baud).

Confidence: commands, ranges and error codes are the manual's. The manual has no command that switches the outputs off; single shot
(TSRC 5) as the inhibit is advice, and a delay cycle that has begun still ends. The serial number's form `s/n001234` is as in the manual's example.
`missed` counts the reads that found INSR bit RATE: at least that many triggers came during a delay cycle. Where INSR? is not answered (one emulator), the
driver goes on without: it then knows neither of missed triggers nor of the inhibit input.
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.device.protocols import DriverConfig, Pulser
from evapd.device.readings import Identity, PulserReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd.units import Hertz

INTERNAL, SINGLE_SHOT = 0, 5  # TSRC
INSR_RATE, INSR_INHIBIT = 1 << 1, 1 << 4
INHIBITS = {"off": 0, "triggers": 1, "AB": 2, "AB-CD": 3, "AB-EF": 4, "all": 5}  # INHB
ERRORS = {
    10: "illegal value", 11: "illegal mode", 12: "illegal delay", 13: "illegal link", 14: "recall failed",
    15: "not allowed: locked by another interface", 16: "self test failed", 17: "auto calibration failed",
    30: "lost data", 32: "no listener", 254: "too many errors",
}  # fmt: skip
QUEUE = 20  # entries in the error queue
_INTEGER = re.compile(rb"[0-9]{1,3}")
_IDENTITY = re.compile(r"(?P<vendor>[^,]+?)[, ]\s*(?P<model>DG645)\s*,\s*(?:s/n)?(?P<serial>[^,]+),\s*(?:ver)?(?P<firmware>[^,]+)", re.IGNORECASE)  # fmt: skip


def encode(command: str, value: float | None = None) -> bytes:
    """`TRAT 200000.000000` (a float has the instrument's step of 1 uHz), `TSRC 5`, or a query."""
    number_text = "" if value is None else f" {value:.6f}" if isinstance(value, float) else f" {value}"
    return f"{command}{number_text}\n".encode()


def decode_integer(line: bytes, high: int) -> int:
    """A whole number from 0 to `high`, such as a status byte, mode or error code."""
    if not _INTEGER.fullmatch(line.strip()) or int(line) > high:
        raise DeviceProtocolError(f"{line!r} where a whole number from 0 to {high} is due")
    return int(line)


def decode_identity(line: bytes) -> Identity:
    """`Stanford Research Systems,DG645,s/n001234,ver1.20.10E`."""
    text = line.decode("ascii", "replace").strip()
    found = _IDENTITY.fullmatch(text)
    if found is None:
        raise DeviceIdentityError(f"'{text}' answers, not a DG645: check `connect`")
    return Identity(**{name: part.strip() for name, part in found.groupdict().items()}, raw=text)


class Dg645:
    """A DG645 that triggers the pulser at its internal rate."""

    protocol: ClassVar[type] = Pulser

    class Config(DriverConfig):
        """Settings; the rate's floor and ceiling are the internal generator's unless narrowed."""

        rate_max_hz: Annotated[Hertz, Field(gt=0, le=10e6)]
        rate_min_hz: Annotated[Hertz, Field(ge=100e-6)] = 1.0
        # What the rear inhibit input stops, written at open where given; wire it to the interlock chain.
        inhibit_input: Literal["off", "triggers", "AB", "AB-CD", "AB-EF", "all"] | None = None

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._link = Link(config, transport_factory, clock)
        self._missed = 0
        self._tells_events = True

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(b"*IDN?\n"))

    def open(self) -> Identity:
        """Open, check the identity, empty the error queue, begin the count of missed triggers; the trigger stays as it is."""
        with self._link.opening():
            identity = self.identify(self._link)
            same_serial(self._config.serial_number, identity.serial)
            self._errors()
            if self._config.inhibit_input is not None:
                self._set("INHB", INHIBITS[self._config.inhibit_input], 0)
            self._tells_events = self._clear_events()
            self._missed = 0
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the trigger stays as it is."""
        self._link.close()

    def read(self) -> PulserReading:
        """Read rate (Hz), trigger source and events. `enabled` is None when a front panel chose another source."""
        rate_hz = number(self._link.ask(b"TRAT?\n"), 0.0, 10e6)
        source = self._ask_integer("TSRC?", 6)
        events = self._ask_integer("INSR?") if self._tells_events else 0
        self._missed += bool(events & INSR_RATE)
        enabled = {INTERNAL: not events & INSR_INHIBIT, SINGLE_SHOT: False}.get(source)
        return PulserReading(t_mono_s=self._clock(), rate_hz=rate_hz, enabled=enabled, missed=self._missed)

    def set_rate(self, hz: float) -> None:
        """Set the internal rate in Hz, within the configured range; read back."""
        hz = limited("pulse rate", hz, self._config.rate_min_hz, self._config.rate_max_hz, "Hz")
        self._set("TRAT", float(hz), 1e-6 * hz + 1e-6)

    def enable(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Trigger at the internal rate, or inhibit: then TSRC 5 is the first thing sent."""
        self._link.send(encode("TSRC", INTERNAL if on else SINGLE_SHOT))
        errors = self._errors()
        source = self._ask_integer("TSRC?", 6)
        if source != (INTERNAL if on else SINGLE_SHOT):
            raise DeviceRefused(
                f"trigger source reads {source} after enable({on}); {errors or 'no error is reported'}"
            )

    def make_safe(self) -> None:
        """Inhibit."""
        self.enable(False)

    def _ask_integer(self, query: str, high: int = 255) -> int:
        return decode_integer(self._link.ask(encode(query)), high)

    def _clear_events(self) -> bool:
        """Read what happened before, which clears it; say whether it is told at all."""
        try:
            self._ask_integer("INSR?")
        except DeviceTimeout:
            with self._link.opening():  # a late answer must never answer another question
                return False
        return True

    def _errors(self) -> str:
        """Empty the error queue and give what was in it, in words."""
        found: list[str] = []
        for _ in range(QUEUE + 1):
            code = self._ask_integer("LERR?")
            if code == 0:
                return ", ".join(found)
            found.append(f"error {code} ({ERRORS.get(code, 'see the manual')})")
        raise DeviceProtocolError(f"the error queue does not end after {QUEUE} entries")

    def _set(self, command: str, value: float, tolerance: float) -> None:
        self._link.send(encode(command, value))
        if errors := self._errors():
            raise DeviceRefused(f"{command} {value:g}: {errors}")
        found = number(self._link.ask(encode(f"{command}?")), 0.0, 10e6)
        if abs(found - value) > tolerance:
            raise DeviceRefused(f"{command} reads {found:g} after {value:g} was set")
