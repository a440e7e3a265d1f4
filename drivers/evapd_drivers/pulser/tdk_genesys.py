"""TDK-Lambda Genesys laboratory supply, RS-232/485 (9600 to 19200 baud 8N1) or a serial server, as the pulse amplitude of a switch with gain.

Written from chapter 7 of the user manual (83-507-013) as open clients and emulators use it (a Python library that cites it, ISIS EPICS, a Tango server).
Lines ended by CR; a unit is silent until `ADR n`; each command is answered by OK, data, or an error code (C01 to C05, E01 to E08).

Confidence: ADR, IDN?, RMT, PV, PV?, MV?, PC, OUT agree in three sources or more. In doubt: what LOCAL does to a set (remote control is asked for, and all
is read back), whether every model knows SN? (without it there is no serial number), how fast an old one answers (set `timeout_s`).
The amplitude is supply volts times gain: a measured supply, but no measurement of the pulse. Fold-back and protections are the unit's own settings.
It has no `identify` for `evapd probe`: a unit answers nothing before it is addressed, and `ADR 6` sets an address in other instruments.
Nothing here was tried on hardware.
"""

import contextlib
import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from evapd.device import DriverConfig, Identity, PulseAmplitude, PulseAmplitudeReading, open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd.units import Ampere, Volt

MAX_V = 1e3  # beyond this a number is no reading of such a supply
EDGE = 1e-3  # within this part of the floor or ceiling the amplitude is called clamped
USUAL_ADDRESS = 6  # as the units leave the factory
ERRORS = {
    "C01": "unknown command", "C02": "value missing", "C03": "illegal value", "C04": "checksum", "C05": "out of range",
    "E01": "above the over-voltage protection", "E02": "below the under-voltage limit", "E04": "protection too low",
    "E06": "limit too high", "E07": "fault shut-down", "E08": "shut-down",
}  # fmt: skip
_ERROR = re.compile(r"[CE][0-9]{1,2}")
_TYPE = re.compile(r"\bG(?:EN)?[A-Z]*\s*([0-9]+(?:\.[0-9]+)?)-([0-9]+(?:\.[0-9]+)?)")


def encode(command: str, value: float | None = None) -> bytes:
    """`PV 74.971`, or a command without a value."""
    return f"{command}\r".encode() if value is None else f"{command} {value:.3f}\r".encode()


def decode(line: bytes) -> str:
    """What is said, unless it is an error code."""
    text = line.decode("ascii", "replace").strip()
    if _ERROR.fullmatch(text):
        raise DeviceRefused(f"the supply answered {text}: {ERRORS.get(text, 'see the manual')}")
    return text


def decode_ok(line: bytes) -> None:
    """Accept OK only."""
    if decode(line).upper() != "OK":
        raise DeviceProtocolError(f"{line!r} where OK or an error code is due")


def decode_value(line: bytes) -> float:
    """`75.000`, in V or A; a small negative reading is noise of the converter."""
    return number(decode(line).encode(), -10.0, MAX_V)


def decode_on(line: bytes) -> bool:
    """`ON` or `OFF`, `1` or `0`."""
    state = {"ON": True, "1": True, "OFF": False, "0": False}.get(decode(line).upper())
    if state is None:
        raise DeviceProtocolError(f"{line!r} where ON or OFF is due")
    return state


def decode_remote(line: bytes) -> bool:
    """Whether remote control is ours: REM and LLO, not LOC; or their numbers."""
    mode = {"REM": True, "LLO": True, "LOC": False, "1": True, "2": True, "0": False}.get(
        decode(line).upper()
    )
    if mode is None:
        raise DeviceProtocolError(f"{line!r} where LOC, REM or LLO is due")
    return mode


def decode_identity(line: bytes) -> tuple[Identity, float]:
    """`LAMBDA,GEN150-10`, `TDK-LAMBDA,G150-11.2,...`: maker and type, and the rated voltage in V that the type tells."""
    text = decode(line)
    vendor, model = [part.strip() for part in f"{text},".split(",")][:2]
    found = _TYPE.search(model)
    if found is None:
        raise DeviceIdentityError(f"'{text}' answers, not a Genesys: check `connect` and `address`")
    return Identity(vendor=vendor, model=model, raw=text), float(found[1])


