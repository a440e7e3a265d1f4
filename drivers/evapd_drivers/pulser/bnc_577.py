"""BNC 575/577 and Quantum Composers 9520/9530 pulse generators (one command family) as the source of pulses.

Written from the programming chapters of the BNC 575, BNC 577 and QC 9500+/9530 manuals (hosted pages) and from what open clients (QMI and others) send.
Lines ended by CR LF both ways; every command is answered: data, `ok`, or `?n`. USB or RS-232 115200 8N1 (577) or 38400 (575, QC over USB); LAN is raw TCP, port 2101.

Confidence: commands, answers, error codes and the echo are the manuals'. With the echo on (DB9 and USB ports only) each command comes back first: seen at open, and
checked byte by byte from then on. In doubt: which firmware answers MOD? and TRIG:MOD? (without them the driver takes the timer for continuous), and the steps of
the period (5 or 10 ns: the set is read back within 10 ns). `:PULSE0:STAT 0` is the inhibit: a pulse under way still ends. Whether a gate input stops pulses the
unit does not tell, nor triggers that were lost. Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar

from pydantic import Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.device.protocols import DriverConfig, Pulser
from evapd.device.readings import Identity, PulserReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd.units import Hertz

ERRORS = {
    1: "wrong prefix", 2: "missing keyword", 3: "unknown keyword", 4: "missing parameter", 5: "bad parameter", 6: "query only",
    7: "no query form", 8: "not available in this state of the unit",
}  # fmt: skip
CONTINUOUS = {"MOD": b"NORM", "TRIG:MOD": b"DIS"}  # every period of the internal timer gives one pulse
MAX_PERIOD_S = 5000.0
STEP_S = 10.1e-9  # by which a unit may round the period
_ERROR = re.compile(rb"\?([0-9]{1,2})")
_WORD = re.compile(rb"[A-Z]{2,10}")


def encode(keyword: str, value: str | None = None) -> bytes:
    """`:PULSE0:STAT 0`, or the question `:PULSE0:STAT?`."""
    return f":PULSE0:{keyword}{'?' if value is None else f' {value}'}\r\n".encode()


def encode_period(hz: float) -> str:
    """`0.000005000` of 200 kHz: seconds with nine decimals, because more upset the unit."""
    return f"{1.0 / hz:.9f}"


def decode(line: bytes) -> bytes:
    """Give what a line says.

    Raises:
        DeviceRefused: when it is `?n`, with the error in words.
    """
    text = line.strip()
    if found := _ERROR.fullmatch(text):
        code = int(found[1])
        raise DeviceRefused(f"the pulse generator answers ?{code}: {ERRORS.get(code, 'see the manual')}")
    return text


def decode_ok(line: bytes) -> None:
    """`ok`, the answer to everything that is set."""
    if decode(line).lower() != b"ok":
        raise DeviceProtocolError(f"{line!r} where ok is due")


def decode_flag(line: bytes) -> bool:
    """`1` or `0`."""
    text = decode(line)
    if text not in {b"0", b"1"}:
        raise DeviceProtocolError(f"{line!r} where 0 or 1 is due")
    return text == b"1"


def decode_period(line: bytes) -> float:
    """`0.001000000`: the period in s."""
    return number(decode(line), 1e-9, MAX_PERIOD_S)


def decode_word(line: bytes) -> bytes:
    """`NORM`, `DIS`: a mode, in its short or its long form."""
    text = decode(line).upper()
    if not _WORD.fullmatch(text):
        raise DeviceProtocolError(f"{line!r} where a mode is due")
    return text


def decode_identity(line: bytes) -> Identity:
    """`BNC,577-4,31309,2.4.1-2.0.11` or `QC,9534,02311,1.2.2-1.2.0`."""
    text = line.decode("ascii", "replace").strip()
    fields = [part.strip() for part in text.split(",")]
    if len(fields) != 4 or not fields[0].upper().startswith(("BNC", "QC", "BERKELEY", "QUANTUM")):
        raise DeviceIdentityError(f"'{text}' answers, not a BNC or QC pulse generator: check `connect`")
    vendor, model, serial, firmware = fields
    return Identity(vendor=vendor, model=model, serial=serial, firmware=firmware, raw=text)


def _meet(link: Link) -> tuple[Identity, bool]:
    """Ask who is there, and see whether the port echoes."""
    question = b"*IDN?\r\n"
    link.send(question)
    line = link.line(alone=False)
    echoes = line.strip() == question.strip()
    return decode_identity(link.line() if echoes else line), echoes


class Bnc577:
    """A BNC or Quantum Composers generator whose internal timer T0 makes the pulses; its channels are set up at its panel."""

    protocol: ClassVar[type] = Pulser

    class Config(DriverConfig):
        """Settings: the range of rates that the rest of the rig allows."""

        rate_max_hz: Annotated[Hertz, Field(gt=0, le=20e6)]
        rate_min_hz: Annotated[Hertz, Field(ge=1 / MAX_PERIOD_S)] = 1.0

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
        self._echoes = False
        self._modes = dict(CONTINUOUS)  # those that this firmware tells

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return _meet(link)[0]

    def open(self) -> Identity:
        """Open, see whether the port echoes, check the identity, read once; changes nothing."""
        with self._link.opening():
            identity, self._echoes = _meet(self._link)
            same_serial(self._config.serial_number, identity.serial)
            self._modes = {name: word for name, word in CONTINUOUS.items() if self._tells(name)}
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the timer stays as it is."""
        self._link.close()

    def read(self) -> PulserReading:
        """Read the rate (Hz) and whether T0 runs. `enabled` is None where it runs in bursts or by an outer trigger."""
        running = decode_flag(self._ask("STAT"))
        rate_hz = 1.0 / decode_period(self._ask("PER"))
        continuous = all(decode_word(self._ask(name)).startswith(word) for name, word in self._modes.items())
        enabled = None if running and not continuous else running
        return PulserReading(t_mono_s=self._clock(), rate_hz=rate_hz, enabled=enabled)

    def set_rate(self, hz: float) -> None:
        """Set the rate in Hz, within the configured range, as a period in steps of the unit; read back."""
        hz = limited("pulse rate", hz, self._config.rate_min_hz, self._config.rate_max_hz, "Hz")
        self._set("PER", encode_period(hz))
        found_s = decode_period(self._ask("PER"))
        if abs(found_s - 1.0 / hz) > STEP_S:
            raise DeviceRefused(f"the period reads {found_s:g} s after {1.0 / hz:g} s was set")

    def enable(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Run T0, continuous and by its own clock, or inhibit: then `:PULSE0:STAT 0` is the first thing sent."""
        if on:
            for name, word in self._modes.items():
                if not decode_word(self._ask(name)).startswith(word):
                    self._set(name, word.decode())
        self._set("STAT", "1" if on else "0")
        if decode_flag(self._ask("STAT")) != on:
            raise DeviceRefused(f"T0 is {'stopped' if on else 'running'} after enable({on})")

    def make_safe(self) -> None:
        """Inhibit."""
        self.enable(False)

    def _tells(self, keyword: str) -> bool:
        try:
            decode_word(self._ask(keyword))
        except DeviceRefused:  # an older firmware: `?3`
            return False
        except DeviceTimeout:
            with self._link.opening():  # a late answer must never answer another question
                return False
        return True

    def _ask(self, keyword: str) -> bytes:
        return self._exchange(encode(keyword))

    def _set(self, keyword: str, value: str) -> None:
        decode_ok(self._exchange(encode(keyword, value)))

    def _exchange(self, command: bytes) -> bytes:
        self._link.send(command)
        if self._echoes:
            echo = self._link.line(alone=False)
            if echo.strip() != command.strip():
                raise DeviceProtocolError(
                    f"{command!r} came back as {echo!r}: bad cable, or the echo was switched off"
                )
        return self._link.line()
