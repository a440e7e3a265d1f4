"""Cryo-con 24C, 22C, 26, 32 and 34 temperature controllers.

Written from the remote command summaries of the 24C and 32 manuals as open clients quote them, and from an open simulator of the 24C. LAN (TCP port 5000), RS-232
9600 8N1, or IEEE-488 through `visa:`. Lines ended by LF; a bad command is answered NACK; at least 100 ms between requests are kept (`interval_s`), so that a
read of two sensors takes 0.6 s.

Confidence: INPUT?, LOOP n:SETPT and the words for a sensor without a value agree in two clients or more. In doubt: whether a set is answered (older firmware says
nothing, newer something: it is dropped, and the set point read back); whether numbers carry a unit (`20.000000K`: read, and anything but kelvin is refused); a
channel that is disabled may answer nothing at all. Whether the loops are engaged (CONTROL) is not asked and never changed.
Over-temperature is the instrument's own duty (OVERTEMP): set it there. Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.device.protocols import DriverConfig, Thermometer
from evapd.device.readings import Identity, ThermometerReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd.units import Kelvin, Second

MAX_K = 2000.0  # beyond this a number is no reading of such a controller
NO_VALUE = {b".": "out of limits", b"-": "no sensor", b"_": "sensor voltage out of range"}
_VALUE = re.compile(rb"([-+0-9.eE]+) ?([A-Za-z]?)")
_IDENTITY = re.compile(
    r"cryo-?con(?:,| model) ?([0-9]{2}[A-Z]?)(?:,([^,]*),([^,]*)|,? rev ?(.*))", re.IGNORECASE
)


def encode(*words: str) -> bytes:
    """`INPUT? A` or `LOOP 1:SETPT 52.500`, ended by LF."""
    return " ".join(words).encode() + b"\n"


def decode(line: bytes) -> bytes:
    """Give what a line says; NACK is `DeviceRefused`."""
    text = line.strip()
    if text.upper() == b"NACK":
        raise DeviceRefused("the controller answers NACK: it does not know the command, or not this value")
    return text


def decode_kelvin(line: bytes) -> float:
    """`312.953064` or `20.000000K`: a temperature in K."""
    found = _VALUE.fullmatch(decode(line))
    if found is None:
        raise DeviceProtocolError(f"{line!r} where a temperature is due")
    if found[2].upper() not in {b"", b"K"}:
        raise DeviceRefused(f"{line!r} is not in kelvin: set the controller's input to K")
    return number(found[1], 0.0, MAX_K)


def decode_input(line: bytes) -> tuple[float | None, str]:
    """Answer to INPUT?: the temperature in K and a status; `.......` and `-------` are no temperature."""
    text = decode(line)
    if len(text) > 3 and len(set(text)) == 1 and text[:1] in NO_VALUE:
        return None, NO_VALUE[text[:1]]
    kelvin = decode_kelvin(line)
    return (kelvin, "ok") if kelvin > 0.0 else (None, "no reading")


def decode_percent(line: bytes) -> float:
    """` 40.3`, `40%` or `OFF`: heater output in percent."""
    text = decode(line).removesuffix(b"%")
    return 0.0 if text.upper() == b"OFF" else number(text, 0.0, 100.0)


def decode_unit(line: bytes) -> None:
    """Answer to INPUT x:UNITS?: kelvin, or a refusal."""
    unit = decode(line).upper()
    if unit != b"K":
        raise DeviceRefused(f"the input shows {unit!r}: set it to K")


def decode_identity(line: bytes) -> Identity:
    """`Cryo-con,24C,204683,1.01A`, or `Cryocon Model 32, Rev 6.20H` without a serial number."""
    text = line.decode("ascii", "replace").strip()
    found = _IDENTITY.fullmatch(text)
    if found is None:
        raise DeviceIdentityError(f"'{text}' answers, not a Cryo-con controller: check `connect`")
    model, serial, firmware, revision = (part.strip() if part else "" for part in found.groups())
    return Identity(vendor="Cryo-con", model=model, serial=serial, firmware=firmware or revision, raw=text)


class Cryocon24c:
    """A temperature controller with named sensors and one control loop."""

    protocol: ClassVar[type] = Thermometer

    class Config(DriverConfig):
        """Settings: sensor names with their inputs, and what the control loop may be asked for."""

        sensors: Annotated[dict[str, Literal["A", "B", "C", "D"]], Field(min_length=1, max_length=4)]
        loop: Literal[1, 2, 3, 4] = 1
        setpoint_min_k: Annotated[Kelvin, Field(ge=0)] = 4.0
        setpoint_max_k: Annotated[Kelvin, Field(gt=0, le=400)] = 300.0
        interval_s: Annotated[Second, Field(ge=0, le=1)] = 0.1  # between requests

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._link = Link(config, transport_factory, clock)
        self._next_s = clock()

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(encode("*IDN?")))

    def open(self) -> Identity:
        """Open, check model and serial number, read once; changes nothing."""
        with self._link.opening():
            self._pace()
            identity = self.identify(self._link)
            same_serial(self._config.serial_number, identity.serial)
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the controller goes on."""
        self._link.close()

    def read(self) -> ThermometerReading:
        """Read every sensor (K) and its unit, the set point and the heater (%); what is no number gives no temperature."""
        temperature_k: dict[str, float | None] = {}
        status: dict[str, str] = {}
        for name, sensor in self._config.sensors.items():
            decode_unit(self._ask(f"INPUT {sensor}:UNITS?"))
            temperature_k[name], status[name] = decode_input(self._ask("INPUT?", sensor))
        setpoint_k = decode_kelvin(self._ask(f"{self._loop}:SETPT?"))
        heater_percent = decode_percent(self._ask(f"{self._loop}:OUTPWR?"))
        return ThermometerReading(
            t_mono_s=self._clock(),
            temperature_k=temperature_k,
            status=status,
            setpoint_k=setpoint_k,
            heater_percent=heater_percent,
        )

    def set_setpoint(self, k: float) -> None:
        """Set the loop's set point in K, from `setpoint_min_k` to `setpoint_max_k`; read back. Engages no loop."""
        limited("set point", k, self._config.setpoint_min_k, self._config.setpoint_max_k, "K")
        self._pace()
        self._link.send(encode(f"{self._loop}:SETPT", f"{k:.3f}"))
        self._pace()
        self._link.send(encode(f"{self._loop}:SETPT?"))
        line = self._link.line(alone=False)
        told = line.strip().upper()
        if told in {b"ACK", b"NACK"}:  # of the set, behind its time; the set point follows
            line = self._link.line()
        found_k = decode_kelvin(line)
        if told == b"NACK" or abs(found_k - k) > 2e-3:  # the command carries three decimals
            raise DeviceRefused(f"the set point reads {found_k:g} K after {k:.3f} K was set: is it locked?")

    def make_safe(self) -> None:
        """Nothing to do: the temperature is held, because a drifting stage is no safer; OVERTEMP guards the heater."""

    @property
    def _loop(self) -> str:
        return f"LOOP {self._config.loop}"

    def _ask(self, *words: str) -> bytes:
        self._pace()
        return self._link.ask(encode(*words))

    def _pace(self) -> None:
        self._sleep(max(0.0, self._next_s - self._clock()))
        self._next_s = self._clock() + self._config.interval_s
