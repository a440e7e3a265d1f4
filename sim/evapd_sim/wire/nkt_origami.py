"""NKT Photonics ORIGAMI XP and XPS femtosecond laser in its command line interface, as its cable shows it.

Sources: command list and behaviour as open clients use them (PyCCAPT's `origamiClassCLI` and two laboratories' own drivers); the
maker's manual was not seen. Several clients agree: the commands, the echo, `ly_oxp2_dev_status <bits>`, the index of `e_freq`, and
the words around numbers. By practice only: the error texts, and that `ly_oxp2_enabled` opens the output gate by itself. The laser is taken to be
triggered from outside: it fires at most at its own rate.
"""

import re
from collections.abc import Callable
from typing import Literal

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_float, read_integer

State = Literal["listen", "setup", "standby", "on"]

RATES_HZ = {
    0: 50_000.0, 1: 100_000.0, 2: 200_000.0, 3: 299_625.0, 4: 400_000.0, 5: 500_000.0, 6: 597_015.0, 7: 707_965.0,
    8: 800_000.0, 9: 898_876.0, 10: 1_000_000.0,
}  # fmt: skip
FULL_SCALE = 4000  # of e_power
_ON_ENABLED, _ON_DISABLED, _STANDBY, _SETUP, _LISTEN, _WARNING, _ERROR, _POWER = 128, 64, 32, 16, 8, 4, 2, 1
_BITS: dict[State, int] = {"listen": _LISTEN, "setup": _SETUP, "standby": _STANDBY}
_WORDS = {
    "listen": "listen state", "setup": "setup", "standby": "standby", "on": "ON disabled state", "open": "ON enabled state",
}  # fmt: skip
_REFUSED, _UNKNOWN = "Error 5", "Unknown command"
_MOST_DIVISION = 1_000_000
_MOST_PUMP = 100_000.0
_COMMAND = re.compile(r"(?P<name>[a-z0-9_]+)(?P<query>\?)?(?:(?:\s*=\s*|\s+)(?P<value>\S+))?")
# Words before a number; others answer with the command's name and a blank.
_VERBOSE = {
    "e_power": "Setted laser power in relative unit: ",
    "e_freq": "Frequency index parameter: ",
    "e_div": "Notice: Division factor for PCAOM is ",
    "e_mode": "e_mode of AOM: ",
    "e_mlp": "",
}


