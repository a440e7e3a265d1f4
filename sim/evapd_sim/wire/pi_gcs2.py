"""Physik Instrumente motion controller in the General Command Set 2.0 (E-873, C-863, C-884), as its cable shows it.

Source: GCS 2.0 as the maker's own Python package (pipython), QMI's E-873 driver and frappy use it, and the maker's error codes. By practice
only: decimals, *IDN?, HLP?, the answers to the single bytes 0x05 and 0x07. Sets answer nothing and leave a code for ERR?; of an answer of
several lines every one but the last ends with a blank; single bytes act at once, wherever they come.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from evapd_sim.plant import Plant
from evapd_sim.stage import StageAxis
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import flag, read_float
from evapd_sim.wire.pi_gcs2_store import Refused, Store

_SYNTAX, _UNKNOWN, _NOT_ALLOWED, _OUT_OF_LIMITS, _BAD_VELOCITY, _STOPPED, _NO_AXIS = 1, 2, 5, 7, 8, 10, 15
_OUT_OF_RANGE, _MISSING, _NO_PARAMETER, _TOO_LONG = 17, 26, 54, 3
_STATUS, _MOTION, _READY, _STOP = 0x04, 0x05, 0x07, 0x18
_ON_TARGET_MM = 1e-4
_REBOOT_S = 1.0
_UNIT = 0x07000601
_PARAMETERS = {
    _UNIT: "MM", 0x8: "0.500000", 0xA: "20.000000", 0x3C: "Q-545.140", 0x4A: "100.000000", 0x4B: "100.000000", 0x50: "5.000000", 0x70: "0",
    0x0F000100: "Q-545.140", 0x0F000200: "117059112", 0x0F000300: "04.03.2021", 0x0F000400: "1",
}  # fmt: skip
Mark = Literal["FRF", "FNL", "FPL"]


@dataclass(slots=True)
class _Drive:
    """What the controller keeps of one axis."""

    axis: StageAxis
    servo: bool = False
    must_reference: bool = True  # RON
    target_mm: float = 0.0
    rates: dict[str, float] = field(default_factory=lambda: {"ACC": 100.0, "DEC": 100.0})
    parameters: dict[int, str] = field(default_factory=lambda: dict(_PARAMETERS))

    @property
    def on_target(self) -> bool:
        return (
            self.servo and not self.axis.moving and abs(self.axis.encoder_mm - self.target_mm) < _ON_TARGET_MM
        )


class PiGcs2Wire(LineWire):
    """A GCS controller; its axes, named 1, 2 and so on, drive those of the plant's stage.

    Attributes:
        error: what ERR? will tell.
        jammed: it refuses every move with error -1024 (motion error), as after a following error.

    Args:
        plant: the physical quantities.
        model: as in *IDN?.
        serial: as in *IDN?.
        axes: how many there are; 1 for an E-873 or C-863, up to 4 for a C-884.
        terminator: end of a line.
        baud: bit/s set in the controller.
    """

    tells_serial = True
    max_length = 255

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "E-873.1AT",
        serial: str = "119012345",
        axes: int = 1,
        terminator: str = "\n",
        baud: int = 115_200,
    ) -> None:
        super().__init__(plant, baud=baud)
        if not 1 <= axes <= len(plant.stage.axes):
            raise ValueError(f"{axes} axes, the stage has {len(plant.stage.axes)}")
        self._model = model
        self.renumber(serial)
        self._end = terminator.encode("latin-1")
        self.error = 0
        self.jammed = False
        self._level = 0
        self._dead_until_s = 0.0
        self.drives = {str(number + 1): _Drive(axis) for number, axis in enumerate(plant.stage.axes[:axes])}
        self._store = Store(self._answer)
        self._queries = self._make_queries() | self._store.queries
        self._commands = self._make_commands() | self._store.commands

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self._serial = serial
        self._identity = (
            f"(c)2015-2020 Physik Instrumente (PI) GmbH & Co. KG, {self._model}, {serial}, 01.021"
        )

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - the stage keeps its own time
        self.plant.stage.advance_to(self.now_s)

    # -- bytes and lines --------------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> bytes:
        """Take single-byte commands out of the stream, wherever they are."""
        if self.now_s < self._dead_until_s:
            return b""  # it reboots
        reply, start = b"", 0
        for place, byte in enumerate(data):
            if byte in (_STATUS, _MOTION, _READY, _STOP):
                reply += super()._received(data[start:place]) + self._single(byte)
                start = place + 1
        return reply + super()._received(data[start:])

    def _single(self, byte: int) -> bytes:
        if byte == _STOP:
            self._halt(list(self.drives))
            return b""
        if byte == _STATUS:
            return self._told([f"{self._status(drive):#06x}" for drive in self.drives.values()])
        moving = [drive.axis.moving for drive in self.drives.values()]
        if byte == _MOTION:
            return self._told([f"{sum(1 << place for place, on in enumerate(moving) if on):X}"])
        return (b"\xb0" if any(drive.axis.seeking for drive in self.drives.values()) else b"\xb1") + self._end

    def _too_long(self) -> bytes:
        self.error = _TOO_LONG
        return b""

    def _answer(self, line: str) -> bytes:
        words = line.split()
        words[0] = words[0].upper()
        if self._store.recording:
            self._store.record(line)
            return b""
        try:
            if words[0] in self._queries:
                return self._told(self._queries[words[0]](words[1:]))
            self._commands.get(words[0], _unknown)(words[1:])
        except Refused as refusal:
            self.error = refusal.code
        return b""

    def _told(self, lines: Sequence[str]) -> bytes:
        return (b" " + self._end).join(line.encode("latin-1") for line in lines) + self._end

    # -- what it is asked -------------------------------------------------------------------------------------------

    def _make_queries(self) -> dict[str, Callable[[list[str]], list[str]]]:
        return {
            "*IDN?": lambda _: [self._identity],
            "VER?": lambda _: ["FW_DSP: V01.021"],
            "CSV?": lambda _: ["2.0"],
            "SAI?": lambda _: list(self.drives),
            "ERR?": lambda _: [self._told_error()],
            "CST?": self._each(lambda _: "STAGE"),
            "POS?": self._each(lambda drive: f"{drive.axis.encoder_mm:.6f}"),
            "MOV?": self._each(lambda drive: f"{drive.target_mm:.6f}"),
            "VEL?": self._each(lambda drive: f"{drive.axis.velocity_mm_per_s:.6f}"),
            "ACC?": self._each(lambda drive: f"{drive.rates['ACC']:.6f}"),
            "DEC?": self._each(lambda drive: f"{drive.rates['DEC']:.6f}"),
            "TMN?": self._each(lambda drive: f"{drive.axis.low_mm:.6f}"),
            "TMX?": self._each(lambda drive: f"{drive.axis.high_mm:.6f}"),
            "SVO?": self._each(lambda drive: flag(drive.servo)),
            "RON?": self._each(lambda drive: flag(drive.must_reference)),
            "FRF?": self._each(lambda drive: flag(drive.axis.referenced)),
            "ONT?": self._each(lambda drive: flag(drive.on_target)),
            "LIM?": self._each(lambda _: "1"),
            "TRS?": self._each(lambda _: "1"),
            "PUN?": self._each(lambda drive: drive.parameters.get(_UNIT, "MM")),
            "EAX?": self._each(lambda _: "1"),
            "DFH?": self._each(lambda _: "0.000000"),
            "TCV?": self._each(lambda drive: f"{drive.axis.velocity_mm_per_s * drive.axis.moving:.6f}"),
            "SSN?": lambda _: [self._serial],
            "TVI?": lambda _: ["ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"],
            "CCL?": lambda _: [str(self._level)],
            "SEP?": self._parameters,
            "HPA?": lambda _: [_described(number, value) for number, value in _PARAMETERS.items()],
            "SRG?": self._registers,
            "SPA?": self._parameters,
            "HLP?": lambda _: ["The following commands are valid:", *self._queries, *self._commands],
        }

    def _told_error(self) -> str:
        code, self.error = self.error, 0
        return str(code)

    def _each(self, answer: Callable[[_Drive], str]) -> Callable[[list[str]], list[str]]:
        return lambda names: [f"{name}={answer(self._drive(name))}" for name in (names or list(self.drives))]

    def _drive(self, name: str) -> _Drive:
        if name not in self.drives:
            raise Refused(_NO_AXIS)
        return self.drives[name]

    def _status(self, drive: _Drive) -> int:
        axis = drive.axis
        bits = {
            0: axis.drive_mm <= axis.low_mm, 1: axis.drive_mm >= 0.0, 2: axis.drive_mm >= axis.high_mm, 8: self.error != 0,
            12: drive.servo, 13: axis.moving, 15: drive.on_target,
        }  # fmt: skip
        return sum(1 << bit for bit, on in bits.items() if on)

    def _registers(self, words: list[str]) -> list[str]:
        if len(words) % 2:
            raise Refused(_MISSING)
        names = words[::2] or list(self.drives)
        return [f"{name} 1={self._status(self._drive(name)):#06x}" for name in names]

    def _parameters(self, words: list[str]) -> list[str]:
        if len(words) % 2:
            raise Refused(_MISSING)
        words = words or [
            word for name in self.drives for number in _PARAMETERS for word in (name, f"0X{number:X}")
        ]
        told = []
        for name, key in zip(words[::2], words[1::2], strict=True):
            number, drive = _key(key), self._drive(name)
            if number not in drive.parameters:
                raise Refused(_NO_PARAMETER)
            told.append(f"{name} 0X{number:X}={drive.parameters[number]}")
        return told

    # -- what it is told --------------------------------------------------------------------------------------------

    def _make_commands(self) -> dict[str, Callable[[list[str]], None]]:
        return {
            "MOV": self._pairs(self._move),
            "MVR": self._pairs(lambda drive, mm: self._move(drive, drive.target_mm + mm)),
            "SVO": self._pairs(self._servo),
            "RON": self._pairs(lambda drive, on: setattr(drive, "must_reference", bool(on))),
            "POS": self._pairs(self._call_it),
            "VEL": self._pairs(self._velocity),
            "ACC": self._pairs(lambda drive, value: drive.rates.update(ACC=value)),
            "DEC": self._pairs(lambda drive, value: drive.rates.update(DEC=value)),
            "FRF": lambda names: self._seek(names, "FRF"),
            "FNL": lambda names: self._seek(names, "FNL"),
            "FPL": lambda names: self._seek(names, "FPL"),
            "GOH": self._go_home,
            "HLT": lambda names: self._halt(names or list(self.drives)),
            "STP": lambda _: self._halt(list(self.drives)),
            "SPA": self._set_parameters,
            "SEP": lambda words: self._set_parameters(words[1:]),  # behind its password
            "CCL": self._set_level,
            "EAX": self._pairs(lambda *_: None),
            "DFH": lambda _: None,
            "WPA": lambda _: None,
            "RPA": lambda _: None,
            "RBT": lambda _: self._reboot(),
        }

    def _pairs(self, take: Callable[[_Drive, float], None]) -> Callable[[list[str]], None]:
        """Make a command of axis and number, several times over; nothing is done when one is wrong."""

        def command(words: list[str]) -> None:
            if not words or len(words) % 2:
                raise Refused(_MISSING)
            values = [read_float(text) for text in words[1::2]]
            drives = [self._drive(name) for name in words[::2]]
            for drive, value in zip(drives, values, strict=True):
                if value is None:
                    raise Refused(_SYNTAX)
                take(drive, value)

        return command

    def _move(self, drive: _Drive, mm: float) -> None:
        if self.jammed:
            raise Refused(-1024)
        if not drive.servo or (drive.must_reference and not drive.axis.referenced):
            raise Refused(_NOT_ALLOWED)
        if not drive.axis.low_mm <= mm <= drive.axis.high_mm:
            raise Refused(_OUT_OF_LIMITS)
        drive.target_mm = mm
        drive.axis.move(mm)

    def _go_home(self, names: list[str]) -> None:
        for drive in [self._drive(name) for name in names or self.drives]:
            self._move(drive, 0.0)

    def _servo(self, drive: _Drive, on: float) -> None:
        if on not in (0.0, 1.0):
            raise Refused(_OUT_OF_RANGE)
        if not on:
            drive.axis.halt()
        if on and not drive.servo:
            drive.target_mm = drive.axis.encoder_mm
        drive.servo = bool(on)

    def _velocity(self, drive: _Drive, mm_per_s: float) -> None:
        if not 0.0 < mm_per_s <= 1000.0:
            raise Refused(_BAD_VELOCITY)
        drive.axis.velocity_mm_per_s = mm_per_s

    def _call_it(self, drive: _Drive, mm: float) -> None:
        if drive.must_reference:
            raise Refused(_NOT_ALLOWED)
        drive.axis.zero_here(mm)
        drive.target_mm = mm

    def _seek(self, names: list[str], mark: Mark) -> None:
        drives = [self._drive(name) for name in names or self.drives]
        if self.jammed or not all(drive.servo for drive in drives):
            raise Refused(-1024 if self.jammed else _NOT_ALLOWED)
        for drive in drives:
            drive.target_mm = {"FRF": 0.0, "FNL": drive.axis.low_mm, "FPL": drive.axis.high_mm}[mark]
            drive.axis.seek(drive.target_mm)

    def _halt(self, names: list[str]) -> None:
        for drive in [self._drive(name) for name in names]:
            drive.axis.halt()
            drive.target_mm = drive.axis.encoder_mm
        self.error = _STOPPED

    def _set_parameters(self, words: list[str]) -> None:
        if not words or len(words) % 3:
            raise Refused(_MISSING)
        for name, key, value in zip(words[::3], words[1::3], words[2::3], strict=True):
            self._drive(name).parameters[_key(key)] = value

    def _set_level(self, words: list[str]) -> None:
        """The command level 1 needs its password, which is printed in the manual."""
        if words not in (["0"], ["1", "advanced"], ["1", "ADVANCED"]):
            raise Refused(_OUT_OF_RANGE)
        self._level = int(words[0])

    def _reboot(self) -> None:
        self._dead_until_s = self.now_s + _REBOOT_S
        self.error = 0
        for drive in self.drives.values():
            drive.axis.lose_power()
            drive.servo, drive.target_mm = False, 0.0


def _unknown(words: list[str]) -> None:  # noqa: ARG001 - called like every command
    raise Refused(_UNKNOWN)


def _key(text: str) -> int:
    """Read a parameter's number, in hexadecimal with 0X or decimal."""
    digits = text.upper().removeprefix("0X")
    known = "0123456789ABCDEF" if digits != text else "0123456789"
    if (
        not digits
        or len(digits) > (8 if digits != text else 10)
        or any(letter not in known for letter in digits)
    ):
        raise Refused(_SYNTAX)
    return int(digits, 16 if digits != text else 10)


def _described(number: int, value: str) -> str:
    """Write a line of HPA?: command level, number of items, type, group."""
    kind = {0x70: "INT"}.get(number, "FLOAT" if "." in value and read_float(value) is not None else "CHAR")
    return f"0X{number:X}=\t0\t1\t{kind}\tdrive"
