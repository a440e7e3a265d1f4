"""SmarAct MCS2 motion controller with Ethernet interface, as its cable shows it (ASCII, TCP port 55551).

Source: the ASCII interface as EPICS motorSmarAct, ESRF BLISS, two Tango servers and a Python client use it, and the bits and error codes of
the public header of the maker's library. By practice only: *IDN?, the words of errors, what a stop during a search leaves.
Queries answer one line, everything else answers nothing and leaves an error in the queue. Lengths are pm, counted from where the stage was switched on.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag
from functools import partial

from evapd_sim.plant import Plant
from evapd_sim.stage import StageAxis
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.scpi import ErrorQueue, header

PM_PER_MM = 1_000_000_000
_DEFAULTS = {"VEL": 0, "ACC": 0, "HOLD": 0, "MCLF": 5000, "AMPL": 1, "STEP": 65535, "FREQ": 1000, "OPT": 0, "SENS": 1, "PTYP": 300, "CLIN": 1, "RMIN": 0, "RMAX": 0, "FMAX": 0, "CALO": 0}  # fmt: skip
_FOR_EVER_MS = 0xFFFFFFFF
_REACHED_MM = 1e-5
_MARK_MM = 1e-4
_NUMBER = re.compile(r"[-+]?[0-9]{1,19}(?:\.[0-9]*)?", re.ASCII)  # clients send decimals, too
# Triggers of a channel and the lines of a module: kept, and of no effect.
_MEMORY = re.compile(
    r":?(CHAN(?:NEL)?[0-9]:TRIG(?:GER)?|MOD(?:ULE)?[0-9]:IOM(?:ODULE)?)(:[A-Z]+)+(\?)?", re.ASCII
)

_TEXTS = {
    0: "No error", 34: "Invalid channel index", 37: "Movement locked", 259: "No sensor present", 19: "Invalid parameter",
    -104: "Data type error", -108: "Parameter not allowed", -109: "Missing parameter", -113: "Undefined header",
    -363: "Input buffer overrun",
}  # fmt: skip
_CHANNEL, _LOCKED, _NO_SENSOR, _BAD = 34, 37, 259, 19
_DATA_TYPE, _NOT_ALLOWED, _MISSING, _UNKNOWN, _OVERRUN = -104, -108, -109, -113, -363


class State(IntFlag):
    """Bits of the channel state."""

    MOVING = 1 << 0
    CLOSED_LOOP = 1 << 1
    CALIBRATING = 1 << 2
    REFERENCING = 1 << 3
    SENSOR = 1 << 5
    CALIBRATED = 1 << 6
    REFERENCED = 1 << 7
    END_STOP = 1 << 8
    MOVE_FAILED = 1 << 11
    MARK = 1 << 15
    AMPLIFIER = 1 << 18
    IN_POSITION = 1 << 19


class _Refused(Exception):
    """The controller does not do it; the code goes into the queue."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Channel:
    """What the controller keeps of one channel."""

    axis: StageAxis
    mode: int = 0
    target_pm: int = 0
    loop: bool = False
    calibrated: bool = False
    calibrating_until_s: float = -math.inf
    hold_until_s: float = -math.inf  # end of holding, counted from the end of the move
    settings: dict[str, int] = field(default_factory=lambda: dict(_DEFAULTS))


