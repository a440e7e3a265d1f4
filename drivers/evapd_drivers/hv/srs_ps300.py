"""Stanford Research Systems PS350, PS355, PS365, PS370 and PS375 high-voltage supplies, GPIB through pyvisa or RS-232.

Written from the pages on remote programming of the PS355 and PS310 manuals and from open clients (EPICS support of two facilities, a GPIB client for the PS350,
PS310 clients through Prologix). GPIB address 14 (`visa:GPIB0::14::INSTR`), RS-232 9600 baud 8N1; lines end by LF.

Sets are not answered: each is read back, and what was refused shows as no change. HV on is bit 7 of the status byte; `HVON` is refused while the switch at
the front, the interlock or a trip says no. A trip is cleared (TCLR) by `output(True)` only. There is no ramp and no watchdog.

Confidence: commands and status bits 0 to 4 from the manual, bit 7 from three clients. In doubt: a stray letter behind replies (one client's
emulator sends `d`: one letter is passed over), the digits of replies, whether a unit of negative polarity tells and takes voltages with their sign (all
clients say so). Replies do not name what was asked: input is dropped before each question. Whether it stands in LOCAL cannot be asked.
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from enum import IntFlag
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evapd.device import DriverConfig, HighVoltageReading, HighVoltageSupply, Identity, open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, LimitError
from evapd.units import Ampere, Volt
from evapd_drivers.hv.limit import limit_due

MAX_V, MAX_A = 30e3, 0.1  # beyond this a number is no reading of such a supply
STEP_V, STEP_A = 1.0, 6e-6  # it sets whole volts and, on the largest, tens of microamperes
_STRAY = re.compile(rb"(?<=[0-9.])[A-DF-Za-df-z]$")  # an E would be the half of an exponent
_BYTE = re.compile(rb"[0-9]{1,3}")


class Status(IntFlag):
    """The status byte."""

    STABLE = 1 << 0
    VOLTAGE_TRIP = 1 << 1
    CURRENT_TRIP = 1 << 2
    CURRENT_LIMIT = 1 << 3
    ON = 1 << 7


_TRIPS = Status.VOLTAGE_TRIP | Status.CURRENT_TRIP


def encode(command: str, value: str = "") -> bytes:
    """`VSET 1000.0`, ended by LF."""
    return f"{command} {value}".strip().encode() + b"\n"


def decode_number(line: bytes, limit: float) -> float:
    """`1000.0`, `+1.000E+03`, `1000.0d`: a number of magnitude up to `limit`."""
    return number(_STRAY.sub(b"", line.strip()), -limit, limit)


def decode_status(line: bytes) -> Status:
    """`129`: eight bits as one decimal number."""
    text = _STRAY.sub(b"", line.strip())
    if not _BYTE.fullmatch(text) or int(text) > 255:
        raise DeviceProtocolError(f"{line!r} is no status byte")
    return Status(int(text))


def decode_identity(line: bytes) -> Identity:
    """`StanfordResearchSystems,PS350,2067,1.40`."""
    text = line.decode("ascii", "replace").strip()
    fields = [part.strip() for part in text.split(",")]
    if (
        len(fields) != 4
        or not fields[0].upper().startswith("STANFORD")
        or not fields[1].upper().startswith("PS3")
    ):
        raise DeviceIdentityError(f"'{text}' answers, not an SRS PS300 supply: check `connect`")
    return Identity(vendor=fields[0], model=fields[1], serial=fields[2], firmware=fields[3], raw=text)


class SrsPs300:
    """An SRS PS300 as high-voltage supply; V and A, signed as at the output."""

    protocol: ClassVar[type] = HighVoltageSupply

    class Config(DriverConfig):
        """Settings; `v_max_v` and `i_max_a` are magnitudes. The unit's own VLIM and ITRP stay as they are."""

        v_max_v: Annotated[Volt, Field(gt=0, le=20e3)]
        i_max_a: Annotated[Ampere, Field(gt=0, le=0.025)]
        polarity: Literal["positive", "negative"] = "positive"

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
        self._sign = 1.0 if config.polarity == "positive" else -1.0

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(b"*IDN?\n"))

    def open(self) -> Identity:
        """Open, check maker and serial number, read the state; changes nothing."""
        with self._link.opening():
            identity = self.identify(self._link)
            same_serial(self._config.serial_number, identity.serial)
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the output stays as it is."""
        self._link.close()

    def read(self) -> HighVoltageReading:
        """Read status and values, the measured voltage (V) last: `t_mono_s` is the time of that reply."""
        status = self._status()
        v_set_v = self._number("VSET?", MAX_V)
        i_meas_a = self._number("IOUT?", MAX_A)
        v_meas_v = self._number("VOUT?", MAX_V)
        on = Status.ON in status
        return HighVoltageReading(
            t_mono_s=self._clock(),
            v_set_v=v_set_v,
            v_meas_v=v_meas_v,
            i_meas_a=i_meas_a,
            output_on=on,
            ramping=on and Status.STABLE not in status,
            tripped=bool(status & _TRIPS),
            current_limited=Status.CURRENT_LIMIT in status,
        )

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V, of the configured polarity and within `v_max_v`; read back, as the unit takes whole volts."""
        limited("voltage", self._sign * v_v, 0.0, self._config.v_max_v, "V")
        self._set("VSET", f"{v_v + 0.0:.1f}", MAX_V, STEP_V)

    def set_slew(self, v_per_s: float) -> None:
        """Refuse: this supply has no ramp of its own."""
        raise LimitError(f"slew {v_per_s:g} V/s: a PS300 has no ramp of its own; nothing was sent")

    def set_current_limit(self, a: float) -> None:
        """Set the current limit in A, up to `i_max_a`; read back."""
        limited("current limit", a, 0.0, self._config.i_max_a, "A")
        self._set("ILIM", f"{a:.7f}", MAX_A, STEP_A)

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch HV; on: clears a trip first, sees to the current limit, returns when it is really on, and refuses with what the unit tells else."""
        if on and self._status() & _TRIPS:
            self._link.send(encode("TCLR"))
        if on and (a := limit_due(self._number("ILIM?", MAX_A), self._config.i_max_a)) is not None:
            self.set_current_limit(a)
        self._link.send(encode("HVON" if on else "HVOF"))
        deadline_s = self._clock() + self._config.timeout_s
        while (Status.ON in (status := self._status())) is not on:
            if self._clock() > deadline_s:
                tripped = f", tripped ({(status & _TRIPS).name})" if status & _TRIPS else ""
                raise DeviceRefused(
                    f"HV does not go {'on' if on else 'off'}{tripped}: HV switch at the front, interlock, or LOCAL"
                )

    def make_safe(self) -> None:
        """HV off, set point 0: both are sent without waiting, since neither is answered; then the status is read.

        Raises:
            DeviceError: when the check is not answered, or HV is still on.
        """
        for command in (encode("HVOF"), encode("VSET", "0.0")):
            self._link.send(command)
        if Status.ON in self._status():
            raise DeviceRefused("HV stays on after it was switched off: LOCAL at its front panel?")

    def _number(self, query: str, limit: float) -> float:
        return decode_number(self._link.ask(encode(query)), limit)

    def _status(self) -> Status:
        return decode_status(self._link.ask(encode("*STB?")))

    def _set(self, command: str, value: str, limit: float, tolerance: float) -> None:
        self._link.send(encode(command, value))
        found = self._number(f"{command}?", limit)
        if abs(found - float(value)) > tolerance:
            raise DeviceRefused(
                f"{command} reads {found:g} after {value} was set: above its own limit (VLIM), of the other polarity, or it is in LOCAL"
            )
