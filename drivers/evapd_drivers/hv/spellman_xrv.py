"""Spellman XRV high-voltage supplies and relatives of the same digital interface: RS-232 or USB (9600 to 115200 8N1), Ethernet (TCP port 50000 or 50001).

Written from the protocol as open clients describe it (PyMeasure and its tests, a client of a relative that quotes the manual for checksum and
error codes); the manual itself was not seen. `STX command,arguments,checksum ETX` on serial lines, without the checksum over Ethernet: there answers
of both forms are read. Set points are counts of 12 bits, monitors have 20 % over-range; command 28 tells what full scale is, and is asked at every open.

Confidence: frames, checksum and commands 10, 11, 14, 15, 19, 22, 28, 31, 98 agree in two sources or more. In doubt: the form of a refusal (`!,3` and a bare
digit are both read), what LOCAL does to a set (all is read back), the unit of the watchdog timer in command 27 (s is assumed), whether a relative
answers command 23 (without it there is no firmware in the identity). Its ramp is its own setting and is not changed.
A fault is reset by `output(True)` and by nothing else. It tells no serial number. 9600 baud make a reading 0.1 s long: set more.
Nothing here was tried on hardware.
"""

import math
import time
from collections.abc import Callable
from typing import Annotated, ClassVar

from pydantic import Field

