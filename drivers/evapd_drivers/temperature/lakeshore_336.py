"""Lake Shore 336 (and 335) cryogenic temperature controllers, through pyvisa (`visa:` descriptor).

Written from the command set as Lake Shore's own Python package and open-source drivers (frappy, QCoDeS) use it. TCP port 7777 with lines ended by LF, USB
serial 57600 baud with 7 data bits, odd parity and CR LF, or IEEE-488 address 12: the resource string says which.

Confidence: KRDG?, SETP, HTR? and the identity agree in two sources or more. In doubt: the bits of RDGST (any bit makes the reading invalid), and
the limit of 20 commands a second, which is kept (`interval_s`), so that a read of two sensors takes 0.3 s. Sets answer nothing
and bad commands are silent: the set point is read back. Over-temperature is the instrument's own duty (TLIMIT): set it there.
Nothing here was tried on hardware.
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
STATUS_BITS = {
    1: "invalid reading",
    16: "temperature under range",
    32: "temperature over range",
    64: "sensor at zero",
    128: "sensor over range",
}
_MODELS = {"MODEL335", "MODEL336"}
_STATUS = re.compile(rb"[0-9]{1,3}")


def encode(command: str, *arguments: str) -> bytes:
    """`SETP 1,50.000` or `KRDG? A`, ended by LF."""
    return f"{command} {','.join(arguments)}".strip().encode() + b"\n"


def decode_kelvin(line: bytes) -> float:
    """`+49.983`: a temperature in K."""
    return number(line, 0.0, MAX_K)


def decode_percent(line: bytes) -> float:
    """`+23.5`: heater output in percent of full current or power."""
    return number(line, 0.0, 100.0)


def decode_status(line: bytes) -> str:
    """Answer to RDGST?, `000`: the set bits in words, or `ok`."""
    if not _STATUS.fullmatch(line.strip()) or int(line) > 255:
        raise DeviceProtocolError(f"{line!r} where a reading status is due")
    code = int(line)
    words = [word for bit, word in STATUS_BITS.items() if code & bit]
    return ", ".join(words) or (f"status {code}" if code else "ok")


def decode_identity(line: bytes) -> Identity:
    """`LSCI,MODEL336,LSA12AB/#######,2.9`; behind the slash stands the serial number of an option card."""
    text = line.decode("ascii", "replace").strip()
    fields = [part.strip() for part in text.split(",")]
    if len(fields) != 4 or fields[0] != "LSCI" or fields[1] not in _MODELS:
        raise DeviceIdentityError(f"'{text}' answers, not a Lake Shore 335 or 336: check `connect`")
    return Identity(
        vendor=fields[0], model=fields[1], serial=fields[2].partition("/")[0], firmware=fields[3], raw=text
    )


class LakeShore336:
    """A temperature controller with named sensors and one control loop."""

    protocol: ClassVar[type] = Thermometer

    class Config(DriverConfig):
        """Settings: sensor names with their inputs, and what the control loop may be asked for."""

        sensors: Annotated[dict[str, Literal["A", "B", "C", "D"]], Field(min_length=1, max_length=4)]
        output: Literal[1, 2] = 1  # the control loop and its heater
        setpoint_min_k: Annotated[Kelvin, Field(ge=0)] = 4.0
        setpoint_max_k: Annotated[Kelvin, Field(gt=0, le=400)] = 300.0
        interval_s: Annotated[Second, Field(ge=0, le=1)] = 0.05  # between commands

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
        """Read every sensor (K), the set point and the heater (%); a status other than 0, or 0 K, gives no temperature."""
        temperature_k: dict[str, float | None] = {}
        status: dict[str, str] = {}
        for name, sensor in self._config.sensors.items():
            value_k = decode_kelvin(self._ask(encode("KRDG?", sensor)))
            words = decode_status(self._ask(encode("RDGST?", sensor)))
            status[name] = "no reading" if words == "ok" and value_k == 0.0 else words
            temperature_k[name] = value_k if status[name] == "ok" else None
        setpoint_k = self._setpoint_k()
        heater_percent = decode_percent(self._ask(encode("HTR?", self._output)))
        return ThermometerReading(
            t_mono_s=self._clock(),
            temperature_k=temperature_k,
            status=status,
            setpoint_k=setpoint_k,
            heater_percent=heater_percent,
        )

    def set_setpoint(self, k: float) -> None:
        """Set the loop's set point in K, from `setpoint_min_k` to `setpoint_max_k`; read back."""
        limited("set point", k, self._config.setpoint_min_k, self._config.setpoint_max_k, "K")
        self._pace()
        self._link.send(encode("SETP", self._output, f"{k:.3f}"))
        found_k = self._setpoint_k()
        if abs(found_k - k) > 2e-3:  # the command carries three decimals
            raise DeviceRefused(
                f"the set point reads {found_k:g} K after {k:.3f} K was set: is the loop locked?"
            )

    def make_safe(self) -> None:
        """Nothing to do: the temperature is held, because a drifting stage is no safer; TLIMIT guards the heater."""

    @property
    def _output(self) -> str:
        return str(self._config.output)

    def _setpoint_k(self) -> float:
        return decode_kelvin(self._ask(encode("SETP?", self._output)))

    def _ask(self, query: bytes) -> bytes:
        self._pace()
        return self._link.ask(query)

    def _pace(self) -> None:
        self._sleep(max(0.0, self._next_s - self._clock()))
        self._next_s = self._clock() + self._config.interval_s
