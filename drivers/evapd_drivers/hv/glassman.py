"""Glassman FR high-voltage supplies, and EJ, ET, EY and FJ of the same serial protocol, RS-232 at 9600 baud 8N1.

Written from the protocol as open clients describe it (InstrumentKit and its tests, loggers of one laboratory); the manual was not seen. `SOH command checksum
CR`; the checksum is the sum of the characters in two hexadecimal figures. One packet sets voltage, current and HV together: parts of FFF, of what
`rated_v` and `rated_a` say. Monitors are parts of 3FF, so that a reading has steps of 0.1 %.

Confidence: packets, checksum, scales and error codes agree in two sources; the published packets are in the tests. In doubt: what LOCAL does to a set (a
refusal or silence are both errors; HV that does not come on is one, too), what C0 does on a unit that is already on.
**The unit's own dead man**: with `host_timeout` (default) it goes off by itself 1.5 s after the last packet; that is switched on before HV is.
Set points cannot be asked: `v_set_v` is what it acknowledged last since it was opened, None before. A set keeps HV as the status says that it is;
one while it is faulted is refused by the unit. A fault is reset by `output(True)` and by nothing else. It tells neither type nor serial number.
Nothing here was tried on hardware.
"""

import contextlib
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from evapd.device import HighVoltageReading, HighVoltageSupply, Identity, open_transport
from evapd.device.link import Link, TransportFactory, limited
from evapd.errors import DeviceProtocolError, DeviceRefused, LimitError
from evapd_drivers.hv.counted import FULL, RatedConfig, counts

OFF, ON, RESET = 1, 2, 4  # control figure of a set
FULL_MONITOR = 0x3FF
HOST_TIMEOUT_S = 1.5
ERRORS = {
    b"1": "undefined command", b"2": "checksum", b"3": "extra bytes", b"4": "illegal control", b"5": "set while faulted",
    b"6": "processing error",
}  # fmt: skip


class Status(NamedTuple):
    """Answer to Q: monitors in counts of 10 bits, and flags."""

    voltage: int
    current: int
    output_on: bool
    fault: bool
    current_limited: bool


def checksum(text: bytes) -> bytes:
    """Sum of the characters, modulo 256, as two hexadecimal figures."""
    return b"%02X" % (sum(text) & 0xFF)


def encode(text: bytes) -> bytes:
    """`SOH Q 51 CR`."""
    return b"\x01" + text + checksum(text) + b"\r"


def encode_set(voltage: int, current: int, control: int) -> bytes:
    """`SOH S 333 000 0000001 CD CR`: voltage and current in counts of 12 bits, HV on, off, or reset."""
    return encode(b"S%03X%03X%07X" % (voltage, current, control))


def decode(kind: bytes, line: bytes) -> bytes:
    """What stands between the letter and the checksum of an answer `kind`; an acknowledgement `A` has neither.

    Raises:
        DeviceRefused: for `E` with an error code.
        DeviceProtocolError: for anything else, and a checksum that fails.
    """
    letter, text, signature = line[:1], line[1:-2], line[-2:]
    if line == kind == b"A":
        return b""
    if len(line) < 4 or letter not in {kind, b"E"} or letter == b"A" or checksum(text) != signature.upper():
        raise DeviceProtocolError(f"{line!r} where {kind.decode()} is due, or its checksum fails")
    if letter == b"E":
        raise DeviceRefused(f"the supply answered E{text.decode()}: {ERRORS.get(text, 'meaning unknown')}")
    return text


def decode_status(line: bytes) -> Status:
    """`R VVV III 000 N 00` and the checksum: bit 0 of N is current regulation, bit 1 fault, bit 2 HV on."""
    text = decode(b"R", line)
    if len(text) != 12 or not set(text) <= set(b"0123456789ABCDEFabcdef"):
        raise DeviceProtocolError(f"{line!r} where a status of 12 hexadecimal figures is due")
    voltage, current, flags = int(text[:3], 16), int(text[3:6], 16), int(text[9:10], 16)
    if max(voltage, current) > FULL_MONITOR:
        raise DeviceProtocolError(f"{line!r}: a monitor beyond its full scale of {FULL_MONITOR:X}")
    return Status(voltage, current, bool(flags & 4), bool(flags & 2), bool(flags & 1))


