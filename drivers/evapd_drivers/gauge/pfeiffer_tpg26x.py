"""Pfeiffer TPG 261 and 262 gauge controllers (and 361, 362, INFICON VGC 50x in the same language).

Written from the makers' communication chapters (TPG 261/262, INFICON VGC 50x, TPG 300). RS-232 or USB serial 9600 8N1: a mnemonic ended by CR LF is
answered by ACK or NAK on a line, then the controller waits for a single ENQ and gives the data.

Confidence: handshake, PRn, the status digit and ERR are from the makers' pages; the codes of UNI agree in open-source drivers (361/362 know more: those
are refused, not guessed). In doubt: that ETX stops the output of the power-on state, which streams until a command comes; both are
done. Where PNR is not known, or not answered, the driver goes on without it. The controller tells no serial number. Gauges over a serial line are too slow to protect: wire their relays into the interlock.
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, number
from evapd.device.protocols import DriverConfig, Gauge
from evapd.device.readings import GaugeReading, Identity
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd.units import convert

ETX, ENQ, ACK, NAK = b"\x03", b"\x05", b"\x06", b"\x15"
UNITS = {b"0": "mbar", b"1": "Torr", b"2": "Pa"}
OK, UNDER_RANGE = 0, 1
STATUS = (
    "ok", "under range", "over range", "sensor error", "sensor off", "no sensor", "identification error", "gauge error",
)  # fmt: skip
ERRORS = {
    b"1000": "controller error",
    b"0100": "no hardware",
    b"0010": "bad parameter",
    b"0001": "syntax error",
}
MAX_PA = 1e7  # beyond this a number is no reading of a gauge
_FIRMWARE = re.compile(rb"[A-Z0-9][A-Z0-9 .-]{2,30}")


def encode(mnemonic: str) -> bytes:
    """`PR1`, ended by CR LF."""
    return f"{mnemonic}\r\n".encode()


def decode_ack(line: bytes) -> bool:
    """True for ACK, False for NAK."""
    if line not in {ACK, NAK}:
        raise DeviceProtocolError(f"{line!r} where ACK or NAK is due")
    return line == ACK


def decode_unit(line: bytes) -> float:
    """Answer to UNI: how many Pa one unit of the display is."""
    unit = UNITS.get(line.strip())
    if unit is None:
        raise DeviceProtocolError(f"unit code {line!r}: set the controller to mbar, Torr or Pa")
    return convert(1.0, unit, "Pa")


def decode_pressure(line: bytes, pa_per_unit: float) -> tuple[int, float]:
    """Answer to PR1 or PR2, `0,+3.0000E-09`: status digit and pressure in Pa, which means nothing unless the status is 0."""
    status, comma, value = line.partition(b",")
    if not comma or status not in {b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"}:
        raise DeviceProtocolError(f"{line!r} where a status and a pressure are due")
    pressure_pa = number(value, 0.0, MAX_PA) * pa_per_unit
    if int(status) == OK and not 0.0 < pressure_pa <= MAX_PA:
        raise DeviceProtocolError(f"{line!r} is called a good reading and is no pressure")
    return int(status), pressure_pa


def decode_firmware(line: bytes) -> Identity:
    """Answer to PNR, `BG 509 846 -C` or `302-530-A`: the number of the firmware; the family has no better identity."""
    text = line.strip()
    if not _FIRMWARE.fullmatch(text):
        raise DeviceIdentityError(f"{line!r} is no firmware number of a TPG: check `connect`")
    return Identity(vendor="Pfeiffer", model="TPG 26x", firmware=text.decode(), raw=text.decode())


class PfeifferTpg26x:
    """A TPG with named gauges; pressures in Pa whatever unit it displays."""

    protocol: ClassVar[type] = Gauge

    class Config(DriverConfig):
        """Settings: gauge names with their sockets."""

        gauges: Annotated[dict[str, Annotated[int, Field(ge=1, le=2)]], Field(min_length=1, max_length=2)]
        under_range_is_good: bool = False  # a gauge below its floor then reports the floor

        @field_validator("serial_number")
        @classmethod
        def _not_told(cls, value: str | None) -> str | None:
            if value is not None:
                raise ValueError("this controller tells no serial number: remove the key")
            return value

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
        """Ask who is there: ends a stream of readings, asks for the firmware; changes nothing else."""
        link.send(ETX)
        if decode_ack(link.ask(encode("PNR"))) or decode_ack(link.ask(encode("PNR"))):
            return decode_firmware(link.ask(ENQ))
        raise DeviceIdentityError("NAK to PNR: a controller of another family")

    def open(self) -> Identity:
        """Open, stop a stream of readings, ask for the firmware, read once; changes nothing else."""
        with self._link.opening():
            identity = self._identity()
            self.read()
        return identity

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def read(self) -> GaugeReading:
        """Read the unit and every gauge; a status other than 0 gives no pressure (under-range: where the settings say so)."""
        pa_per_unit = decode_unit(self._exchange("UNI"))
        pressure_pa: dict[str, float | None] = {}
        status: dict[str, str] = {}
        good = {OK, UNDER_RANGE} if self._config.under_range_is_good else {OK}
        for name, socket in self._config.gauges.items():
            code, value_pa = decode_pressure(self._exchange(f"PR{socket}"), pa_per_unit)
            pressure_pa[name] = value_pa if code in good else None
            status[name] = STATUS[code]
        return GaugeReading(t_mono_s=self._clock(), pressure_pa=pressure_pa, status=status)

    def make_safe(self) -> None:
        """Nothing to do: a gauge feeds no energy to the specimen."""

    def _identity(self) -> Identity:
        """Ask for the firmware; a controller that does not know the question, or stays silent, is known by how it acknowledges the next."""
        self._link.send(ETX)
        try:
            return decode_firmware(self._exchange("PNR", streaming=True))
        except DeviceRefused:  # it read PNR as the end of what an earlier client had begun
            pass
        except DeviceTimeout:
            with self._link.opening():  # a late answer must never answer another question
                return Identity(vendor="Pfeiffer", model="TPG 26x")
        try:
            return decode_firmware(self._exchange("PNR"))
        except DeviceRefused:
            return Identity(vendor="Pfeiffer", model="TPG 26x")

    def _exchange(self, mnemonic: str, *, streaming: bool = False) -> bytes:
        """Mnemonic, ACK, ENQ, data. `streaming`: lines of a stream may come before the ACK."""
        self._link.send(encode(mnemonic))
        deadline_s = self._clock() + self._config.timeout_s
        line = self._link.line(alone=not streaming)
        while streaming and line not in {ACK, NAK} and self._clock() < deadline_s:
            line = self._link.line(alone=False)
        if decode_ack(line):
            return self._link.ask(ENQ)
        if mnemonic == "ERR":
            raise DeviceRefused("the controller answers NAK to the question what its error is")
        try:
            word = self._exchange("ERR")  # reading clears it
        except DeviceRefused:
            raise DeviceRefused(f"the controller answered NAK to {mnemonic}, and to ERR") from None
        raise DeviceRefused(f"the controller answered NAK to {mnemonic}: {ERRORS.get(word, repr(word))}")