from evapd.device import HighVoltageReading, HighVoltageSupply, Identity, open_transport
from evapd.device.link import Link, TransportFactory, limited, number
from evapd.errors import (
    DeviceIdentityError,
    DeviceProtocolError,
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd.units import Second
from evapd_drivers.hv.counted import FULL, CountedConfig, counts
from evapd_drivers.hv.limit import limit_due

ADC_FULL = 1.2  # of the rating, at 4095 counts of a monitor
STX, ETX = b"\x02", b"\x03"
_LONGEST = 200  # bytes of a frame
ERRORS = {
    "1": "incorrect format", "2": "invalid command", "3": "out of range", "4": "overrun", "5": "flash programming",
    "7": "boot loader",
}  # fmt: skip
FAULTS = (
    "filament select", "over temperature approached", "over voltage", "under voltage", "over current", "under current",
    "anode over temperature", "cathode over temperature", "anode inverter", "cathode inverter", "filament feedback", "anode arc",
    "cathode arc", "anode cable", "cathode cable", "anode AC line", "cathode AC line", "anode DC rail", "cathode DC rail",
    "-15 V supply", "+15 V supply", "watchdog", "board over temperature", "over power", "kV difference", "mA difference",
    "inverter not ready",
)  # fmt: skip
HV_ON, INTERLOCK_1, INTERLOCK_2, FAULT, LOCAL, INTERNAL = 0, 1, 2, 4, 5, 16  # fields of command 22


def checksum(text: bytes) -> bytes:
    """Of all that stands between STX and the checksum, the last comma included: negated, seven bits, bit 6 set."""
    return bytes([(-sum(text) & 0x7F) | 0x40])


def encode(command: int, *arguments: int, signed: bool) -> bytes:
    """`STX 10,1280,csum ETX`; without the checksum where it is not `signed`."""
    text = b"%02d," % command + b"".join(b"%d," % argument for argument in arguments)
    return STX + text + (checksum(text) if signed else b"") + ETX


def decode(command: int, frame: bytes, *, signed: bool) -> list[str]:
    """The fields of the answer to `command`, frame without its ETX; a checksum must fit, and must be there where `signed`.

    Raises:
        DeviceRefused: for `!` with an error code, or a bare error code where `$` is due.
        DeviceProtocolError: for anything but an answer to this command.
    """
    text, comma, tail = frame[1:].rpartition(b",")
    whole = {checksum(text + comma)} if signed else {checksum(text + comma), b""}
    if frame[:1] != STX or not comma or tail not in whole:
        raise DeviceProtocolError(f"{frame!r} is no frame, or its checksum fails: wrong baud rate?")
    name, *fields = text.decode("ascii", "replace").split(",")
    if name != f"{command:02d}" or not fields:
        raise DeviceProtocolError(f"{frame!r} where command {command:02d} was asked")
    if fields[0] == "!":
        code = ",".join(fields[1:])
        raise DeviceRefused(f"command {command:02d}: error {code} ({ERRORS.get(code, 'meaning unknown')})")
    return fields


def decode_ack(command: int, frame: bytes, *, signed: bool) -> None:
    """Accept `$` only."""
    fields = decode(command, frame, signed=signed)
    if len(fields) == 1 and fields[0] in ERRORS:
        raise DeviceRefused(f"command {command:02d}: error {fields[0]} ({ERRORS[fields[0]]})")
    if fields != ["$"]:
        raise DeviceProtocolError(f"{frame!r} where $ or an error is due")


def decode_flags(fields: list[str], least: int) -> list[bool]:
    """Fields of 0 or 1, at least so many."""
    if len(fields) < least or not set(fields) <= {"0", "1"}:
        raise DeviceProtocolError(f"{fields} where {least} or more of 0 and 1 are due")
    return [field == "1" for field in fields]


def decode_counts(fields: list[str], least: int = 1) -> list[int]:
    """Fields of 0 to 4095, of which the first `least` are given."""
    values = [number(field.encode(), 0, FULL) for field in fields[:least]]
    if len(values) < least or not all(value.is_integer() for value in values):
        raise DeviceProtocolError(f"{fields} where {least} or more counts are due")
    return [int(value) for value in values]


def decode_scaling(fields: list[str]) -> tuple[float, float]:
    """Full scale in kV and mA."""
    kv, ma = ([number(field.encode(), 0.0, 1e6) for field in fields] + [0.0, 0.0])[:2]
    if kv <= 0.0 or ma <= 0.0:
        raise DeviceProtocolError(f"{fields} where kV and mA of full scale are due")
    return kv, ma


def interlock_open(status: list[bool]) -> bool:
    """Whether one of the interlocks that the status tells is open."""
    closed = [status[place] for place in (INTERLOCK_1, INTERLOCK_2, INTERNAL) if place < len(status)]
    return not all(closed)


class SpellmanXrv:
    """A Spellman supply as high-voltage supply; V and A, signed as at the output."""

    protocol: ClassVar[type] = HighVoltageSupply

    class Config(CountedConfig):
        """Settings; `v_max_v` and `i_max_a` must lie within what the unit says that it is rated for."""

        checksum: bool | None = None  # None: on serial lines only
        watchdog_s: Annotated[Second, Field(gt=0, le=3600)] | None = (
            None  # compared with the unit's at every open
        )

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._link = Link(config, transport_factory, clock, ends=ETX)
        self._sign = config.sign
        serial = config.connect.startswith(("serial:", "visa:ASRL"))
        self._signed = serial if config.checksum is None else config.checksum
        self._rated_v = self._rated_a = math.inf  # until the unit itself says it at open
        self.own_timeout_s = config.watchdog_s  # without a frame it goes off by itself

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask for the scaling, in a frame with its checksum as a serial line wants it; changes nothing, in no instrument."""
        link.send(encode(28, signed=True))
        frame = link.transport.read_until(ETX, limit=_LONGEST)
        kv, ma = decode_scaling(decode(28, frame, signed=False))
        return Identity(vendor="Spellman", model=f"{kv:g} kV {ma:g} mA")

    def open(self) -> Identity:
        """Open, ask for scaling, firmware and, where configured, the watchdog; read the state; changes nothing.

        Raises:
            DeviceIdentityError: when the limits of the settings exceed the unit's rating, or its watchdog is not as configured.
        """
        with self._link.opening():
            kv, ma = decode_scaling(self._fields(28))
            self._rated_v, self._rated_a = 1e3 * kv, 1e-3 * ma
            if self._config.v_max_v > self._rated_v or self._config.i_max_a > self._rated_a:
                raise DeviceIdentityError(
                    f"a unit of {kv:g} kV and {ma:g} mA answers: the settings want more"
                )
            self._check_watchdog()
            self.read()
            firmware = self._firmware()
        return Identity(vendor="Spellman", model=f"{kv:g} kV {ma:g} mA", firmware=firmware)

    def close(self) -> None:
        """Close the link; the output stays as it is, unless the unit's own watchdog is set."""
        self._link.close()

    def read(self) -> HighVoltageReading:
        """Read status, set point and monitors: `t_mono_s` is the time of the last reply."""
        status = self._status()
        v_set_v = decode_counts(self._fields(14))[0] / FULL * self._rated_v
        kv, ma = (ADC_FULL * monitor / FULL for monitor in decode_counts(self._fields(19), 2))
        return HighVoltageReading(
            t_mono_s=self._clock(),
            v_set_v=self._sign * v_set_v,
            v_meas_v=self._sign * kv * self._rated_v,
            i_meas_a=ma * self._rated_a,
            output_on=status[HV_ON],
            tripped=status[FAULT],
            interlock_open=interlock_open(status),
            remote=not status[LOCAL],
            v_step_v=ADC_FULL * self._rated_v / FULL,
        )

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V, of the configured polarity and within `v_max_v`; read back."""
        v_v = limited("voltage", self._sign * v_v, 0.0, self._config.v_max_v, "V")
        self._program(10, v_v, self._config.v_max_v, self._rated_v)

    def set_slew(self, v_per_s: float) -> None:
        """Refuse: the ramp is among the unit's own settings, which differ between the relatives."""
        raise LimitError(f"slew {v_per_s:g} V/s: set the ramp at the unit itself; nothing was sent")

    def set_current_limit(self, a: float) -> None:
        """Set the current limit in A, up to `i_max_a`; read back."""
        a = limited("current limit", a, 0.0, self._config.i_max_a, "A")
        self._program(11, a, self._config.i_max_a, self._rated_a)

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch HV; on: resets a fault first, sees to the current limit, and refuses with the reason when it stays off."""
        if on:
            status = self._status()
            if status[LOCAL]:
                raise DeviceRefused(self._why(status))
            if status[FAULT]:
                self._set(31)
            found_a = decode_counts(self._fields(15))[0] / FULL * self._rated_a
            if (a := limit_due(found_a, self._config.i_max_a)) is not None:
                self.set_current_limit(a)
        self._set(98, int(on))
        deadline_s = self._clock() + self._config.timeout_s
        while (status := self._status())[HV_ON] is not on:
            if self._clock() > deadline_s:
                raise DeviceRefused(f"HV stays {'off' if on else 'on'}: {self._why(status)}")

    def make_safe(self) -> None:
        """HV off, set point 0: both are sent even when the first failed, then both are read back.

        Raises:
            DeviceError: the first failure, when all was sent, or what the check found.
        """
        steps = (encode(98, 0, signed=self._signed), encode(10, 0, signed=self._signed))
        self._link.insist(steps, self._accept_safe)
        status = self._status()
        left = decode_counts(self._fields(14))[0]
        if status[HV_ON] or left:
            state = "on" if status[HV_ON] else "off"
            raise DeviceRefused(f"HV is {state} with a set point of {left} counts: {self._why(status)}")

    def _accept_safe(self, frame: bytes) -> None:
        decode_ack(98 if frame[1:3] == b"98" else 10, frame, signed=self._signed)

    def _fields(self, command: int, least: int = 1) -> list[str]:
        fields = decode(command, self._link.ask(encode(command, signed=self._signed)), signed=self._signed)
        if len(fields) < least:
            raise DeviceProtocolError(f"command {command:02d} was answered {fields}, {least} fields are due")
        return fields

    def _set(self, command: int, *arguments: int) -> None:
        frame = self._link.ask(encode(command, *arguments, signed=self._signed))
        decode_ack(command, frame, signed=self._signed)

    def _program(self, command: int, value: float, most: float, full: float) -> None:
        steps = counts(value, most, full)
        self._set(command, steps)
        found = decode_counts(self._fields(command + 4))[0]
        if found != steps:
            raise DeviceRefused(
                f"set point {command:02d} reads {found} after {steps} was set: {self._why(self._status())}"
            )

    def _status(self) -> list[bool]:
        return decode_flags(self._fields(22), LOCAL + 1)

    def _firmware(self) -> str:
        """Give part number and version of the firmware, nothing where a relative does not know the question."""
        try:
            return " ".join(self._fields(23))
        except (DeviceTimeout, DeviceRefused):
            return ""

    def _check_watchdog(self) -> None:
        wanted_s = self._config.watchdog_s
        found = self._fields(27) if wanted_s is not None else []
        if wanted_s is not None and (len(found) < 12 or number(found[11].encode(), 0.0, 1e6) != wanted_s):
            raise DeviceIdentityError(
                f"the unit's watchdog is {found[11:12]}, the settings say {wanted_s:g} s: set it at the unit"
            )

    def _why(self, status: list[bool]) -> str:
        reasons = ["LOCAL"] * status[LOCAL] + ["interlock open"] * bool(interlock_open(status))
        if status[FAULT]:
            told = decode_flags(self._fields(68), 1)
            reasons += [f"fault: {name}" for name, is_so in zip(FAULTS, told, strict=False) if is_so]
        return ", ".join(reasons) or "no reason is told"
