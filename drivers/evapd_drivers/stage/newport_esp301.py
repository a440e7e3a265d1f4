"""Newport ESP301 (and ESP300) motion controllers with up to three axes.

Written from how InstrumentKit with its tests, PyMeasure and lantz use the command set; the manual itself was not seen. Commands end with CR, several axes
on one line are separated by `;`; sets answer nothing and leave an error for `TB?`. USB at 921600 8N1, RS-232 at 19200 8N1 with RTS/CTS
(`serial:PATH:19200-8N1-rtscts`).

Confidence: the commands agree in two clients or more. In doubt: the numbers of errors. **The controller does not tell whether an axis has been homed**:
after a power failure it counts from 0 where the stage stands, and looks the same. An axis is therefore called referenced only after a search that this driver
has begun and seen end at `home_mm`, and only until the link is closed. Who knows better (a stage with an absolute encoder, a controller that is never
switched off) sets `unreferenced_moves`. Units must be mm (`SNn`), which is checked at every open.
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, number
from evapd.device.readings import AxisReading, Identity
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused
from evapd.units import Millimetre
from evapd_drivers.stage import newport
from evapd_drivers.stage.axes import MAX_MM

MILLIMETRE = 2  # SN
QUEUE = 16  # more errors than it keeps
HOME_WINDOW_MM = 0.05
_VERSION = re.compile(r"(ESP30[0-9][A-Z0-9-]*) +[Vv]er(?:sion|\.)? *(.*)")
_ERROR = re.compile(rb"([0-9]{1,4}) *, *([0-9]{1,10}) *, *([ -~]*)")


def decode_error(line: bytes) -> tuple[int, str]:
    """`113, 451322, MOTOR NOT ENABLED`: code and words; 0 is no error. Hundreds are the axis."""
    found = _ERROR.fullmatch(line.strip(b" "))
    if found is None:
        raise DeviceProtocolError(f"{line!r} where an error code, its time and its words are due")
    return int(found[1]), found[3].decode().strip()


def decode_mm(line: bytes) -> float:
    """A position in mm."""
    return number(line, -MAX_MM, MAX_MM)


def decode_flag(line: bytes) -> bool:
    """0 or 1."""
    if line.strip(b" ") not in {b"0", b"1"}:
        raise DeviceProtocolError(f"{line!r} where 0 or 1 is due")
    return line.strip(b" ") == b"1"


def decode_version(line: bytes) -> Identity:
    """`ESP301 Version 3.0.1 6/1/99`."""
    text = line.decode("ascii", "replace").strip()
    found = _VERSION.match(text)
    if found is None:
        raise DeviceIdentityError(f"'{text}' answers, not an ESP301: check `connect`")
    return Identity(vendor="Newport", model=found[1], firmware=found[2], raw=text)


class NewportEsp301(newport.NewportStage):
    """An ESP301 with named axes; positions in mm."""

    end = b"\r"

    class Config(newport.NewportConfig):
        """Settings; `home_mm` is where a search ends (SH of the controller)."""

        home_mm: Annotated[Millimetre, Field(ge=-1000, le=1000)] = 0.0

    _config: Config

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(config, transport_factory=transport_factory, clock=clock)
        self._searching: set[str] = set()
        self._homed: set[str] = set()  # the controller cannot be asked for it

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_version(link.ask(b"VE?\r"))

    def open(self) -> Identity:
        """Open and check as every Newport controller; what was homed before is not known any more."""
        self._homed.clear()
        self._searching.clear()
        return super().open()

    def stop(self) -> None:
        """Stop all axes; a search that is under way has failed then."""
        self._searching.clear()
        super().stop()

    def reference(self, axis: str) -> None:
        """Start the search for home; readings call the axis referenced when it has ended there without an error."""
        self._homed.discard(axis)
        super().reference(axis)
        self._searching.add(axis)

    def _identify(self) -> Identity:
        identity = self.identify(self._link)
        for name, axis in self._config.axes.items():
            unit = self._link.ask(self._encode(axis.channel, "SN?")).strip(b" ")
            if unit != str(MILLIMETRE).encode():
                raise DeviceRefused(
                    f"axis {name} answers unit {unit!r}, set it to millimetres ({MILLIMETRE})"
                )
        return identity

    def _stage(self, channel: int) -> str:
        return self._link.ask(self._encode(channel, "ID?")).decode("ascii", "replace").strip()

    def _errors(self, channel: int) -> str:  # noqa: ARG002 - one list for all axes
        found: list[str] = []
        for _ in range(QUEUE):
            code, words = decode_error(self._link.ask(b"TB?" + self.end))
            if code == 0:
                return ", ".join(found)
            found.append(f"error {code} ({words})")
        raise DeviceProtocolError(f"the errors do not end after {QUEUE}")

    def _mm(self, channel: int, query: str) -> float:
        return decode_mm(self._link.ask(self._encode(channel, query)))

    def _moving(self, channel: int) -> bool:
        return not decode_flag(self._link.ask(self._encode(channel, "MD?")))

    def _axis(self, name: str, channel: int) -> AxisReading:
        set_mm = self._mm(channel, "DP?") if self._follows else None
        position_mm, moving = self._mm(channel, "TP?"), self._moving(channel)
        if name in self._searching and not moving:
            self._end_search(name, channel, position_mm)
        return AxisReading(
            position_mm=position_mm,
            referenced=name in self._homed,
            moving=moving,
            in_position=not moving and self._in_position(position_mm, set_mm),
            following_error_mm=None if set_mm is None else set_mm - position_mm,
        )

    def _end_search(self, name: str, channel: int, position_mm: float) -> None:
        errors = self._errors(channel)
        self._searching.discard(name)
        if not errors and abs(position_mm - self._config.home_mm) <= HOME_WINDOW_MM:
            self._homed.add(name)

    def _referenced(self, name: str, channel: int) -> bool:
        if name in self._searching:
            self._axis(name, channel)
        return name in self._homed

    def _ready(self, channel: int) -> None:
        if not decode_flag(self._link.ask(self._encode(channel, "MO?"))):
            self._do(channel, "MO")
