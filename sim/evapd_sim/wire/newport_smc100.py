"""Newport SMC100 motion controllers (and CONEX) on one serial line, as their cable shows them.

Source: SMC100CC and SMC100PP user's manual, chapter Command Syntax; command set, states and error letters of the SMC100 as QMI, BLISS, hvl_ccb and several laboratories' drivers use them. By practice only:
text of VE and ID, decimals, which commands a state refuses beside moves and searches. Only the addressed controller answers, with address and
command in front of the value; sets answer nothing and leave a letter for TE.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from evapd_sim.plant import Plant
from evapd_sim.stage import StageAxis
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import flag, read_float

_ERRORS = {
    "@": "No error.", "A": "Unknown message code or floating point controller address.", "B": "Controller address not correct.",
    "C": "Parameter missing or out of range.", "D": "Execution not allowed.", "E": "Home sequence already started.",
    "G": "Displacement out of limits.", "H": "Execution not allowed in NOT REFERENCED state.",
    "I": "Execution not allowed in CONFIGURATION state.", "J": "Execution not allowed in DISABLE state.",
    "K": "Execution not allowed in READY state.", "L": "Execution not allowed in HOMING state.",
    "M": "Execution not allowed in MOVING state.",
}  # fmt: skip
_FROM_CONFIGURATION = 0x0C
_NOT_REFERENCED, _FROM_HOMING, _HOMING, _MOVING = 0x0A, 0x0B, 0x1E, 0x28
_READY_HOMED, _READY_MOVED, _READY_ENABLED, _DISABLED = 0x32, 0x33, 0x34, 0x3C
_END_OF_RUN = {-1: 0x0001, 1: 0x0002}
# What a controller keeps for the drive and its stage; of no effect here.
_SETTINGS = {
    "BA": "0.00300", "BH": "0", "DV": "48", "FD": "2000", "FE": "1", "FF": "0", "FRM": "20", "FRS": "0.02000", "JM": "1", "JR": "0.04000", "KD": "4.00000",
    "KI": "30.00000", "KP": "3.00000", "KV": "0", "OH": "4.00000", "OT": "11.50000", "QIL": "0.36000", "QIR": "0.18000", "QIT": "0.40000", "SA": "1",
    "SB": "0", "SC": "1", "SU": "0.000035", "VB": "0", "ZX": "2", "HT": "2",
}  # fmt: skip
_COMMAND = re.compile(r"(?P<address>[0-9]{0,2})(?P<name>FRM|FRS|QIL|QIR|QIT|[A-Z]{2})(?P<rest>.*)")
_CONFIGURATION = 0x14
_LETTER_OF = {_CONFIGURATION: "I", _NOT_REFERENCED: "H", _HOMING: "L", _MOVING: "M", _DISABLED: "J"}


class _Refused(Exception):
    """The controller does not do it; TE tells the letter."""

    def __init__(self, letter: str) -> None:
        super().__init__(letter)
        self.letter = letter


@dataclass(slots=True)
class _Controller:
    """One controller and its stage."""

    axis: StageAxis
    state: int = _NOT_REFERENCED
    error: str = "@"
    stage: str = ""
    target_mm: float = 0.0
    low_mm: float = -25.0
    high_mm: float = 25.0
    acceleration: float = 20.0
    fault: int = 0  # bits of the positioner error
    settings: dict[str, str] = field(default_factory=lambda: dict(_SETTINGS))

    @property
    def refusing(self) -> str:
        """Letter by which its state refuses, "" in READY."""
        if self.state == _CONFIGURATION:
            return "I"
        kind = _NOT_REFERENCED if self.state < _HOMING else min(_DISABLED, self.state)
        return _LETTER_OF.get(kind, "")


class NewportSmc100Wire(LineWire):
    """SMC100 controllers in a chain; address n (from 1) drives axis n - 1 of the plant's stage.

    Attributes:
        controllers: by their address.

    Args:
        plant: the physical quantities.
        model: as in VE.
        addresses: how many controllers there are, 1 to 3.
        stage: what ID? tells.
        referenced: their state at power-on, as if left switched on.
        baud: bit/s; 57600, CONEX 921600.
    """

    max_length = 80

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "SMC_CC - Controller-driver version  3. 1. 2",
        addresses: int = 1,
        stage: str = "TRA25CC",
        referenced: bool = False,
        baud: int = 57_600,
    ) -> None:
        super().__init__(plant, baud=baud)
        if not 1 <= addresses <= len(plant.stage.axes):
            raise ValueError(f"{addresses} controllers, the stage has {len(plant.stage.axes)} axes")
        self._version = model
        self.controllers = {
            place + 1: _Controller(axis, stage=stage)
            for place, axis in enumerate(plant.stage.axes[:addresses])
        }
        if referenced:
            for controller in self.controllers.values():
                controller.axis.referenced, controller.state = True, _READY_HOMED
        self._told = self._make_told()
        self._done = self._make_done()
        self._numbers = self._make_numbers()

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - the stage keeps its own time
        self.plant.stage.advance_to(self.now_s)
        for controller in self.controllers.values():
            axis = controller.axis
            if controller.state == _HOMING and not axis.moving:
                controller.state = _READY_HOMED if axis.referenced else _FROM_HOMING
                controller.target_mm = 0.0
            elif controller.state == _MOVING and not axis.moving:
                controller.state = _READY_MOVED
                controller.fault |= _END_OF_RUN.get(axis.at_stop, 0)

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        return b""

    def _answer(self, line: str) -> bytes:
        found = _COMMAND.fullmatch(line.replace(" ", "").upper())  # blanks are ignored in any position
        if found is None:
            return b""  # nobody is addressed
        if not found["address"]:
            if found["name"] in {"ST", "RS"}:  # to all
                for each in self.controllers.values():
                    self._carry_out(each, found["name"], "")
            return b""
        address, name = int(found["address"]), found["name"]
        controller = self.controllers.get(address)
        if controller is None:
            return b""
        answer = self._carry_out(controller, name, found["rest"].strip())
        if answer is None:
            return b""
        head = "" if name == "ZT" else f"{address}{name}"  # each line of ZT has its own
        return f"{head}{answer}\r\n".encode("latin-1")

    def _carry_out(self, controller: _Controller, name: str, rest: str) -> str | None:
        try:
            if name == "ZT":
                return self._all_settings(controller)
            if name == "PT":  # how long a move takes
                way_mm = read_float(rest)
                return f"{abs(way_mm or 0.0) / controller.axis.velocity_mm_per_s:.5f}"
            if name == "TB":
                letter = rest[:1] or controller.error
                return f"{letter} {_ERRORS.get(letter, 'Unknown error.')}"
            if name in self._told and rest in {"", "?"} and (rest or name not in self._numbers):
                return self._told[name](controller)
            if name in self._done and (
                not rest or (name, rest) == ("RS", "##")
            ):  # the latter of a CONEX: its address, too
                self._done[name](controller)
            else:
                self._set(controller, name, rest)
        except _Refused as refusal:
            controller.error = refusal.letter
        return None

    def _all_settings(self, controller: _Controller) -> str:
        """Every setting on a line of its own, between PW1 and PW0, each with the address."""
        address = next(number for number, one in self.controllers.items() if one is controller)
        kept = {name: self._told[name](controller) for name in ("ID", "AC", "SL", "SR", "VA")}
        lines = [f"{address}{name}{value}" for name, value in (kept | controller.settings).items()]
        return "\r\n".join((f"{address}PW1", *lines, f"{address}PW0"))

    def _set(self, controller: _Controller, name: str, rest: str) -> None:
        if name not in self._numbers:
            raise _Refused("A")
        value = read_float(rest)
        if value is None:
            raise _Refused("C")
        self._numbers[name](controller, value)

    # -- what a controller tells and does ---------------------------------------------------------------------------

    def _make_told(self) -> dict[str, Callable[[_Controller], str]]:
        return {
            "VE": lambda _: f" {self._version}",
            "ID": lambda controller: controller.stage,
            "TP": lambda controller: f"{controller.axis.encoder_mm:.5f}",
            "TH": lambda controller: f"{controller.axis.profile_mm - controller.axis.origin_mm:.5f}",
            "TS": lambda controller: f"{controller.fault:04X}{controller.state:02X}",
            "TE": self._tell_error,
            "PA": lambda controller: f"{controller.target_mm:.5f}",
            "VA": lambda controller: f"{controller.axis.velocity_mm_per_s:.5f}",
            "AC": lambda controller: f"{controller.acceleration:.5f}",
            "SL": lambda controller: f"{controller.low_mm:.5f}",
            "SR": lambda controller: f"{controller.high_mm:.5f}",
            "MM": lambda controller: f"{controller.state:02X}",
            "PW": lambda controller: flag(controller.state == _CONFIGURATION),
            "RA": lambda _: "0.00000",  # inputs and outputs for anything else
            "RB": lambda _: "0",
            **{name: _kept(name) for name in _SETTINGS},
        }

    def _tell_error(self, controller: _Controller) -> str:
        letter, controller.error = controller.error, "@"
        return letter

    def _make_done(self) -> dict[str, Callable[[_Controller], None]]:
        return {"OR": self._home, "ST": self._halt, "RS": self._reset, "SE": lambda _: None}

    def _make_numbers(self) -> dict[str, Callable[[_Controller, float], None]]:
        return {
            "PA": self._move,
            "PR": lambda controller, mm: self._move(controller, controller.target_mm + mm),
            "MM": self._mode,
            "VA": self._set_velocity,
            "AC": lambda controller, value: setattr(controller, "acceleration", value),
            "SL": lambda controller, mm: setattr(controller, "low_mm", mm),
            "SR": lambda controller, mm: setattr(controller, "high_mm", mm),
            "PW": self._configure,
            **{name: _keeper(name) for name in _SETTINGS},
        }

    def _home(self, controller: _Controller) -> None:
        if controller.state == _CONFIGURATION:
            raise _Refused("I")
        if controller.state >= _HOMING:
            raise _Refused("E" if controller.state == _HOMING else controller.refusing or "K")
        controller.state = _HOMING
        controller.axis.seek()

    def _halt(self, controller: _Controller) -> None:
        if controller.state not in {_HOMING, _MOVING}:
            raise _Refused(controller.refusing or "K")
        controller.axis.halt()
        controller.target_mm = controller.axis.encoder_mm
        controller.state = _FROM_HOMING if controller.state == _HOMING else _READY_MOVED

    def _reset(self, controller: _Controller) -> None:
        controller.axis.lose_power()
        controller.state, controller.error, controller.target_mm, controller.fault = (
            _NOT_REFERENCED,
            "@",
            0.0,
            0,
        )

    def _move(self, controller: _Controller, mm: float) -> None:
        if controller.refusing:
            raise _Refused(controller.refusing)
        if not controller.low_mm <= mm <= controller.high_mm:
            raise _Refused("G")
        controller.target_mm = mm
        controller.state = _MOVING
        controller.axis.move(mm)

    def _mode(self, controller: _Controller, on: float) -> None:
        if on not in (0.0, 1.0):
            raise _Refused("C")
        if controller.refusing and not (on and controller.state == _DISABLED):
            raise _Refused(controller.refusing)
        controller.state = _READY_ENABLED if on else _DISABLED

    def _configure(self, controller: _Controller, on: float) -> None:
        """PW1 from a state without reference into CONFIGURATION, PW0 back."""
        if controller.state >= _HOMING or on not in (0.0, 1.0):
            raise _Refused(controller.refusing or "D")
        controller.state = _CONFIGURATION if on else _FROM_CONFIGURATION

    def _set_velocity(self, controller: _Controller, mm_per_s: float) -> None:
        if not 0.0 < mm_per_s <= 100.0:
            raise _Refused("C")
        controller.axis.velocity_mm_per_s = mm_per_s


def _kept(name: str) -> Callable[[_Controller], str]:
    return lambda controller: controller.settings[name]


def _keeper(name: str) -> Callable[[_Controller, float], None]:
    def keep(controller: _Controller, value: float) -> None:
        controller.settings[name] = f"{value:g}"

    return keep
