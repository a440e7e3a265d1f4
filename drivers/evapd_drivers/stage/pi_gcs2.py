"""Physik Instrumente controllers that speak the General Command Set 2.0: E-873, C-863, C-884 and their kin.

Written from how the maker's own Python package (pipython), QMI's E-873 driver and frappy use it; the manuals were not seen. Commands end with LF, sets
answer nothing and leave a code for `ERR?`, of an answer of several lines every one but the last ends with a blank. RS-232 and USB at 115200 8N1, TCP
port 50000. Positions are in the controller's physical unit, which must be mm (`SPA? axis 0x07000601` tells).

Confidence: commands, error codes and the status word (0x04, one axis) agree in two sources or more. In doubt: the motion bits (0x05, several axes) and
`ONT?`, known from the maker's package only; the following error is the distance to the target of an axis that stands, as no command for it is known.
A move switches the servo on where it is off, as every client does; whether an axis without reference moves is also the controller's business (`RON`).
Nothing here was tried on hardware.
"""

import re
import time
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, number, same_serial
from evapd.device.protocols import Stage
from evapd.device.readings import AxisReading, Identity, StageReading
from evapd.errors import DeviceIdentityError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.stage import axes as shared

STATUS_WORD, MOTION, STOP = b"\x04", b"\x05", b"\x18"  # act without LF
MOVING, ON_TARGET = 1 << 13, 1 << 15
STOPPED = 10
ERRORS = {
    1: "parameter syntax", 2: "unknown command", 3: "command too long", 5: "axis not referenced, or servo off", 7: "position out of limits",
    8: "velocity out of limits", 10: "stopped", 15: "no such axis", 17: "parameter out of range", 26: "parameter missing",
    54: "unknown parameter", -1024: "motion error: following error too large",
}  # fmt: skip
MAX_AXES = 16
_INTEGER = re.compile(rb"-?[0-9]{1,6}")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,4}")
_WORD = re.compile(rb"(?:0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,10})")
_NAME = re.compile(rb"[A-Za-z0-9_-]{1,16}")


class Status(NamedTuple):
    """What the status word of a controller with one axis says."""

    moving: bool
    on_target: bool


def encode(command: str, *arguments: str) -> bytes:
    """`MOV 1 2.500000`, ended by LF."""
    return " ".join((command, *arguments)).encode() + b"\n"


