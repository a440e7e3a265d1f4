"""SRS CTC100 temperature controller, and the CryoVac TIC 500, which is one under another name.

Written from what open clients send (PyCCAPT to a TIC 500, InstrumentKit, Razorbill and others to a CTC100); the manual was not seen. RS-232 or USB serial 9600 8N1, or
TCP; lines ended by CR LF. `getOutput` gives the values of all channels, `getOutput.names?` their names, `getOutput.units?` their units, `geterror?` the last error.

Confidence: those four, `Out1.PID.Setpoint` and System.Log.Clear agree in two clients or more. In doubt: how much the unit says (`system.com.verbose`: values with and
without `name = ` before them are read; set it to low), and which questions some firmware leaves unanswered: without `*IDN?`, units or errors the driver
goes on, and then kelvin is taken for granted. One client found that a TIC 500 crashes when its first command follows half a line: an empty line is sent
before. Whether the outputs are enabled is not asked and never changed. Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar

from pydantic import Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.device.protocols import DriverConfig, Thermometer
from evapd.device.readings import Identity, ThermometerReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd.units import Kelvin, Second

MAX_K = 2000.0  # beyond this a number is no reading of such a controller
END = b"\r\n"
VALUES, NAMES, UNITS, ERROR = b"getOutput", b"getOutput.names?", b"getOutput.units?", b"geterror?"
_PREFIX = re.compile(rb"[A-Za-z][A-Za-z0-9. ]* ?= ?")  # of a talkative unit
_ERROR = re.compile(rb"(-?[0-9]{1,5}) ?, ?(.*)")
_MODEL = re.compile(r"\b(CTC ?100|PTC ?10|TIC ?500)\b", re.IGNORECASE)
_SERIAL = re.compile(r"S/N:? ?([A-Z0-9-]+)", re.IGNORECASE)
_VERSION = re.compile(r"version ([0-9.]+)", re.IGNORECASE)

Channel = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _-]{1,30}$")] | Annotated[int, Field(ge=1, le=32)]


def plain(name: str) -> str:
    """Give a channel's name as commands have it: without blanks; upper and lower case do not matter."""
    return name.replace(" ", "").lower()


def fields(line: bytes) -> list[bytes]:
    """`48.000, 50.250` or `getOutput = 48.000, 50.250`: the parts between commas."""
    return [part.strip(b" '\"") for part in _PREFIX.sub(b"", line.strip(), count=1).split(b",")]


def decode_value(text: bytes) -> tuple[float | None, str]:
    """`48.000` or `NaN`: a temperature in K and a status."""
    if text.lower() in {b"nan", b"-nan", b"---"}:
        return None, "no reading"
    kelvin = number(text, 0.0, MAX_K)
    return (kelvin, "ok") if kelvin > 0.0 else (None, "no reading")


def decode_setpoint(line: bytes) -> float:
    """`52.500`, or `Out1.PID.Setpoint = 52.500`."""
    only = fields(line)
    if len(only) != 1:
        raise DeviceProtocolError(f"{line!r} where a set point is due")
    return number(only[0].removesuffix(b" K"), 0.0, MAX_K)


def decode_error(line: bytes) -> tuple[int, str]:
    """`0,NO ERROR`: code and text."""
    found = _ERROR.fullmatch(_PREFIX.sub(b"", line.strip(), count=1))
    if found is None:
        raise DeviceProtocolError(f"{line!r} where an error code and its text are due")
    return int(found[1]), found[2].decode("ascii", "replace")


def decode_identity(line: bytes) -> Identity:
    """`Stanford Research Systems, CTC100 Cryogenic Temperature Controller, version 4.40, S/N 153476`."""
    text = line.decode("ascii", "replace").strip()
    model, serial, version = _MODEL.search(text), _SERIAL.search(text), _VERSION.search(text)
    if model is None:
        raise DeviceIdentityError(f"'{text}' answers, not a CTC100 or TIC 500: check `connect`")
    return Identity(
        vendor="CryoVac" if "TIC" in model[1].upper() else "Stanford Research Systems",
        model=model[1],
        serial=serial[1] if serial else "",
        firmware=version[1] if version else "",
        raw=text,
    )


