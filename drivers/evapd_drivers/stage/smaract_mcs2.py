"""SmarAct MCS2 controllers with Ethernet interface, in their ASCII language over TCP port 55551.

Written from how EPICS motorSmarAct, ESRF BLISS, two Tango servers and a Python client use it, and from the state bits and error codes of
the public header of the maker's library; the maker's guide itself was not seen. Queries are answered by one line, everything else by nothing:
what went wrong stands in an error queue, which is read after every command. Lengths are pm, channels count from 0.

Confidence: commands, bits and error codes agree in two sources or more. In doubt: whether `:CHANn:FERR?` is known to every firmware
(setting `following_error`), and the form of the serial number (quotes are taken off). The scale is the controller's own: after power-up it begins at
0 wherever the stage stands, until the reference mark is found. A move holds its place for ever afterwards (`hold`), else `in_position` ends at once.
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar, NamedTuple

from pydantic import AfterValidator, Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, same_serial
from evapd.device.protocols import Stage
from evapd.device.readings import AxisReading, Identity, StageReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.stage import axes as shared

PM_PER_MM = 1_000_000_000
FOR_EVER_MS = 0xFFFFFFFF
# Bits of the channel state.
MOVING, CALIBRATING, REFERENCING, SENSOR, REFERENCED, IN_POSITION = (
    1 << 0,
    1 << 2,
    1 << 3,
    1 << 5,
    1 << 7,
    1 << 19,
)
QUEUE = 64  # more errors than any controller keeps
_INTEGER = re.compile(rb"[+-]?[0-9]{1,19}")
_SERIAL = re.compile(rb'"?([A-Za-z][A-Za-z0-9]*-[A-Za-z0-9-]*[0-9])"?')
_ERROR = re.compile(rb'(-?[0-9]{1,6}) *, *"?([ -!#-~]*)"?')


class State(NamedTuple):
    """What a channel says of itself."""

    sensor: bool
    moving: bool
    referenced: bool
    in_position: bool


def encode(command: str, *values: int) -> bytes:
    """`:MOVE0 1000000000` or `:CHAN0:STAT?`, ended by CR LF."""
    return " ".join((command, *map(str, values))).encode() + b"\r\n"


def decode_integer(line: bytes, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    text = line.strip(b" ")
    if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
        raise DeviceProtocolError(f"{line!r} where a whole number from {low} to {high} is due")
    return int(text)


def decode_mm(line: bytes) -> float:
    """A length in pm, given in mm."""
    most_pm = int(shared.MAX_MM) * PM_PER_MM
    return decode_integer(line, -most_pm, most_pm) / PM_PER_MM


def decode_state(line: bytes) -> State:
    """Bits of the channel state, `262307`."""
    bits = decode_integer(line, 0, 0xFFFFFFFF)
    moving = bool(bits & (MOVING | CALIBRATING | REFERENCING))
    return State(
        bool(bits & SENSOR), moving, bool(bits & REFERENCED), bool(bits & IN_POSITION) and not moving
    )


def decode_error(line: bytes) -> tuple[int, str]:
    """`259,"No sensor present"`: code and words."""
    found = _ERROR.fullmatch(line.strip(b" "))
    if found is None:
        raise DeviceProtocolError(f"{line!r} where an error code and its words are due")
    return int(found[1]), found[2].decode()


def decode_serial(line: bytes) -> str:
    """`MCS2-00000412`."""
    found = _SERIAL.fullmatch(line.strip(b" "))
    if found is None:
        raise DeviceIdentityError(f"{line!r} is no serial number of an MCS2: check `connect`")
    return found[1].decode()


class SmarActMcs2:
    """An MCS2 with named linear axes; positions in mm."""

    protocol: ClassVar[type] = Stage

    class Axis(shared.Axis):
        """An axis; `reference_options` are the bits of REF:OPT (1 backward first, 8 end at an end stop), None leaves the controller's."""

        reference_options: Annotated[int, Field(ge=0, le=63)] | None = None

    class Config(shared.StageConfig[Axis]):
        """Settings: the axes, and what is asked of each."""

        connect: Annotated[str, AfterValidator(shared.network_only)]
        following_error: bool = True
        hold: bool = True

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
        self._follows = config.following_error

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        serial = decode_serial(link.ask(encode(":DEV:SNUM?")))
        return Identity(vendor="SmarAct", model="MCS2", serial=serial, raw=serial)

    def open(self) -> Identity:
        """Open, check serial number and channels, empty the error queue, read once; moves nothing."""
        with self._link.opening():
            identity = self.identify(self._link)
            same_serial(self._config.serial_number, identity.serial)
            channels = decode_integer(self._link.ask(encode(":DEV:NOCH?")), 1, 255)
            for name, axis in self._config.axes.items():
                if axis.channel >= channels:
                    raise DeviceIdentityError(
                        f"axis {name} is channel {axis.channel}, {identity} has {channels} channels from 0"
                    )
            self._errors()
            self._follows = self._config.following_error
            try:
                self.read()
            except DeviceTimeout:
                if not self._follows:
                    raise
                self._read_without_following()
        return identity

    def _read_without_following(self) -> None:
        """Do without the following error where the firmware leaves the question for it unanswered."""
        with self._link.opening():  # a late answer must never answer another question
            self._follows = False
            self._errors()
            self.read()

    def close(self) -> None:
        """Close the link; the stage goes on."""
        self._link.close()

    def read(self) -> StageReading:
        """Read state and position (mm) of every axis, and the following error (mm) where it is asked for."""
        axes = {name: self._axis(name, axis.channel) for name, axis in self._config.axes.items()}
        return StageReading(t_mono_s=self._clock(), axes=axes)

    def move(self, axis: str, mm: float) -> None:
        """Start a move to `mm` within the axis' limits; absolute mode is set first, the target read back, a wrong one stopped.

        Raises:
            DeviceRefused: an error in the queue, another target, or an axis that is not referenced.
        """
        channel = shared.axis_for(self._config.axes, axis, mm).channel
        state = self._state(axis, channel)
        shared.must_be_referenced(axis, referenced=state.referenced, allowed=self._config.unreferenced_moves)
        self._errors()
        self._do(f":CHAN{channel}:MMOD", 0)
        if self._config.hold:
            self._do(f":CHAN{channel}:HOLD", FOR_EVER_MS)
        self._do(f":MOVE{channel}", round(mm * PM_PER_MM))
        found_mm = decode_mm(self._link.ask(encode(f":CHAN{channel}:POS:TARG?")))
        if abs(found_mm - mm) > 1e-6:
            self._do(f":STOP{channel}")
            raise DeviceRefused(
                f"axis {axis} has target {found_mm:g} mm after {mm:g} mm was set; it was stopped"
            )

    def stop(self) -> None:
        """Stop all axes: every stop is sent at once, then the error queue is read, and the states where it is not empty."""
        axes = self._config.axes.items()
        shared.each([partial(self._link.send, encode(f":STOP{axis.channel}")) for _, axis in axes])
        if errors := self._errors():  # one of them may be older than the stop
            moving = [name for name, axis in axes if self._state(name, axis.channel).moving]
            if moving:
                raise DeviceRefused(f"axis {', '.join(moving)} still moves after a stop: {errors}")

    def reference(self, axis: str) -> None:
        """Start the search for the reference mark, in the direction that options and controller say."""
        one = shared.axis_named(self._config.axes, axis)
        self._errors()
        if one.reference_options is not None:
            self._do(f":CHAN{one.channel}:REF:OPT", one.reference_options)
        self._do(f":REF{one.channel}")

    def make_safe(self) -> None:
        """Stop all axes."""
        self.stop()

    def _axis(self, name: str, channel: int) -> AxisReading:
        state = self._state(name, channel)
        following_mm = None
        if self._follows:
            following_mm = decode_mm(self._link.ask(encode(f":CHAN{channel}:FERR?")))
        return AxisReading(
            position_mm=decode_mm(self._link.ask(encode(f":CHAN{channel}:POS?"))),
            referenced=state.referenced,
            moving=state.moving,
            in_position=state.in_position,
            following_error_mm=following_mm,
        )

    def _state(self, name: str, channel: int) -> State:
        state = decode_state(self._link.ask(encode(f":CHAN{channel}:STAT?")))
        if not state.sensor:
            raise DeviceRefused(f"channel {channel} (axis {name}) has no positioner: look at its cable")
        return state

    def _do(self, command: str, *values: int) -> None:
        self._link.send(encode(command, *values))
        if errors := self._errors():
            raise DeviceRefused(f"{encode(command, *values).decode().strip()}: {errors}")

    def _errors(self) -> str:
        """Empty the error queue and give what was in it, in words."""
        count = decode_integer(self._link.ask(encode(":SYST:ERR:COUN?")), 0, QUEUE)
        found = [decode_error(self._link.ask(encode(":SYST:ERR?"))) for _ in range(count)]
        return ", ".join(f"error {code} ({text or 'no words'})" for code, text in found if code)