def decode_names(lines: Sequence[bytes]) -> list[str]:
    """Answer to `SAI?`: one name a line."""
    names = [line.strip(b" ") for line in lines]
    if not all(_NAME.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise DeviceProtocolError(f"{list(lines)!r} where the names of axes are due")
    return [name.decode() for name in names]


def decode_numbers(names: Sequence[str], lines: Sequence[bytes]) -> dict[str, float]:
    """`1=0.500000`, one line for each of `names` in their order."""
    found: dict[str, float] = {}
    for name, line in zip(names, lines, strict=True):
        key, equals, value = line.partition(b"=")
        if not equals or key.strip(b" ") != name.encode():
            raise DeviceProtocolError(f"{line!r} where a value of axis {name} is due")
        found[name] = number(value, -shared.MAX_MM, shared.MAX_MM)
    return found


def decode_flags(names: Sequence[str], lines: Sequence[bytes]) -> dict[str, bool]:
    """`1=0` or `1=1`, one line for each of `names`."""
    values = decode_numbers(names, lines)
    if not set(values.values()) <= {0.0, 1.0}:
        raise DeviceProtocolError(f"{list(lines)!r} where 0 or 1 is due")
    return {name: bool(value) for name, value in values.items()}


def decode_error(line: bytes) -> int:
    """Answer to `ERR?`: 0, or what went wrong."""
    if not _INTEGER.fullmatch(line.strip(b" ")):
        raise DeviceProtocolError(f"{line!r} where an error code is due")
    return int(line)


def decode_motion(line: bytes, axes: int) -> list[bool]:
    """Answer to 0x05: one bit per axis in hexadecimal, the first axis lowest."""
    if not _HEX.fullmatch(line.strip(b" ")) or int(line, 16) >> axes:
        raise DeviceProtocolError(f"{line!r} where motion bits of {axes} axes are due")
    return [bool(int(line, 16) >> place & 1) for place in range(axes)]


def decode_status(line: bytes) -> Status:
    """Answer to 0x04 of a controller with one axis, `0x9002` or decimal."""
    text = line.strip(b" ")
    if not _WORD.fullmatch(text):
        raise DeviceProtocolError(f"{line!r} where a status word is due")
    bits = int(text, 16 if text[:2].lower() == b"0x" else 10)
    return Status(bool(bits & MOVING), bool(bits & ON_TARGET))


def decode_identity(line: bytes) -> Identity:
    """`(c)2015-2020 Physik Instrumente (PI) GmbH & Co. KG, C-884.4DC, 119012345, 01.021`."""
    text = line.decode("ascii", "replace").strip()
    fields = [part.strip() for part in text.split(",")]
    if len(fields) < 4 or "PHYSIK INSTRUMENTE" not in fields[0].upper():
        raise DeviceIdentityError(
            f"'{text}' answers, not a controller of Physik Instrumente: check `connect`"
        )
    return Identity(
        vendor="Physik Instrumente",
        model=fields[1],
        serial=fields[2],
        firmware=", ".join(fields[3:]),
        raw=text,
    )


class PiGcs2:
    """A GCS 2.0 controller with named axes; positions in mm."""

    protocol: ClassVar[type] = Stage

    class Axis(shared.Axis):
        """An axis; `identifier` where the controller calls it otherwise than its number, `reference` the mark that it searches."""

        identifier: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,16}$")] | None = None
        reference: Literal["FRF", "FNL", "FPL"] = "FRF"  # reference switch, negative or positive limit

        @property
        def name(self) -> str:
            """What the controller calls it."""
            return self.identifier or str(self.channel)

    class Config(shared.StageConfig[Axis]):
        """Settings: the axes."""

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
        self._there: list[str] = []  # names of all axes of the controller, whose order the motion bits follow
        self._tells_status = True  # in one word, where it has one axis

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; changes nothing, in no instrument."""
        return decode_identity(link.ask(encode("*IDN?")))

    def open(self) -> Identity:
        """Open, check maker, serial number and axes, clear the error, read once; moves nothing, the servo stays as it is."""
        with self._link.opening():
            identity = self.identify(self._link)
            same_serial(self._config.serial_number, identity.serial)
            self._there = self._names()
            for name, axis in self._config.axes.items():
                if axis.name not in self._there:
                    raise DeviceIdentityError(
                        f"axis {name} is {axis.name}, the controller has {', '.join(self._there)}"
                    )
            self._error()
            self._tells_status = len(self._there) == 1
            try:
                self.read()
            except DeviceTimeout:
                if not self._tells_status:
                    raise
                self._read_without_status()
        return identity

    def _read_without_status(self) -> None:
        """Ask a controller with one axis as one with several, where it leaves the byte 0x04 unanswered."""
        with self._link.opening():  # a late answer must never answer another question
            self._tells_status = False
            self._error()
            self.read()

    def close(self) -> None:
        """Close the link; the stage goes on."""
        self._link.close()

    def read(self) -> StageReading:
        """Read position (mm), reference, motion and target of every axis; `following_error_mm` of those that stand."""
        names = [axis.name for axis in self._config.axes.values()]
        targets_mm = self._numbers("MOV?", names)
        referenced = decode_flags(names, self._ask("FRF?", names))
        moving, on_target = self._motion(names)
        positions_mm = self._numbers("POS?", names)
        axes = {
            name: AxisReading(
                position_mm=positions_mm[axis.name],
                referenced=referenced[axis.name],
                moving=moving[axis.name],
                in_position=on_target[axis.name] and not moving[axis.name],
                following_error_mm=None
                if moving[axis.name]
                else targets_mm[axis.name] - positions_mm[axis.name],
            )
            for name, axis in self._config.axes.items()
        }
        return StageReading(t_mono_s=self._clock(), axes=axes)

    def move(self, axis: str, mm: float) -> None:
        """Start a move to `mm` within the axis' limits, with the servo on; the target is read back.

        Raises:
            DeviceRefused: the controller's error code, another target, or an axis that is not referenced.
        """
        name = shared.axis_for(self._config.axes, axis, mm).name
        referenced = decode_flags([name], self._ask("FRF?", [name]))[name]
        shared.must_be_referenced(axis, referenced=referenced, allowed=self._config.unreferenced_moves)
        self._servo_on(name)
        self._do("MOV", name, f"{mm:.6f}")
        found_mm = self._numbers("MOV?", [name])[name]
        if abs(found_mm - mm) > 1e-4:
            raise DeviceRefused(f"axis {axis} has target {found_mm:g} mm after {mm:g} mm was set")

    def stop(self) -> None:
        """Stop all axes by the one byte 0x18, then ask for the error (10, stopped, is due) and, where it is another, for motion."""
        self._link.send(STOP)
        code = self._error()
        if code not in (0, STOPPED):
            moving, _ = self._motion([axis.name for axis in self._config.axes.values()])
            if any(moving.values()):
                raise DeviceRefused(f"the stage still moves after a stop: {_words(code)}")

    def reference(self, axis: str) -> None:
        """Start the search for the mark that the settings name, with the servo on."""
        one = shared.axis_named(self._config.axes, axis)
        self._servo_on(one.name)
        self._do(one.reference, one.name)

    def make_safe(self) -> None:
        """Stop all axes."""
        self.stop()

    def _names(self) -> list[str]:
        """Ask for the axes: as many lines as end with a blank, and one more."""
        deadline_s = self._clock() + self._config.timeout_s
        lines = [self._ask_first("SAI?")]
        while lines[-1].endswith(b" ") and len(lines) < MAX_AXES:
            lines.append(self._link.line(alone=False, timeout_s=max(0.0, deadline_s - self._clock())))
        return decode_names(lines)

    def _ask_first(self, *question: str) -> bytes:
        self._link.send(encode(*question))
        return self._link.line(alone=False)

    def _ask(self, command: str, names: Sequence[str]) -> list[bytes]:
        """Ask something of several axes, and give one line for each, all within one deadline."""
        deadline_s = self._clock() + self._config.timeout_s
        self._link.send(encode(command, *names))
        return [
            self._link.line(alone=place == len(names), timeout_s=max(0.0, deadline_s - self._clock()))
            for place in range(1, len(names) + 1)
        ]

    def _numbers(self, command: str, names: Sequence[str]) -> dict[str, float]:
        return decode_numbers(names, self._ask(command, names))

    def _motion(self, names: Sequence[str]) -> tuple[dict[str, bool], dict[str, bool]]:
        """Give which axes move and which are on target; one axis tells both in its status word."""
        if self._tells_status:
            status = decode_status(self._link.ask(STATUS_WORD))
            return {names[0]: status.moving}, {names[0]: status.on_target}
        bits = decode_motion(self._link.ask(MOTION), len(self._there))
        moving = dict(zip(self._there, bits, strict=True))
        return {name: moving[name] for name in names}, decode_flags(names, self._ask("ONT?", names))

    def _servo_on(self, name: str) -> None:
        self._error()  # what an earlier command left
        if not decode_flags([name], self._ask("SVO?", [name]))[name]:
            self._do("SVO", name, "1")

    def _do(self, command: str, *arguments: str) -> None:
        self._link.send(encode(command, *arguments))
        if code := self._error():
            raise DeviceRefused(f"{encode(command, *arguments).decode().strip()}: {_words(code)}")

    def _error(self) -> int:
        return decode_error(self._link.ask(encode("ERR?")))


def _words(code: int) -> str:
    return f"error {code} ({ERRORS.get(code, 'see the manual')})"