class NktOrigamiWire(LineWire):
    """An ORIGAMI XP. It drives `plant.laser`: emission, gate, energy of a pulse at the specimen, its own rate.

    Args:
        plant: the physical quantities.
        state: at power-on, as it was left.
        warm_up_s: from listen to standby.
        pj_per_unit: what one unit of `e_power` really gives at the specimen.
        nj_per_unit: the same at the laser's own energy monitor, which does not see what the beam line loses.
        monitor: unit in which `e_mlp?` answers.
        dialect: `verbose` has words around numbers, `terse` always answers `name value`.
        echo: a command comes back before its answer.
        prompt: `>` follows every answer.
        frequency: whether `e_freq?` tells the index of a rate or the rate in Hz.
        enable_opens: `ly_oxp2_enabled` opens the output gate.
        baud: bit/s set in the instrument.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        state: Literal["listen", "standby"] = "standby",
        warm_up_s: float = 5.0,
        pj_per_unit: float = 0.025,
        nj_per_unit: float = 10.0,
        monitor: Literal["nJ", "mW"] = "nJ",
        dialect: Literal["verbose", "terse"] = "verbose",
        echo: bool = True,
        prompt: bool = False,
        frequency: Literal["index", "hz"] = "index",
        enable_opens: bool = True,
        baud: int = 38_400,
    ) -> None:
        super().__init__(plant, baud=baud)
        self.state: State = state
        self.error = False  # an open interlock or a fault of its own: it does not emit, and says so
        self.warning = False
        self.dialect = dialect
        self.power = 0  # e_power
        self.division = 1
        self.gate_open = False
        self._index = 2
        self._pump = 0.0
        self._mode, self._gate_logic = 2, 0
        self._interbus = False  # the command line interface is dead
        self._warm_in_s = 0.0
        self._warm_up_s = warm_up_s
        self._pj_per_unit, self._nj_per_unit = pj_per_unit, nj_per_unit
        self._monitor, self._frequency = monitor, frequency
        self._echo, self._prompt, self._enable_opens = echo, prompt, enable_opens
        self._queries = self._make_queries()
        self._commands = self._make_commands()
        self._sets = self._make_sets()
        plant.laser.present = True

    @property
    def rate_hz(self) -> float:
        """Pulses per second that it can give."""
        return RATES_HZ[self._index] / self.division

    def trip(self, *, is_open: bool) -> None:
        """Open or close its interlock; an open one ends the emission, closing it does not begin it again."""
        with self.plant.lock:
            self.error = is_open
            if is_open and self.state == "on":
                self._go("standby")
            self._advanced(0.0)

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:
        if self.state == "setup":
            self._warm_in_s -= dt_s
            if self._warm_in_s <= 0.0:
                self.state = "standby"
        laser = self.plant.laser
        laser.emission, laser.shutter_open = self.state == "on", self.gate_open
        laser.energy_pj, laser.rate_hz = self._pj_per_unit * self.power, self.rate_hz

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        return b"" if self._interbus else self._told([_UNKNOWN])

    def _answer(self, line: str) -> bytes:
        if self._interbus:
            return b""
        answer = self._command(line)
        self._advanced(0.0)  # a command acts at once
        return self._told([line, *answer] if self._echo else answer)

    def _told(self, lines: list[str]) -> bytes:
        text = "".join(f"{line}\n" for line in lines) + ">" * self._prompt
        return text.encode("latin-1")

    def _command(self, text: str) -> list[str]:
        found = _COMMAND.fullmatch(text)
        if found is None:
            return [_UNKNOWN]
        name, value = found["name"], found["value"]
        if value is None and name in self._queries and (found["query"] or name not in self._sets):
            return self._queries[name]()
        if found["query"]:
            return [_UNKNOWN]
        if value is not None and name in self._sets:
            return [] if self._sets[name](value) else [_REFUSED]
        if value is None and name in self._commands:
            return [] if self._commands[name]() else [_REFUSED]
        return [_UNKNOWN]

    def _number(self, name: str, value: object) -> list[str]:
        words = _VERBOSE.get(name) if self.dialect == "verbose" else None
        return [f"{name} {value}" if words is None else f"{words}{value}"]

    # -- what it is asked -------------------------------------------------------------------------------------------

    def _make_queries(self) -> dict[str, Callable[[], list[str]]]:
        return {
            "ly_oxp2_dev_status": lambda: self._number("ly_oxp2_dev_status", self._status()),
            "ly_oxp2_mode": self._mode_words,
            "ly_oxp2_output": lambda: self._number("ly_oxp2_output", 0 if self.gate_open else 1),
            "ly_oxp2_power": lambda: self._number("ly_oxp2_power", f"{self._pump:g}"),
            "ly_oxp2_digiop": lambda: self._number("ly_oxp2_digiop", self._gate_logic),
            "ly_oxp2_temp_status": lambda: self._number("ly_oxp2_temp_status", int(self.state != "setup")),
            "e_power": lambda: self._number("e_power", self.power),
            "e_freq": self._frequency_told,
            "e_freq_available": self._rates_told,
            "e_div": lambda: self._number("e_div", self.division),
            "e_mode": lambda: self._number("e_mode", self._mode),
            "e_mlp": lambda: self._number("e_mlp", self._monitored()),
        }

    def _status(self) -> int:
        state = _BITS.get(self.state, _ON_ENABLED if self.gate_open else _ON_DISABLED)
        return state | _WARNING * self.warning | _ERROR * self.error | _POWER

    def _mode_words(self) -> list[str]:
        if self.dialect == "terse":
            return self._number("ly_oxp2_mode", self._status())
        return [f"Laser status: {_WORDS['open' if self.state == 'on' and self.gate_open else self.state]}"]

    def _frequency_told(self) -> list[str]:
        if self._frequency == "index":
            return self._number("e_freq", self._index)
        return [f"e_freq {RATES_HZ[self._index]:.0f}"]

    def _rates_told(self) -> list[str]:
        lines = [f"\t e_freq={index}\t--> {hz:.0f} Hz" for index, hz in RATES_HZ.items()]
        return ["Available repetition rates:", *lines]

    def _monitored(self) -> str:
        """Energy of a pulse, or mean power, behind the gate; a drift of the source shows, a beam that walks off does not."""
        lit = self.state == "on" and self.gate_open
        nanojoule = self._nj_per_unit * self.power * self.plant.laser.drift if lit else 0.0
        if self._monitor == "nJ":
            return f"{nanojoule:.1f} nJ"
        return f"{nanojoule * self.rate_hz * 1e-6:.3f} mW"

    # -- what it is told --------------------------------------------------------------------------------------------

    def _make_commands(self) -> dict[str, Callable[[], bool]]:
        return {
            "ly_oxp2_listen": lambda: self._go("listen"),
            "ly_oxp2_standby": self._stand_by,
            "ly_oxp2_enabled": self._enable,
            "ly_oxp2_output_enable": lambda: self._gate(is_open=True),
            "ly_oxp2_output_disable": lambda: self._gate(is_open=False),
        }

    def _make_sets(self) -> dict[str, Callable[[str], bool]]:
        return {
            "e_power": lambda text: self._take("power", read_integer(text), 0, FULL_SCALE),
            "e_div": lambda text: self._take("division", read_integer(text), 1, _MOST_DIVISION),
            "e_mode": lambda text: self._take("_mode", read_integer(text), 0, 4),
            "e_freq": self._set_frequency,
            "ly_oxp2_power": lambda text: self._take("_pump", read_float(text), 0, _MOST_PUMP),
            "ly_oxp2_digiop": lambda text: self._take("_gate_logic", read_integer(text), 0, 3),
            "ly_oxp2_nktpbus": self._leave,
        }

    def _take(self, name: str, value: float | None, low: float, high: float) -> bool:
        if value is None or not low <= value <= high:
            return False
        setattr(self, name, value)
        return True

    def _set_frequency(self, text: str) -> bool:
        """Take an index or, as some clients send it, a rate in Hz; not while it emits."""
        value = read_integer(text)
        by_hz = {round(hz): index for index, hz in RATES_HZ.items()}
        index = value if value in RATES_HZ else by_hz.get(value or -1)
        if index is None or self.state == "on":
            return False
        self._index = index
        return True

    def _go(self, state: State) -> bool:
        self.state, self.gate_open = state, False
        return True

    def _stand_by(self) -> bool:
        if self.state in ("listen", "setup"):
            self._warm_in_s = self._warm_in_s if self.state == "setup" else self._warm_up_s
            return self._go("setup")
        return self._go("standby")

    def _enable(self) -> bool:
        if self.error or self.state in ("listen", "setup"):
            return False
        self.gate_open = self.gate_open or self._enable_opens
        self.state = "on"
        return True

    def _gate(self, *, is_open: bool) -> bool:
        self.gate_open = is_open
        return True

    def _leave(self, text: str) -> bool:
        self._interbus = text == "1"
        return True