class TdkGenesys:
    """A Genesys that feeds the pulse switch; amplitudes in V at the specimen."""

    protocol: ClassVar[type] = PulseAmplitude

    class Config(DriverConfig):
        """Settings: the part of the supply's range in use, in supply volts, and the gain to the specimen."""

        gain: Annotated[float, Field(gt=0, le=1000)]
        supply_min_v: Annotated[Volt, Field(ge=0)]
        supply_max_v: Annotated[Volt, Field(gt=0, le=600)]
        address: Annotated[int, Field(ge=0, le=30)] = USUAL_ADDRESS
        current_a: Annotated[Ampere, Field(gt=0, le=1000)] | None = (
            None  # programmed before it is switched on
        )
        set_tolerance_v: Annotated[Volt, Field(gt=0)] = 0.1  # of the set point's readback, in supply volts

        @model_validator(mode="after")
        def _ordered(self) -> Self:
            if self.supply_min_v >= self.supply_max_v:
                raise ValueError("supply_min_v must be less than supply_max_v")
            return self

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
        self.v_p_min_v = config.supply_min_v * config.gain
        self.v_p_max_v = config.supply_max_v * config.gain

    def open(self) -> Identity:
        """Open, address the unit, check type, rating and serial number, read the state; neither takes control nor switches."""
        with self._link.opening():
            decode_ok(self._link.ask(b"ADR %d\r" % self._config.address))
            identity, rated_v = decode_identity(self._link.ask(b"IDN?\r"))
            if self._config.supply_max_v > rated_v:
                raise DeviceIdentityError(f"a {identity.model} answers: supply_max_v is more than it has")
            serial = self._serial()
            same_serial(self._config.serial_number, serial)
            self.read()
        return Identity(vendor=identity.vendor, model=identity.model, serial=serial, raw=identity.raw)

    def close(self) -> None:
        """Close the link; the output stays as it is, and in remote control."""
        self._link.close()

    def read(self) -> PulseAmplitudeReading:
        """Read the amplitude in V from the supply's measured voltage; `in_range` is False with the output off, too."""
        on = decode_on(self._link.ask(b"OUT?\r"))
        v_p_v = decode_value(self._link.ask(b"MV?\r")) * self._config.gain
        in_range = on and self.v_p_min_v * (1 + EDGE) < v_p_v < self.v_p_max_v * (1 - EDGE)
        return PulseAmplitudeReading(t_mono_s=self._clock(), v_p_v=v_p_v, in_range=in_range, output_on=on)

    def set_amplitude(self, v_p_v: float) -> None:
        """Set the amplitude in V from `v_p_min_v` to `v_p_max_v`, read it back, then switch the output on if it is off."""
        limited("pulse amplitude", v_p_v, self.v_p_min_v, self.v_p_max_v, "V")
        self._take_remote()
        self._set("PV", v_p_v / self._config.gain, self._config.set_tolerance_v)
        if not decode_on(self._link.ask(b"OUT?\r")):
            self._switch_on()

    def make_safe(self) -> None:
        """Remote control, set point 0, output off: each is sent whatever the one before it answers; the output must then be off.

        A set point of 0 is refused where the unit has an under-voltage limit: what counts is the output.
        """
        with contextlib.suppress(DeviceRefused):
            self._link.insist((b"RMT 1\r", encode("PV", 0.0), b"OUT 0\r"), decode_ok)
        if decode_on(self._link.ask(b"OUT?\r")):
            supply_v = decode_value(self._link.ask(b"PV?\r"))
            raise DeviceRefused(
                f"the supply stays on at {supply_v:g} V: LOCAL by its front panel or rear contact?"
            )

    def _take_remote(self) -> None:
        if decode_remote(self._link.ask(b"RMT?\r")):
            return
        decode_ok(self._link.ask(b"RMT 1\r"))
        if not decode_remote(self._link.ask(b"RMT?\r")):
            raise DeviceRefused(
                "the supply stays LOCAL: its front panel or the contact at its rear wants that"
            )

    def _set(self, command: str, value: float, tolerance: float) -> None:
        decode_ok(self._link.ask(encode(command, value)))
        found = decode_value(self._link.ask(encode(f"{command}?")))
        if abs(found - value) > tolerance:
            raise DeviceRefused(f"{command} reads {found:g} after {value:.3f} was set")

    def _switch_on(self) -> None:
        if self._config.current_a is not None:
            self._set("PC", self._config.current_a, 0.01 * self._config.current_a)
        decode_ok(self._link.ask(b"OUT 1\r"))
        if not decode_on(self._link.ask(b"OUT?\r")):
            raise DeviceRefused(
                "the supply's output does not come on: fault or shut-down, see its front panel"
            )

    def _serial(self) -> str:
        """Give the serial number, nothing where a model does not know the question and nobody named one."""
        try:
            return decode(self._link.ask(b"SN?\r"))
        except (DeviceTimeout, DeviceRefused):
            if self._config.serial_number is not None:
                raise
            return ""
