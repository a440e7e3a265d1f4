"""Heinzinger PNC high-voltage supplies with Digital Interface I or II, RS-232 at 9600 baud 8N1 (USB with the same commands).

Written from the command list as three open clients use it (hvl_ccb, which cites the maker's manual V1.6, and two laboratories' own); the manual was not
seen. Lines ended by LF. **Sets answer nothing**: each is read back until it shows, within `timeout_s`. Units follow the type that `*IDN?` tells,
`PNChp 20000-10pos`: V, from 100 kV on kV; A above 1 A, mA from 1 mA on, below uA.

Confidence: commands agree in three sources, units of V and mA in two; one client of a 10 mA unit writes uA (`current_unit` settles that).
**Whether the output is on cannot be asked**, and neither LOCAL, trip nor interlock: `output_on` and the others are None, never guessed. The guard then
goes by the measured voltage alone, and an output that trips shows only as a voltage that falls. `output(True)` first proves that the unit obeys: it
halves the current limit and sets it again, read back both times. The polarity that the type tells must be the configured one.
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from evapd.device import DriverConfig, HighVoltageReading, HighVoltageSupply, Identity, open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.errors import DeviceError, DeviceIdentityError, DeviceLost, DeviceRefused, LimitError
from evapd.units import Ampere, Volt
from evapd_drivers.hv.limit import limit_due

AMPERES = {"A": 1.0, "mA": 1e-3, "uA": 1e-6}
_TYPE = re.compile(r"PNC\S*\s*([0-9]+)\s*-\s*([0-9]+(?:\.[0-9]+)?)\s?([a-z]{3})")
_SERIAL = re.compile(r"[0-9]{6,}")
_OVER = 1.2  # of the nominal value: beyond this a number is no reading


class Nominal(NamedTuple):
    """What a type tells: nominal values, units of its numbers in V and A, and polarity (`pos`, `neg`, `ump`: reversible)."""

    v_v: float
    a: float
    v_unit_v: float
    a_unit_a: float
    polarity: str


def decode_identity(line: bytes) -> tuple[Identity, Nominal]:
    """`PNChp 60000-1neg 354211082` or `314807440/PNChp 60000-1neg.`: type and serial number, in either order."""
    text = line.decode("ascii", "replace").strip()
    found = _TYPE.search(text)
    if found is None or not float(found[1]) or not float(found[2]):
        raise DeviceIdentityError(f"'{text}' answers, not a Heinzinger PNC: check `connect`")
    v_v, a = float(found[1]), 1e-3 * float(found[2])
    a_unit_a = 1.0 if a > 1.0 else 1e-3 if a >= 1e-3 else 1e-6
    serial = _SERIAL.search(text[: found.start()] + " " + text[found.end() :])
    identity = Identity(vendor="Heinzinger", model=found[0], serial=serial[0] if serial else "", raw=text)
    return identity, Nominal(v_v, a, 1e3 if v_v >= 100e3 else 1.0, a_unit_a, found[3])


def encode(command: str, value: float) -> bytes:
    """`VOLT 1500.000000`, in the unit of the type."""
    return f"{command} {value:.6f}\n".encode()


class HeinzingerPnc:
    """A PNC as high-voltage supply; V and A, signed as at the output."""

    protocol: ClassVar[type] = HighVoltageSupply

    class Config(DriverConfig):
        """Settings; `v_max_v` and `i_max_a` are magnitudes, and must lie within the nominal values."""

        v_max_v: Annotated[Volt, Field(gt=0, le=400e3)]
        i_max_a: Annotated[Ampere, Field(gt=0, le=10)]
        polarity: Literal["positive", "negative"] = "positive"
        current_unit: Literal["A", "mA", "uA"] | None = None  # None: by the type
        set_tolerance: Annotated[float, Field(gt=0, le=0.01)] = 1e-3  # of the nominal value, for the readback

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
        self._nominal = Nominal(1.0, 1.0, 1.0, 1.0, "")  # until the unit itself tells its type at open

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(b"*IDN?\n"))[0]

    def open(self) -> Identity:
        """Open, check type, polarity and serial number, read the state; changes nothing.

        Raises:
            DeviceIdentityError: when type, polarity or serial number are not as configured.
        """
        with self._link.opening():
            identity, nominal = decode_identity(self._link.ask(b"*IDN?\n"))
            same_serial(self._config.serial_number, identity.serial)
            if self._config.v_max_v > nominal.v_v or self._config.i_max_a > nominal.a * (1 + 1e-9):
                raise DeviceIdentityError(f"a {identity.model} answers: the settings want more than it has")
            if nominal.polarity in {"pos", "neg"} and not self._config.polarity.startswith(nominal.polarity):
                raise DeviceIdentityError(
                    f"a {identity.model} answers: the settings say {self._config.polarity}"
                )
            unit = self._config.current_unit
            self._nominal = nominal if unit is None else nominal._replace(a_unit_a=AMPERES[unit])
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the output stays as it is."""
        self._link.close()

    def read(self) -> HighVoltageReading:
        """Read set point, current and, last, the measured voltage: `t_mono_s` is the time of that reply."""
        v_set_v = self._signed(self._volts("VOLT?"))
        i_meas_a = self._amperes("MEAS:CURR?")
        v_meas_v = self._signed(self._volts("MEAS:VOLT?"))
        return HighVoltageReading(
            t_mono_s=self._clock(), v_set_v=v_set_v, v_meas_v=v_meas_v, i_meas_a=i_meas_a, output_on=None
        )

    def set_voltage(self, v_v: float) -> None:
        """Set the output voltage in V, of the configured polarity and within `v_max_v`; read back."""
        v_v = limited("voltage", self._sign * v_v, 0.0, self._config.v_max_v, "V")
        self._link.send(encode("VOLT", v_v / self._nominal.v_unit_v))
        self._await("VOLT?", self._volts, v_v, self._config.set_tolerance * self._nominal.v_v)

    def set_slew(self, v_per_s: float) -> None:
        """Refuse: this supply has no ramp of its own."""
        raise LimitError(f"slew {v_per_s:g} V/s: a PNC has no ramp of its own; nothing was sent")

    def set_current_limit(self, a: float) -> None:
        """Set the current limit in A, up to `i_max_a`; read back."""
        self._set_current(limited("current limit", a, 0.0, self._config.i_max_a, "A"))

    def output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        """Switch the output; on: the unit must first obey by a change of its current limit, because the output cannot be asked."""
        if on:
            found_a = self._amperes("CURR?")
            limit_a = limit_due(found_a, self._config.i_max_a) or min(found_a, self._config.i_max_a)
            self._set_current(0.5 * limit_a, tolerance=0.05 * limit_a / self._nominal.a)
            self._set_current(limit_a)
        self._link.send(b"OUTP ON\n" if on else b"OUTP OFF\n")
        self._volts("VOLT?")  # its answer says that the line before it was read

    def make_safe(self) -> None:
        """Set point 0, then output off: both are sent whatever comes back, each followed by a question that shows that it was read.

        Raises:
            DeviceError: the first failure, when both were sent; DeviceRefused where the set point stays.
        """
        failure: DeviceError | None = None
        self._link.send(encode("VOLT", 0.0))
        try:
            self._volts("VOLT?")
        except DeviceLost:
            raise
        except DeviceError as error:
            failure = error
        self._link.send(b"OUTP OFF\n")
        if failure is not None:
            raise failure
        self._await("VOLT?", self._volts, 0.0, self._config.set_tolerance * self._nominal.v_v)

    def _set_current(self, a: float, tolerance: float | None = None) -> None:
        self._link.send(encode("CURR", a / self._nominal.a_unit_a))
        part = self._config.set_tolerance if tolerance is None else tolerance
        self._await("CURR?", self._amperes, a, part * self._nominal.a)

    def _await(self, query: str, ask: Callable[[str], float], wanted: float, tolerance: float) -> None:
        """Ask until a set shows: the interface takes its time and acknowledges nothing."""
        deadline_s = self._clock() + self._config.timeout_s
        while abs(abs(found := ask(query)) - wanted) > tolerance:
            if self._clock() > deadline_s:
                raise DeviceRefused(
                    f"{query} reads {found:g} after {wanted:g} was set: LOCAL at its front panel?"
                )

    def _volts(self, query: str) -> float:
        return self._value(query, self._nominal.v_v, self._nominal.v_unit_v)

    def _amperes(self, query: str) -> float:
        return self._value(query, self._nominal.a, self._nominal.a_unit_a)

    def _value(self, query: str, nominal: float, unit: float) -> float:
        most = _OVER * nominal / unit
        return unit * number(self._link.ask(query.encode() + b"\n"), -most, most)

    def _signed(self, v_v: float) -> float:
        # Whether a negative unit reports a sign is not known: its magnitude counts.
        return v_v if self._sign > 0 else -abs(v_v)
