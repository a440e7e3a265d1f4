"""Newport ESP301 motion controller (and ESP300), as its cable shows it.

Source: command set of the ESP301 as InstrumentKit with its tests, PyMeasure and lantz use it. By practice only: error numbers and texts beside
those of the controller, decimals, the time stamp of TB?. It does not tell whether an axis has been homed: nor does this.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from evapd_sim.plant import Plant
from evapd_sim.stage import StageAxis
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import flag, read_float

_NO_COMMAND, _RANGE, _NO_AXIS, _AXIS_MISSING, _PARAMETER_MISSING, _OVERFLOW = 6, 7, 9, 37, 38, 25
_FAULT, _POSITIVE_HARD, _NEGATIVE_HARD, _POSITIVE_SOFT, _NEGATIVE_SOFT, _VELOCITY, _MOTOR_OFF, _ABORTED = (
    2,
    4,
    5,
    6,
    7,
    10,
    13,
    20,
)
_TEXTS = {
    0: "NO ERROR DETECTED", 6: "COMMAND DOES NOT EXIST", 7: "PARAMETER OUT OF RANGE", 9: "AXIS NUMBER OUT OF RANGE",
    25: "COMMAND BUFFER OVERFLOW", 37: "AXIS NUMBER MISSING", 38: "COMMAND PARAMETER MISSING",
}  # fmt: skip
_AXIS_TEXTS = {
    2: "AMPLIFIER FAULT DETECTED", 4: "POSITIVE HARDWARE LIMIT EXCEEDED", 5: "NEGATIVE HARDWARE LIMIT EXCEEDED", 6: "POSITIVE SOFTWARE LIMIT EXCEEDED",
    7: "NEGATIVE SOFTWARE LIMIT EXCEEDED", 10: "MAXIMUM VELOCITY EXCEEDED", 13: "MOTOR NOT ENABLED", 20: "HOMING ABORTED",
}  # fmt: skip
_COMMAND = re.compile(r"(?P<axis>[0-9]{0,3})\s*(?P<name>[A-Z]{2})\s*(?P<rest>[^A-Z]*|[0-9A-F]+H)")
_TICK_S = 400e-6  # of the time stamp of an error
_QUEUE = 10
_MM_PER_UNIT = {2: 1.0, 3: 1e-3, 4: 25.4, 5: 0.0254, 6: 2.54e-5}  # SN: mm, um, inch, mil, microinch
# What the controller keeps for a drive; of no effect here.
_SETTINGS = {
    "AE": 1600.0, "AF": 0.0, "AU": 400.0, "BA": 0.0, "CO": 0.0, "FE": 1.0, "FP": 5.0, "FR": 0.001, "HS": 0.0, "JH": 20.0, "JK": 1600.0, "JW": 2.0,
    "KD": 20.0, "KI": 0.0, "KP": 10.0, "KS": 0.0, "OH": 10.0, "OL": 1.0, "OM": 2.0, "QD": 0.0, "QG": 1.0, "QI": 0.6, "QP": 0.0, "QS": 100.0,
    "QV": 24.0, "SH": 0.0, "SI": 0.0, "SS": 0.0, "SU": 0.0001, "TJ": 1.0, "UF": 0.0, "VB": 0.0, "VF": 0.0, "ZA": 0.0, "ZB": 0.0, "ZE": 0.0, "ZF": 0.0,
    "ZH": 0.0, "ZS": 0.0,
}  # fmt: skip
_WHOLE = {"FP", "OM", "QS", "SI", "SS", "TJ"}  # told without decimals
_HEXADECIMAL = {"ZA", "ZB", "ZE", "ZF", "ZH", "ZS"}  # words of bits, told as `0024H`
_FAR_MM = 1e4
_OPTIONAL = {"UF", "QD", "OR", "DH", "WS"}  # their number may be left out


class _Refused(Exception):
    """The controller does not do it; TB? tells the code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Motor:
    """What the controller keeps of one axis."""

    axis: StageAxis
    number: int
    on: bool = False
    low_mm: float = -100.0  # software limits
    high_mm: float = 100.0
    acceleration: float = 40.0
    stage: str = ""
    fault: bool = False
    seen_stop: int = 0
    unit: int = 2
    home_mm: float = 0.0  # what DH has called the place where it was given
    settings: dict[str, float] = field(default_factory=lambda: dict(_SETTINGS))

    def told(self, mm: float) -> str:
        """Write a length in the axis' unit."""
        return f"{mm / _MM_PER_UNIT[self.unit]:.5f}"

    def taken_mm(self, value: float) -> float:
        """Read a length that is in the axis' unit."""
        return value * _MM_PER_UNIT[self.unit]

    def error(self, code: int) -> _Refused:
        return _Refused(100 * self.number + code)