class Glassman:
    """A Glassman supply as high-voltage supply; V and A, signed as at the output."""

    protocol: ClassVar[type] = HighVoltageSupply
    conformance_skips: ClassVar[dict[str, str]] = {
        "what_is_set_is_read_back": "set points cannot be asked: what was acknowledged is told until it is closed, and no longer",
    }

    class Config(RatedConfig):
        """Settings; full scale is 50 kV and 6 mA of an FR50R6."""

        host_timeout: bool = True  # it goes off by itself 1.5 s after the last packet

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._link = Link(config, transport_factory, clock, ends=b"\r")
        self.own_timeout_s = HOST_TIMEOUT_S if config.host_timeout else None
        self._voltage: int | None = None  # counts acknowledged since it was opened
        self._current = 0  # counts that the next set carries

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask for the status: who answers with its letter, its 12 figures and their checksum is one; changes nothing, in no instrument.

        Not for the version: `V56`, the question with its checksum, reads like a set value to others.
        """
        decode_status(link.ask(encode(b"Q")))
        return Identity(vendor="Glassman", model="FR")

    def open(self) -> Identity:
        """Open, ask for the version and the status; changes nothing."""
        with self._link.opening():
            firmware = decode(b"B", self._link.ask(encode(b"V"))).decode("ascii", "replace")
            self._voltage = None
            self._current = counts(self._config.i_max_a, self._config.i_max_a, self._config.rated_a)
            self.read()
        return Identity(vendor="Glassman", model="FR", firmware=firmware)

    def close(self) -> None:
        """Close the link; with `host_timeout` the output then goes off by itself."""
        self._link.close()

    def read(self) -> HighVoltageReading:
        """Read monitors and flags, all of one answer: `t_mono_s` is its time."""
        status = self._status()
        set_v = (
            None if self._voltage is None else self._config.sign * self._voltage / FULL * self._config.rated_v
        )
        return HighVoltageReading(
            t_mono_s=self._clock(),
            v_set_v=set_v,
            v_meas_v=self._config.sign * status.voltage / FULL_MONITOR * self._config.rated_v,
            i_meas_a=status.current / FULL_MONITOR * self._config.rated_a,
            output_on=status.output_on,
            tripped=status.fault,
            current_limited=status.output_on and status.current_limited,
            v_step_v=self._config.rated_v / FULL_MONITOR,
        )

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V, of the configured polarity and within `v_max_v`, in steps of `rated_v` / 4095."""
        v_v = limited("voltage", self._config.sign * v_v, 0.0, self._config.v_max_v, "V")
        self._set(counts(v_v, self._config.v_max_v, self._config.rated_v), self._current, self._kept())

    def set_slew(self, v_per_s: float) -> None:
        """Refuse: this supply has no ramp of its own."""
        raise LimitError(f"slew {v_per_s:g} V/s: this supply has no ramp of its own; nothing was sent")

    def set_current_limit(self, a: float) -> None:
        """Set the current limit in A, up to `i_max_a`, in steps of `rated_a` / 4095; until then it is `i_max_a`.

        Raises:
            DeviceRefused: also where HV is on with a voltage that was set by somebody else: one packet carries both.
        """
        a = limited("current limit", a, 0.0, self._config.i_max_a, "A")
        control = self._kept()
        if control == ON and self._voltage is None:
            raise DeviceRefused(
                "HV is on with an unknown set point, which would be changed, too: set the voltage first"
            )
        self._set(self._voltage or 0, counts(a, self._config.i_max_a, self._config.rated_a), control)

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch HV at the set point acknowledged last, else 0; on: resets a fault first, switches the dead man on, and refuses when it stays off."""
        if on and self._status().fault:
            self._acknowledged(encode_set(0, 0, RESET))
            self._voltage = 0
        if on:
            self._acknowledged(encode(b"C0" if self._config.host_timeout else b"C1"))
        # What is faulted refuses to be switched off, and is off: the status decides.
        with contextlib.nullcontext() if on else contextlib.suppress(DeviceRefused):
            self._set(self._voltage or 0, self._current, ON if on else OFF)
        deadline_s = self._clock() + self._config.timeout_s
        while (status := self._status()).output_on is not on:
            if self._clock() > deadline_s:
                reason = "fault" if status.fault else "interlock, LOCAL, or its own switch"
                raise DeviceRefused(f"HV stays {'off' if on else 'on'}: {reason}")

    def make_safe(self) -> None:
        """Voltage 0 and HV off in one packet, then the status must say so: what is faulted refuses the packet, and is off.

        Raises:
            DeviceError: where no answer says that HV is off.
        """
        self._voltage = None
        with contextlib.suppress(DeviceRefused):
            self._set(0, self._current, OFF)
        if self._status().output_on:
            raise DeviceRefused("HV stays on: LOCAL at its front panel?")

    def _set(self, voltage: int, current: int, control: int) -> None:
        self._voltage = None
        self._acknowledged(encode_set(voltage, current, control))
        self._voltage, self._current = voltage, current

    def _kept(self) -> int:
        """What leaves HV as it is."""
        return ON if self._status().output_on else OFF

    def _acknowledged(self, packet: bytes) -> None:
        decode(b"A", self._link.ask(packet))

    def _status(self) -> Status:
        return decode_status(self._link.ask(encode(b"Q")))
