"""TDK-Lambda Genesys laboratory supply, as its cable shows it: the charger of a high-voltage pulser.

Source: user manual 83-507-013, chapter 7, as open clients and emulators use it. Assumed, because nobody documents it: in LOCAL by the signal
at the rear, sets are acknowledged and do nothing; how long a number is (five figures).
"""

import re
from collections.abc import Callable
from functools import partial

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_float, read_integer
from evapd_sim.wire.supply_faults import SupplyFaults

_UNKNOWN, _MISSING, _ILLEGAL, _CHECKSUM, _RANGE = "C01", "C02", "C03", "C04", "C05"
_ABOVE_OVP, _BELOW_UVL, _OVP_LOW, _UVL_HIGH, _SHUT = "E01", "E02", "E04", "E06", "E07"
_ADJUSTABLE = 1.05  # set values go to 105 % of the rated ones
_MARGIN = 0.05  # between set value and protections
_SWITCH = {"1": True, "ON": True, "0": False, "OFF": False}
_REMOTE = {"0": "LOC", "1": "REM", "2": "LLO"}
_FOLD, _OVP, _ENABLE = 3, 4, 7  # places in the fault register
_LINE = re.compile(r"([^\s0-9.+-]+)\s*(.*)")  # a number may follow its command without a blank
_GLOBAL = {"GRST": "RST", "GPV": "PV", "GPC": "PC", "GOUT": "OUT", "GSAV": "SAV", "GRCL": "RCL"}
_DELAYS = frozenset(map(str, range(256)))
_FILTERS = frozenset({"18", "23", "46"})
_MASKS = frozenset(text for mask in range(256) for text in (f"{mask:X}", f"{mask:02X}"))
OK = "OK"