class NewportEsp301Wire(LineWire):
    """An ESP301; axis n (from 1) drives axis n - 1 of the plant's stage.

    Args:
        plant: the physical quantities.
        model: as in VE?.
        axes: how many there are, 1 to 3.
        stages: what ID? tells of each axis, separated by `|`.
        terminator: end of a reply.
        baud: bit/s; 921600 by USB, 19200 at the RS-232 port.
    """

    ends = b"\r\n"
    max_length = 80

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "ESP301",
        axes: int = 3,
        stages: str = "TS50DC.5, SN1263|UTS100CC, SN4711|UTS50PP, SN815",
        terminator: str = "\r\n",
        baud: int = 921_600,
    ) -> None:
        super().__init__(plant, baud=baud)
        if not 1 <= axes <= len(plant.stage.axes):
            raise ValueError(f"{axes} axes, the stage has {len(plant.stage.axes)}")
        self._version = f"{model} Version 3.0.1 6/1/99"
        self._end = terminator.encode("latin-1")
        self._errors: deque[tuple[int, int]] = deque(maxlen=_QUEUE)
        self._programs: dict[int, list[str]] = {}
        self._entering = 0  # number of the program that is being entered
        self._on_s = 0.0
        self.motors = [_Motor(axis, place + 1) for place, axis in enumerate(plant.stage.axes[:axes])]
        for motor, stage in zip(self.motors, stages.split("|"), strict=False):
            motor.stage = stage
        self._told = self._make_told()
        self._done = self._make_done()
        self._numbers = self._make_numbers()

    def _advanced(self, dt_s: float) -> None:
        self._on_s += dt_s
        seeking = [motor.axis.seeking for motor in self.motors]
        self.plant.stage.advance_to(self.now_s)
        for motor, sought in zip(self.motors, seeking, strict=True):
            stop = motor.axis.at_stop
            if stop != motor.seen_stop and stop:
                self._note(motor.error(_POSITIVE_HARD if stop > 0 else _NEGATIVE_HARD))
            if sought and not motor.axis.seeking and not motor.axis.referenced:
                self._note(motor.error(_ABORTED))
            motor.seen_stop = stop

    def _note(self, refusal: _Refused) -> None:
        self._errors.append((refusal.code, int(self._on_s / _TICK_S / 1000) * 1000))

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        self._note(_Refused(_OVERFLOW))
        return b""

    def _answer(self, line: str) -> bytes:
        if self._entering and line.strip().upper() != "QP":
            self._programs[self._entering].append(line)
            return b""
        reply = b""
        for part in line.split(";"):
            try:
                answer = self._command(part.strip().upper())
            except _Refused as refusal:
                self._note(refusal)
                continue
            if answer is not None:
                reply += answer.encode("latin-1") + self._end
        return reply

    def _command(self, text: str) -> str | None:
        if text in {"*IDN?", "VE", "VE?"}:
            return self._version
        found = _COMMAND.fullmatch(text)
        if found is None:
            raise _Refused(_NO_COMMAND)
        name, axis, rest = found["name"], found["axis"], found["rest"].strip()
        if name in {"XX", "EP", "QP", "EX"}:
            self._program(name, axis)
            return None
        if name in {"TB", "TE", "TS"}:
            return self._status(name)
        if name == "SM":  # save to memory
            return None
        if name in {"ST", "AB", "RS"} and not axis:
            self._reset() if name == "RS" else self._halt(self.motors)
            return None
        return self._of_axis(name, self._motor(name, axis), rest)

    def _program(self, name: str, number: str) -> None:
        """XX erases, EP to QP enters and EX runs the stored program of a number."""
        if name == "QP":
            self._entering = 0
            return
        place = int(number or 0)
        if not 1 <= place <= 100:
            raise _Refused(_RANGE)
        if name == "EX":
            for line in self._programs.get(place, []):
                if "EX" not in line.upper():  # no program calls another here
                    self._answer(line)
            return
        self._programs[place] = []
        self._entering = place if name == "EP" else 0

    def _motor(self, name: str, axis: str) -> _Motor:
        if name not in self._told.keys() | self._done.keys() | self._numbers.keys():
            raise _Refused(_NO_COMMAND)
        if not axis:
            raise _Refused(_AXIS_MISSING)
        if not 1 <= int(axis) <= len(self.motors):
            raise _Refused(_NO_AXIS)
        return self.motors[int(axis) - 1]

    def _of_axis(self, name: str, motor: _Motor, rest: str) -> str | None:
        asked = rest == "?"
        if name in self._told and (
            asked or (not rest and name not in self._done and name not in self._numbers)
        ):
            return self._told[name](motor)
        if asked:
            raise _Refused(_NO_COMMAND)
        if name in {"MT", "MV"} and rest in {"+", "-"}:
            self._run(motor, _FAR_MM if rest == "+" else -_FAR_MM)
        elif name in self._done:
            self._done[name](motor)
        elif name in self._numbers:
            value = _number(name, rest) if rest else (0.0 if name in _OPTIONAL else None)
            if value is None:
                raise _Refused(_RANGE if rest else _PARAMETER_MISSING)
            self._numbers[name](motor, value)
        else:
            raise _Refused(_RANGE)
        return None

    def _status(self, name: str) -> str:
        if name == "TS":
            moving = sum(1 << place for place, motor in enumerate(self.motors) if motor.axis.moving)
            return chr(0x40 | 0x10 * any(motor.on for motor in self.motors) | moving)
        code, ticks = self._errors.popleft() if self._errors else (0, 0)
        words = _TEXTS.get(code) or _AXIS_TEXTS.get(code % 100, "UNKNOWN ERROR")
        return str(code) if name == "TE" else f"{code}, {ticks}, {words}"

    # -- what an axis tells and does --------------------------------------------------------------------------------

    def _make_told(self) -> dict[str, Callable[[_Motor], str]]:
        return {
            "TP": lambda motor: motor.told(motor.axis.encoder_mm),
            "DP": lambda motor: motor.told(motor.axis.profile_mm - motor.axis.origin_mm),
            "PA": lambda motor: motor.told(motor.axis.profile_mm - motor.axis.origin_mm),
            "TV": lambda motor: motor.told(motor.axis.velocity_mm_per_s * motor.axis.moving),
            "DV": lambda motor: motor.told(motor.axis.velocity_mm_per_s * motor.axis.moving),
            "DH": lambda motor: motor.told(motor.home_mm),
            "MD": lambda motor: flag(not motor.axis.moving),
            "MO": lambda motor: flag(motor.on),
            "ID": lambda motor: motor.stage or "Unknown",
            "SN": lambda motor: str(motor.unit),
            "QM": lambda _: "3",
            "VA": lambda motor: motor.told(motor.axis.velocity_mm_per_s),
            "VU": lambda motor: motor.told(100.0),
            "AC": lambda motor: f"{motor.acceleration:.5f}",
            "AG": lambda motor: f"{motor.acceleration:.5f}",
            "SL": lambda motor: motor.told(motor.low_mm),
            "SR": lambda motor: motor.told(motor.high_mm),
            "PH": lambda _: "00000000H, 00000000H",
            **{name: _kept(name) for name in _SETTINGS},
        }

    def _make_done(self) -> dict[str, Callable[[_Motor], None]]:
        return {
            "ST": lambda motor: self._halt([motor]),
            "AB": lambda motor: self._halt([motor]),
            "MO": self._enable,
            "MF": self._disable,
            "MT": lambda motor: self._run(motor, _FAR_MM),
            "MV": lambda motor: self._run(motor, _FAR_MM),
        }

    def _make_numbers(self) -> dict[str, Callable[[_Motor, float], None]]:
        return {
            "PA": lambda motor, value: self._move(motor, motor.taken_mm(value)),
            "PR": lambda motor, value: self._move(motor, motor.axis.encoder_mm + motor.taken_mm(value)),
            "OR": lambda motor, _: self._seek(motor),
            "DH": self._define_home,
            "VA": lambda motor, value: self._set_velocity(motor, motor.taken_mm(value)),
            "AC": lambda motor, value: setattr(motor, "acceleration", value),
            "AG": lambda motor, value: setattr(motor, "acceleration", value),
            "SL": lambda motor, value: setattr(motor, "low_mm", motor.taken_mm(value)),
            "SR": lambda motor, value: setattr(motor, "high_mm", motor.taken_mm(value)),
            "VU": lambda *_: None,
            "QM": lambda *_: None,
            "SN": self._set_unit,
            "WS": lambda *_: None,
            "WP": lambda *_: None,
            "QR": lambda *_: None,
            **{name: _keeper(name) for name in _SETTINGS},
        }

    def _halt(self, motors: list[_Motor]) -> None:
        for motor in motors:
            if motor.axis.seeking:
                self._note(motor.error(_ABORTED))
            motor.axis.halt()

    def _enable(self, motor: _Motor) -> None:
        if motor.fault:
            raise motor.error(_FAULT)
        motor.on = True

    def _disable(self, motor: _Motor) -> None:
        motor.axis.halt()
        motor.on = False

    def _ready(self, motor: _Motor) -> StageAxis:
        if motor.fault or not motor.on:
            raise motor.error(_FAULT if motor.fault else _MOTOR_OFF)
        return motor.axis

    def _move(self, motor: _Motor, mm: float) -> None:
        axis = self._ready(motor)
        if not motor.low_mm <= mm <= motor.high_mm:
            raise motor.error(_POSITIVE_SOFT if mm > motor.high_mm else _NEGATIVE_SOFT)
        axis.move(mm)

    def _run(self, motor: _Motor, mm: float) -> None:
        """Run to a limit, or without an end."""
        self._ready(motor).move(mm)

    def _reset(self) -> None:
        self._errors.clear()
        for motor in self.motors:
            motor.axis.lose_power()
            motor.on = False

    def _seek(self, motor: _Motor) -> None:
        self._ready(motor).seek()

    def _set_velocity(self, motor: _Motor, mm_per_s: float) -> None:
        if not 0.0 < mm_per_s <= 100.0:
            raise motor.error(_VELOCITY)
        motor.axis.velocity_mm_per_s = mm_per_s

    def _set_unit(self, motor: _Motor, unit: float) -> None:
        if unit not in _MM_PER_UNIT:
            raise _Refused(_RANGE)
        motor.unit = int(unit)

    def _define_home(self, motor: _Motor, value: float) -> None:
        motor.home_mm = motor.taken_mm(value)
        motor.axis.zero_here(motor.home_mm)


def _number(name: str, text: str) -> float | None:
    """Read the first of the numbers behind a command, words of bits in hexadecimal where an H says so."""
    first = text.partition(",")[0].strip()
    digits = first.removesuffix("H")
    if name in _HEXADECIMAL and digits != first and digits.isalnum():
        return float(int(digits, 16)) if all(letter in "0123456789ABCDEF" for letter in digits) else None
    return read_float(first)


def _kept(name: str) -> Callable[[_Motor], str]:
    if name in _HEXADECIMAL:
        return lambda motor: f"{int(motor.settings[name]):04X}H"
    return lambda motor: f"{motor.settings[name]:.0f}" if name in _WHOLE else f"{motor.settings[name]:.5f}"


def _keeper(name: str) -> Callable[[_Motor, float], None]:
    def keep(motor: _Motor, value: float) -> None:
        motor.settings[name] = value

    return keep