class SrsCtc100:
    """A temperature controller with named sensors and one output that holds a temperature."""

    protocol: ClassVar[type] = Thermometer

    class Config(DriverConfig):
        """Settings: sensor names with their channels (a name as on the display, or a place in `getOutput` from 1), and the output."""

        sensors: Annotated[dict[str, Channel], Field(min_length=1, max_length=8)]
        output: Annotated[str, Field(pattern=r"^[A-Za-z0-9 _-]{1,30}$")] = "Out1"
        setpoint_min_k: Annotated[Kelvin, Field(ge=0)] = 4.0
        setpoint_max_k: Annotated[Kelvin, Field(gt=0, le=400)] = 300.0
        interval_s: Annotated[Second, Field(ge=0, le=1)] = 0.1  # between commands

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
        self._setpoint = f"{config.output.replace(' ', '')}.PID.Setpoint"
        self._named = any(isinstance(channel, str) for channel in config.sensors.values())
        self._tells_units = self._tells_errors = True

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(b"*IDN?" + END))

    def open(self) -> Identity:
        """Open, end what another client left half said, ask who is there and what the unit tells, read once; changes nothing."""
        with self._link.opening():
            self._send(b"")
            identity = self._identity()
            same_serial(self._config.serial_number, identity.serial)
            self._tells_units = self._tells_errors = False
            self.read()  # what cannot be done without
            self._tells_units = self._tells(UNITS, fields)
            self._tells_errors = self._tells(ERROR, decode_error)
            self.read()
        return identity

    def close(self) -> None:
        """Close the link; the controller goes on."""
        self._link.close()

    def read(self) -> ThermometerReading:
        """Read names, units and values of all channels and the set point (K); what is no number, or not in K, gives no temperature."""
        names = [plain(name.decode("ascii")) for name in fields(self._ask(NAMES))] if self._named else []
        units = fields(self._ask(UNITS, ascii_only=False)) if self._tells_units else []
        values = fields(self._ask(VALUES))
        if (names and len(names) != len(values)) or (units and len(units) != len(values)):
            raise DeviceProtocolError(
                f"{len(values)} values, {len(names)} names and {len(units)} units do not belong together"
            )
        temperature_k: dict[str, float | None] = {}
        status: dict[str, str] = {}
        for name, channel in self._config.sensors.items():
            place = self._place(channel, names, len(values))
            temperature_k[name], status[name] = decode_value(values[place])
            if units and units[place].upper() != b"K":
                shown = units[place].decode("cp437")
                temperature_k[name], status[name] = None, f"shows '{shown}': set the channel to K"
        setpoint_k = decode_setpoint(self._ask(self._setpoint.encode() + b"?"))
        return ThermometerReading(
            t_mono_s=self._clock(), temperature_k=temperature_k, status=status, setpoint_k=setpoint_k
        )

    def set_setpoint(self, k: float) -> None:
        """Set the output's set point in K, from `setpoint_min_k` to `setpoint_max_k`; read back. Enables no output."""
        limited("set point", k, self._config.setpoint_min_k, self._config.setpoint_max_k, "K")
        self._send(f"{self._setpoint} {k:.3f}".encode())
        errors = self._error()
        found_k = decode_setpoint(self._ask(self._setpoint.encode() + b"?"))
        if errors or abs(found_k - k) > 2e-3:  # the command carries three decimals
            raise DeviceRefused(
                f"the set point reads {found_k:g} K after {k:.3f} K was set; {errors or 'no error is told'}"
            )

    def make_safe(self) -> None:
        """Nothing to do: the temperature is held, because a drifting stage is no safer; the unit's own limits guard the heater."""

    def _place(self, channel: str | int, names: list[str], n: int) -> int:
        if isinstance(channel, str):
            if plain(channel) not in names:
                raise DeviceRefused(
                    f"there is no channel '{channel}', only {', '.join(names)}: correct `sensors`"
                )
            return names.index(plain(channel))
        if channel > n:
            raise DeviceRefused(f"there is no value {channel}, the unit gives {n}: correct `sensors`")
        return channel - 1

    def _identity(self) -> Identity:
        try:
            self._pace()
            return self.identify(self._link)
        except DeviceTimeout:
            with self._link.opening():  # a late answer must never answer another question
                return Identity(vendor="Stanford Research Systems", model="CTC100")

    def _tells(self, question: bytes, check: Callable[[bytes], object]) -> bool:
        try:
            check(self._ask(question, ascii_only=False))
        except DeviceTimeout:
            with self._link.opening():
                return False
        return True

    def _error(self) -> str:
        if not self._tells_errors:
            return ""
        code, text = decode_error(self._ask(ERROR))
        return f"error {code} ({text})" if code else ""

    def _ask(self, question: bytes, *, ascii_only: bool = True) -> bytes:
        self._send(question)
        return self._link.line(ascii_only=ascii_only)

    def _send(self, command: bytes) -> None:
        self._pace()
        self._link.send(command + END)

    def _pace(self) -> None:
        self._sleep(max(0.0, self._next_s - self._clock()))
        self._next_s = self._clock() + self._config.interval_s