class TdkGenesysWire(SupplyFaults, LineWire):
    """A Genesys. It drives `plant.pulse`: `demand_v` follows set value, output and current limit.

    Args:
        plant: the physical quantities.
        model: type with rated voltage and current, `GEN150-10`.
        serial: serial number.
        address: to which it listens, 0 to 30.
        addressed: whether it was spoken to before, and waits for no ADR.
        baud: bit/s set in the instrument.
    """

    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "GEN150-10",
        serial: str = "07A123-0001",
        address: int = 6,
        addressed: bool = False,
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        volts, _, amperes = model.removeprefix("GEN").partition("-")
        rated_v, rated_a = read_float(volts), read_float(amperes)
        if not rated_v or not rated_a:
            raise ValueError(f"'{model}' is no type such as 'GEN150-10'")
        self.supply = plant.pulse
        self.rated_v, self.rated_a = rated_v, rated_a
        self._model = model
        self.renumber(serial)
        self.address = address
        self.local = False  # the signal at the rear, which no command overrules
        self._mode = "LOC"
        self._addressed = addressed
        self._last = ""
        self.set_v = self.set_a = 0.0
        self._ovp_v, self._uvl_v = 1.1 * self.rated_v, 0.0
        self.output_on = False
        self._returns = False  # when the interlock closes
        self._latched: set[int] = set()
        self._flags = {"FLD": False, "AST": False}
        self._kept = {"FENA": "00", "SENA": "00", "FBD": "0", "FILTER": "18"}
        self._queries = self._make_queries()
        self._sets = self._make_sets()

    @property
    def limited(self) -> bool:
        """Whether the load would draw more than is allowed."""
        return self.output_on and self.set_v > self.set_a * self.supply.ohm

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Turn the knob as a person does, with or without remote control."""
        with self.plant.lock:
            self.set_v = self.set_v if v_set_v is None else min(max(v_set_v, 0.0), self.rated_v)
            self.output_on = self.output_on if output is None else output
            self._drive()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.serial = serial

    def trip(self) -> None:
        """Switch the output off, as the over-voltage protection does; switching it on again clears that."""
        self._fail(_OVP)

    def go_local(self, *, local: bool) -> None:
        """Set the signal at the rear: remote control is lost and refused; afterwards it must be asked for anew."""
        self.local = local
        self._mode = "LOC" if local else self._mode

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the enable contact. The output returns by itself where it does not latch."""
        if is_open:
            self._returns = self.output_on and not latches
            self.output_on = False
        else:
            self.output_on = self.output_on or self._returns
        self.supply.interlock_open = is_open
        self._drive()

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - this one follows at once
        if self._flags["FLD"] and self.limited:
            self._fail(_FOLD)
        self._drive()

    def _fail(self, fault: int) -> None:
        self._latched.add(fault)
        self.output_on = False
        self._drive()

    def _drive(self) -> None:
        allowed_v = self.set_a * self.supply.ohm
        self.supply.demand_v = min(self.set_v, allowed_v) if self.output_on else 0.0

    # -- commands ---------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        return self._said(_UNKNOWN) if self._addressed else b""

    def _said(self, text: str) -> bytes:
        return f"{text}\r".encode("ascii")

    def _answer(self, line: str) -> bytes:
        line = self._last if line == "\\" else line
        self._last = line
        text, dollar, signature = line.partition("$")
        if dollar and self._addressed and signature.upper() != _sum(text):
            return self._said(_CHECKSUM)
        found = _LINE.fullmatch(text.upper())
        name, argument = found.groups() if found else (text.upper(), "")
        if name in _GLOBAL:
            self._everybody(_GLOBAL[name], argument.strip())
            return b""
        if name == "ADR":
            self._addressed = read_integer(argument) == self.address
        if not self._addressed:
            return b""
        reply = self._command(name, argument.strip())
        self._advanced(0.0)  # a command acts at once
        return self._said(reply + (f"${_sum(reply)}" if dollar else ""))

    def _everybody(self, name: str, argument: str) -> None:
        """Carry out a command that all units on the line take, and none answers."""
        self._command(name, argument)
        self._advanced(0.0)

    def _command(self, name: str, argument: str) -> str:
        if name == "ADR":
            return OK
        if name in self._queries:
            return _ILLEGAL if argument else self._queries[name]()
        if name not in self._sets:
            return _UNKNOWN
        wants, action = self._sets[name]
        if wants != bool(argument):
            return _MISSING if wants else _ILLEGAL
        if name not in {"RMT", "CLS"}:
            if self.local:
                return OK
            self._mode = "REM" if self._mode == "LOC" else self._mode  # every set takes remote control
        return action(argument)

    def _make_sets(self) -> dict[str, tuple[bool, Callable[[str], str]]]:
        """Make the table of sets: whether there is an argument, and what is done; it gives OK or an error."""
        table: dict[str, tuple[bool, Callable[[str], str]]] = {
            "RMT": (True, self._set_remote), "PV": (True, self._set_voltage), "PC": (True, self._set_current),
            "OUT": (True, self._set_output), "OVP": (True, self._set_ovp), "UVL": (True, self._set_uvl),
            "FLD": (True, lambda argument: self._set_flag("FLD", argument)),
            "AST": (True, lambda argument: self._set_flag("AST", argument)),
            "OVM": (False, self._maximise_ovp), "RST": (False, self._reset), "CLS": (False, lambda _: OK),
            "SAV": (False, lambda _: OK), "RCL": (False, lambda _: OK),
            "FBDRST": (False, self._no_delay), "FDBRST": (False, self._no_delay),
        }  # fmt: skip
        return table | {name: (True, partial(self._keep, name)) for name in self._kept}

    def _keep(self, name: str, argument: str) -> str:
        """Take the mask of a register in hexadecimal figures, the fold-back's delay in 0.1 s, or a filter in Hz; they have no effect here."""
        if name == "FBD" and argument.isdecimal():
            argument = argument.lstrip("0") or "0"
        allowed = {"FBD": _DELAYS, "FILTER": _FILTERS}.get(name, _MASKS)
        if argument not in allowed:
            return _ILLEGAL
        self._kept[name] = argument
        return OK

    def _no_delay(self, _: str) -> str:
        self._kept["FBD"] = "0"
        return OK

    def _set_remote(self, argument: str) -> str:
        mode = _REMOTE.get(argument, argument)
        if mode not in _REMOTE.values():
            return _ILLEGAL
        self._mode = "LOC" if self.local else mode
        return OK

    def _set_voltage(self, argument: str) -> str:
        value, error = _value(argument, self.rated_v)
        if error == OK and value > self._ovp_v * (1 - _MARGIN) + 1e-9:
            error = _ABOVE_OVP
        if error == OK and value < self._uvl_v * (1 + _MARGIN) - 1e-9:
            error = _BELOW_UVL
        self.set_v = value if error == OK else self.set_v
        return error

    def _set_current(self, argument: str) -> str:
        value, error = _value(argument, self.rated_a)
        self.set_a = value if error == OK else self.set_a
        return error

    def _set_output(self, argument: str) -> str:
        if argument not in _SWITCH:
            return _ILLEGAL
        on = _SWITCH[argument]
        if on and self.supply.interlock_open:
            return _SHUT
        self._returns = self._returns and on
        self._latched.clear()
        self.output_on = on
        return OK

    def _set_ovp(self, argument: str) -> str:
        value = read_float(argument)
        if value is None:
            return _ILLEGAL
        if value < self.set_v * (1 + _MARGIN) - 1e-9:
            return _OVP_LOW
        self._ovp_v = value if value <= 1.1 * self.rated_v else self._ovp_v
        return OK if value <= 1.1 * self.rated_v else _RANGE

    def _set_uvl(self, argument: str) -> str:
        value = read_float(argument)
        if value is None or value < 0.0:
            return _ILLEGAL
        if value > self.set_v * (1 - _MARGIN) + 1e-9:
            return _UVL_HIGH
        self._uvl_v = value
        return OK

    def _set_flag(self, name: str, argument: str) -> str:
        if argument not in _SWITCH:
            return _ILLEGAL
        self._flags[name] = _SWITCH[argument]
        return OK

    def _maximise_ovp(self, _: str) -> str:
        self._ovp_v = 1.1 * self.rated_v
        return OK

    def _reset(self, _: str) -> str:
        self.output_on = self._returns = False
        self.set_v = self.set_a = self._uvl_v = 0.0
        self._ovp_v, self._mode = 1.1 * self.rated_v, "REM"
        self._flags = dict.fromkeys(self._flags, False)
        return OK

    # -- what queries say -------------------------------------------------------------------------------------------

    def _make_queries(self) -> dict[str, Callable[[], str]]:
        def mv() -> str:
            return _figures(self.readback(self.supply.v_v))

        def mc() -> str:
            return _figures(self.supply.i_a)

        def pv() -> str:
            return _figures(self.set_v)

        def pc() -> str:
            return _figures(self.set_a)

        return {
            "IDN?": lambda: f"LAMBDA,{self._model}",
            "REV?": lambda: "REV:1U:4.3",
            "SN?": lambda: self.serial,
            "DATE?": lambda: "2015/01/22",
            "RMT?": lambda: self._mode,
            "MDAV?": lambda: "1",
            "MS?": lambda: "1",
            "PV?": pv, "MV?": mv, "PC?": pc, "MC?": mc,
            "MODE?": lambda: "OFF" if not self.output_on else "CC" if self.limited else "CV",
            "DVC?": lambda: f"{mv()},{pv()},{mc()},{pc()},{_figures(self._ovp_v)},{_figures(self._uvl_v)}",
            "STT?": lambda: f"MV({mv()}),PV({pv()}),MC({mc()}),PC({pc()}),SR({self._status():02X}),FR({self._faults():02X})",
            "OUT?": lambda: "ON" if self.output_on else "OFF",
            "OVP?": lambda: _figures(self._ovp_v),
            "UVL?": lambda: _figures(self._uvl_v),
            "FLD?": lambda: "ON" if self._flags["FLD"] else "OFF",
            "AST?": lambda: "ON" if self._flags["AST"] else "OFF",
            "FLT?": lambda: f"{self._faults():02X}",
            "STAT?": lambda: f"{self._status():02X}",
            "FEVE?": lambda: f"{self._faults():02X}",
            "SEVE?": lambda: f"{self._status():02X}",
            **{f"{name}?": partial(self._kept.__getitem__, name) for name in self._kept},
        }  # fmt: skip

    def _faults(self) -> int:
        present = set(self._latched) | ({_ENABLE} if self.supply.interlock_open else set())
        return sum(1 << place for place in present)

    def _status(self) -> int:
        """Give the status register: 0 constant voltage, 1 constant current, 2 no fault, 3 fault, 4 auto start, 5 fold-back, 7 local."""
        faulty = bool(self._faults())
        bits = (
            self.output_on and not self.limited, self.limited, not faulty, faulty, self._flags["AST"], self._flags["FLD"],
            False, self._mode == "LOC",
        )  # fmt: skip
        return sum(bit << place for place, bit in enumerate(bits))


def _figures(value: float) -> str:
    """Write five figures and a point."""
    whole = len(str(int(abs(value))))
    return f"{value:.{max(0, 5 - whole)}f}"


def _value(argument: str, rated: float) -> tuple[float, str]:
    """Read a set value; give it and OK or an error."""
    value = read_float(argument)
    if value is None:
        return 0.0, _ILLEGAL
    return value, OK if 0.0 <= value <= rated * _ADJUSTABLE else _RANGE


def _sum(text: str) -> str:
    return f"{sum(text.encode('ascii')) & 0xFF:02X}"
