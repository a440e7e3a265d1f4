"""Edwards TIC instrument and turbo controllers (and TAG/AGC gauge controllers in the same language) as gauges.

Written from Edwards' serial communication manual D397-00-880 as open clients quote it (QMI, PyCCAPT, wb-mqtt and others). RS-232 or RS-485 9600 8N1: `?V913` ended by CR is
answered `=V913 value;unit;state;alert;priority`, or `*V913 n` with an error. Gauges 1 to 3 are objects 913 to 915, 4 to 6 (TIC with six gauges) 934 to 936.

Confidence: gauge objects, unit codes, states and error codes agree in two clients or more; objects 934 to 936 in one. Values are in Pa whatever the display shows
(unit 59). In doubt: what a gauge in alert says (a value counts in state "on", at a priority below alarm, and above 0 and below 9.9e9, the signs of no reading); some firmware does
not answer `?S902`, then the identity is unknown and no serial number can be asked for. Gauges over a serial line are too slow to protect:
wire their relays into the interlock. Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, number, same_serial
from evapd.device.protocols import DriverConfig, Gauge
from evapd.device.readings import GaugeReading, Identity
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout

OBJECTS = {1: 913, 2: 914, 3: 915, 4: 934, 5: 935, 6: 936}
SYSTEM = 902
PASCAL, UNITS = 59, {59: "Pa", 66: "V", 81: "%"}
ON, ALARM = 11, 2  # a state; a priority
STATES = (
    "not connected", "connected", "new gauge", "gauge changed", "in alert", "off", "striking", "initialising", "calibrating", "zeroing", "degassing",
    "ok", "inhibited",
)  # fmt: skip
ERRORS = (
    "no error", "invalid command for the object", "invalid query or command", "missing parameter", "parameter out of range", "not in the present state",
    "checksum", "EEPROM", "took too long", "invalid configuration",
)  # fmt: skip
NO_READING_PA = 9.9e9
_ADDRESSED = re.compile(rb"^#[0-9]{2}:[0-9]{2}")
_ERROR = re.compile(rb"\*([VSC][0-9]{3}) ([0-9]{1,2})")


class GaugeState(NamedTuple):
    """What a controller says of one gauge; `alert` is a number of its manual's table."""

    value: float
    unit: int
    state: int
    alert: int
    priority: int


def encode(kind: str, number_: int) -> bytes:
    """`?V913`, ended by CR."""
    return f"?{kind}{number_}\r".encode()


def decode(kind: str, number_: int, line: bytes) -> list[bytes]:
    """Give the fields of `=V913 a;b;c`.

    Raises:
        DeviceRefused: for `*V913 5`.
        DeviceProtocolError: for anything else, the answer about another object included.
    """
    text = _ADDRESSED.sub(b"", line.replace(b"\0", b"").strip())
    name = f"{kind}{number_}"
    if (found := _ERROR.fullmatch(text)) and found[1].decode() == name:
        code = int(found[2])
        raise DeviceRefused(
            f"the controller answers error {code} to {name}: {ERRORS[code] if code < len(ERRORS) else 'see its manual'}"
        )
    head, space, rest = text.partition(b" ")
    if not space or head != f"={name}".encode():
        raise DeviceProtocolError(f"{line!r} where the value of {name} is due")
    return [field.strip() for field in rest.split(b";")]


def _code(text: bytes, high: int) -> int:
    if not text.isdigit() or int(text) > high:
        raise DeviceProtocolError(f"{text!r} where a code from 0 to {high} is due")
    return int(text)


def decode_gauge(number_: int, line: bytes) -> GaugeState:
    """`=V913 3.0000e-09;59;11;0;0`; some firmware leaves alert and priority out."""
    fields = decode("V", number_, line)
    if not 3 <= len(fields) <= 5:
        raise DeviceProtocolError(f"{line!r} where value, unit, state, alert and priority are due")
    value = number(fields[0], 0.0, 1e10)
    unit = _code(fields[1], 255)
    if unit not in UNITS:
        raise DeviceProtocolError(f"unit {unit} of {line!r} is unknown")
    alert, priority = ([*fields[3:], b"0", b"0"])[:2]
    return GaugeState(value, unit, _code(fields[2], len(STATES) - 1), _code(alert, 999), _code(priority, 3))


def judge(gauge: GaugeState) -> tuple[float | None, str]:
    """Give the pressure in Pa where it counts, and the status in words."""
    status = STATES[gauge.state] + (f", alert {gauge.alert}" if gauge.alert or gauge.priority else "")
    if gauge.state != ON or gauge.priority >= ALARM:
        return None, f"alarm, {status}" if gauge.priority >= ALARM else status
    if gauge.unit != PASCAL:
        return None, f"shows {UNITS[gauge.unit]}: set the gauge up for pressure"
    if not 0.0 < gauge.value < NO_READING_PA:
        return None, "no reading" + status.removeprefix("ok")
    return gauge.value, status


def decode_identity(line: bytes) -> Identity:
    """`=S902 TIC200;D39700640S;150326362;5.0`: type, software, serial number."""
    fields = [field.decode("ascii", "replace").strip() for field in decode("S", SYSTEM, line)]
    if len(fields) < 3 or not all(fields[:3]):
        raise DeviceIdentityError(f"{line!r} is no identity of a TIC: check `connect`")
    model, software, serial = fields[:3]
    return Identity(
        vendor="Edwards", model=model, serial=serial, firmware=software, raw=line.decode("ascii", "replace")
    )


class EdwardsTic:
    """A TIC with named gauges; pressures in Pa."""

    protocol: ClassVar[type] = Gauge

    class Config(DriverConfig):
        """Settings: gauge names with their numbers, 1 to 6."""

        gauges: Annotated[dict[str, Annotated[int, Field(ge=1, le=6)]], Field(min_length=1, max_length=6)]

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

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(encode("S", SYSTEM)))

    def open(self) -> Identity:
        """Open, ask who is there, read once; changes nothing."""
        with self._link.opening():
            identity = self._identity()
            same_serial(self._config.serial_number, identity.serial)
            self.read()
        return identity

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def read(self) -> GaugeReading:
        """Read every gauge; one that is not on, or in alarm, gives no pressure."""
        pressure_pa: dict[str, float | None] = {}
        status: dict[str, str] = {}
        for name, place in self._config.gauges.items():
            number_ = OBJECTS[place]
            pressure_pa[name], status[name] = judge(
                decode_gauge(number_, self._link.ask(encode("V", number_)))
            )
        return GaugeReading(t_mono_s=self._clock(), pressure_pa=pressure_pa, status=status)

    def make_safe(self) -> None:
        """Nothing to do: a gauge feeds no energy to the specimen, and pumps are not this driver's."""

    def _identity(self) -> Identity:
        try:
            return self.identify(self._link)
        except DeviceTimeout:
            with self._link.opening():  # a late answer must never answer another question
                return Identity(vendor="Edwards", model="TIC")
        except DeviceRefused:
            return Identity(vendor="Edwards", model="TIC")