class SmarActMcs2Wire(LineWire):
    """An MCS2; channel n drives axis n of the plant's stage.

    Attributes:
        sensor: by channel, whether a positioner is connected.
        locked: the emergency stop is pressed: nothing moves, moves are refused.

    Args:
        plant: the physical quantities.
        serial: answer to `:DEV:SNUM?`.
        channels: how many there are.
        terminator: end of a reply.
    """

    tells_serial = True
    max_length = 255

    def __init__(
        self, plant: Plant, *, serial: str = "MCS2-00000412", channels: int = 3, terminator: str = "\r\n"
    ) -> None:
        super().__init__(plant)
        if not 1 <= channels <= len(plant.stage.axes):
            raise ValueError(f"{channels} channels, the stage has {len(plant.stage.axes)} axes")
        self.renumber(serial)
        self.sensor = [True] * channels
        self.locked = False
        self._end = terminator.encode("latin-1")
        self._channels = [_Channel(axis) for axis in plant.stage.axes[:channels]]
        self._memory: dict[str, int] = {}
        self._errors = ErrorQueue(_TEXTS, lambda code, text: f'{code},"{text}"', size=50)
        self._device = self._make_device()
        self._queries = self._make_queries()
        self._sets = self._make_sets()
        self._actions = self._make_actions()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self._serial = serial

    def press_emergency_stop(self, *, pressed: bool) -> None:
        """Lock all movement, or release it."""
        with self.plant.lock:
            self.locked = pressed
            if pressed:
                self.plant.stage.halt(range(len(self._channels)))

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - the stage keeps its own time
        self.plant.stage.advance_to(self.now_s)
        for channel in self._channels:
            hold_ms = channel.settings["HOLD"]
            if channel.axis.moving or hold_ms in (_FOR_EVER_MS, -1):
                channel.hold_until_s = math.inf
            elif math.isinf(channel.hold_until_s):
                channel.hold_until_s = self.now_s + hold_ms / 1000.0
            if self.now_s >= channel.hold_until_s or channel.axis.at_stop:
                channel.loop = False

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        self._errors.add(_OVERRUN)
        return b""

    def _answer(self, line: str) -> bytes:
        reply = b""
        for part in line.split(";"):
            try:
                answer = self._command(part.strip())
            except _Refused as refusal:
                self._errors.add(refusal.code)
                continue
            if answer is not None:
                reply += answer.encode("ascii") + self._end
        return reply

    def _command(self, text: str) -> str | None:
        head, _, argument = text.upper().partition(" ")
        if found := _MEMORY.fullmatch(head):
            return self._remember(head.rstrip("?"), argument, asked=found[3] is not None)
        for pattern, answer in self._device:
            if pattern.fullmatch(head):
                return self._asked(answer, argument)
        for pattern, ask in self._queries:
            if found := pattern.fullmatch(head):
                return self._asked(partial(ask, self._channel(found[1])), argument)
        for pattern, take in self._sets:
            if found := pattern.fullmatch(head):
                take(self._channel(found[1]), self._number(argument))
                return None
        for pattern, act in self._actions:
            if found := pattern.fullmatch(head):
                act(self._channel(found[1]), argument)
                return None
        raise _Refused(_UNKNOWN)

    def _remember(self, head: str, argument: str, *, asked: bool) -> str | None:
        if asked:
            return str(self._memory.get(head, 0))
        self._memory[head] = self._number(argument)
        return None

    def _asked(self, answer: Callable[[], object], argument: str) -> str:
        if argument:
            raise _Refused(_NOT_ALLOWED)
        return str(answer())

    def _channel(self, digits: str) -> _Channel:
        number = int(digits or 0)
        if number >= len(self._channels):
            raise _Refused(_CHANNEL)
        return self._channels[number]

    def _number(self, text: str) -> int:
        if not text.strip():
            raise _Refused(_MISSING)
        if not _NUMBER.fullmatch(text.strip()):
            raise _Refused(_DATA_TYPE)
        value = int(text.partition(".")[0])
        if not -(2**63) <= value < 2**63:
            raise _Refused(_DATA_TYPE)
        return value

    # -- what it is asked -------------------------------------------------------------------------------------------

    def _make_device(self) -> list[tuple[re.Pattern[str], Callable[[], object]]]:
        table: dict[str, Callable[[], object]] = {
            "*IDN?": lambda: f"SmarAct GmbH,MCS2,{self._serial},1.3.13",
            "[:]DEVice:SNUMber?": lambda: self._serial,
            "[:]DEVice:NOCHannels?": lambda: len(self._channels),
            "[:]DEVice:NOBModules?": lambda: 1,
            "[:]DEVice:NAME?": lambda: '"MCS2"',
            "[:]DEVice:STATe?": lambda: 2 * self.locked,
            "[:]DEVice:ESTop:MODE?": lambda: 0,
            "[:]MODule#:STATe?": lambda: 1,
            "[:]MODule#:TEMPerature?": lambda: 30,
            "[:]SYSTem:ERRor:COUNt?": lambda: len(self._errors),
            "[:]SYSTem:ERRor[:NEXT]?": self._errors.pop,
        }
        return [(_header(name), answer) for name, answer in table.items()]

    def _make_queries(self) -> list[tuple[re.Pattern[str], Callable[[_Channel], object]]]:
        table: dict[str, Callable[[_Channel], object]] = {
            "STATe": self._state,
            "POSition[:CURRent]": lambda channel: _pm(self._sensed(channel).axis.encoder_mm),
            "POSition:TARGet": lambda channel: channel.target_pm,
            "FERRor": lambda channel: _pm(self._sensed(channel).axis.following_mm),
            "MMODe": lambda channel: channel.mode,
            "PTYPe:NAME": lambda _: '"SL...S1SS"',
            "TEMPerature": lambda _: 28,
            "ERRor": lambda _: 0,
            **{name: _kept(key) for name, key in _KEPT.items()},
        }
        return [(_header(f"[:]CHANnel#:{name}?"), answer) for name, answer in table.items()]

    def _state(self, channel: _Channel) -> int:
        axis, seen = channel.axis, self.sensor[self._channels.index(channel)]
        state = State.AMPLIFIER | (State.SENSOR if seen else State(0))
        if not seen:
            return int(state)
        off_mm = abs(axis.encoder_mm - channel.target_pm / PM_PER_MM)
        bits = {
            State.MOVING: axis.moving,
            State.CLOSED_LOOP: channel.loop or axis.moving,
            State.CALIBRATING: self.now_s < channel.calibrating_until_s,
            State.REFERENCING: axis.seeking,
            State.CALIBRATED: channel.calibrated,
            State.REFERENCED: axis.referenced,
            State.END_STOP: axis.at_stop != 0,
            State.MOVE_FAILED: axis.at_stop != 0,
            State.MARK: axis.referenced and not axis.moving and abs(axis.encoder_mm) < _MARK_MM,
            State.IN_POSITION: channel.loop and not axis.moving and off_mm < _REACHED_MM,
        }
        return int(state | sum((bit for bit, on in bits.items() if on), State(0)))

    def _sensed(self, channel: _Channel) -> _Channel:
        if not self.sensor[self._channels.index(channel)]:
            raise _Refused(_NO_SENSOR)
        return channel

    # -- what it is told --------------------------------------------------------------------------------------------

    def _make_sets(self) -> list[tuple[re.Pattern[str], Callable[[_Channel, int], None]]]:
        table: dict[str, Callable[[_Channel, int], None]] = {
            "POSition[:CURRent]": self._redefine,
            "MMODe": self._set_mode,
            **{name: _keeper(key) for name, key in _KEPT.items() if key not in {"VEL", "PTYP"}},
            "VELocity": self._set_velocity,
            "PTYPe": self._set_type,
        }
        return [(_header(f"[:]CHANnel#:{name}"), take) for name, take in table.items()]

    def _redefine(self, channel: _Channel, pm: int) -> None:
        channel.axis.zero_here(pm / PM_PER_MM)
        channel.target_pm = pm

    def _set_mode(self, channel: _Channel, mode: int) -> None:
        if mode not in range(5):
            raise _Refused(_BAD)
        channel.mode = mode

    def _set_velocity(self, channel: _Channel, pm_per_s: int) -> None:
        if pm_per_s < 0:
            raise _Refused(_BAD)
        channel.settings["VEL"] = pm_per_s
        channel.axis.velocity_mm_per_s = pm_per_s / PM_PER_MM if pm_per_s else 5.0

    def _set_type(self, channel: _Channel, kind: int) -> None:
        """Another type of positioner: the position is lost."""
        channel.settings["PTYP"] = kind
        channel.axis.lose_power()

    def _make_actions(self) -> list[tuple[re.Pattern[str], Callable[[_Channel, str], None]]]:
        table: dict[str, Callable[[_Channel, str], None]] = {
            "MOVE": lambda channel, argument: self._move(channel, self._number(argument)),
            "STOP": lambda channel, argument: self._plain(argument, lambda: self._stop(channel)),
            "REFerence": lambda channel, argument: self._plain(argument, lambda: self._seek(channel)),
            "CALibrate": lambda channel, argument: self._plain(argument, lambda: self._calibrate(channel)),
        }
        return [(_header(f"[:]{name}#"), act) for name, act in table.items()]

    def _plain(self, argument: str, act: Callable[[], None]) -> None:
        if argument:
            raise _Refused(_NOT_ALLOWED)
        act()

    def _free(self, channel: _Channel) -> None:
        if self.locked:
            raise _Refused(_LOCKED)
        self._sensed(channel).loop = True
        channel.hold_until_s = math.inf  # begins to count when the move has ended

    def _move(self, channel: _Channel, value: int) -> None:
        self._free(channel)
        here_pm = _pm(channel.axis.encoder_mm)
        if channel.mode == 4:  # steps, about 1.5 um each, without the loop
            channel.target_pm = here_pm + 1_500_000 * value
        else:
            channel.target_pm = value + (here_pm if channel.mode in {1, 3} else 0)
        channel.axis.move(channel.target_pm / PM_PER_MM)

    def _stop(self, channel: _Channel) -> None:
        if not channel.axis.moving:
            channel.loop = False  # a second stop ends the holding, too
        channel.axis.halt()

    def _seek(self, channel: _Channel) -> None:
        self._free(channel)
        channel.target_pm = 0
        channel.axis.seek()

    def _calibrate(self, channel: _Channel) -> None:
        self._free(channel)
        channel.calibrated = True
        channel.calibrating_until_s = self.now_s + 2.0


_KEPT = {
    "VELocity": "VEL", "ACCeleration": "ACC", "HOLD": "HOLD", "MCLFrequency[:CURRent]": "MCLF", "AMPLifier[:ENABled]": "AMPL",
    "STEP:FREQuency": "FREQ", "STEP:AMPLitude": "STEP", "REFerencing:OPTions": "OPT", "SENSor:MODE": "SENS", "PTYPe": "PTYP",
    "CLINput": "CLIN", "RLIMit:MIN": "RMIN", "RLIMit:MAX": "RMAX", "FERRor:MAX": "FMAX", "CALibration:OPTions": "CALO",
}  # fmt: skip


def _header(pattern: str) -> re.Pattern[str]:
    return header(pattern.replace("?", r"\?") if "?" in pattern else pattern)


def _kept(key: str) -> Callable[[_Channel], object]:
    return lambda channel: channel.settings[key]


def _keeper(key: str) -> Callable[[_Channel, int], None]:
    def keep(channel: _Channel, value: int) -> None:
        channel.settings[key] = value

    return keep


def _pm(mm: float) -> int:
    return round(mm * PM_PER_MM)
