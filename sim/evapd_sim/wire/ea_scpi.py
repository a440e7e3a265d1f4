"""Elektro-Automatik laboratory supply with SCPI, as its cable shows it: the charger of a high-voltage pulser.

Source: EA SCPI programming guide as open clients use it. By practice only: the unit behind a number, the error texts, and -221 for
a set without remote control.
"""

from collections import deque
from collections.abc import Callable
from functools import partial

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_float
from evapd_sim.wire.supply_faults import SupplyFaults

_COMMAND_ERROR, _CONFLICT, _RANGE, _OVERRUN = -100, -221, -222, -363
_TEXTS = {
    0: "No error",
    _COMMAND_ERROR: "Command error",
    _CONFLICT: "Settings conflict",
    _RANGE: "Data out of range",
    _OVERRUN: "Input buffer overrun",
}
_QUEUE = 5
_ADJUSTABLE = 1.02  # set values go to 102 % of the rated ones
_PROTECTED = 1.1  # protections to 110 %
_SWITCH = {"ON": True, "1": True, "OFF": False, "0": False}
# Every node may be written in its short or its long form.
_LONG = {
    "VOLTAGE": "VOLT", "CURRENT": "CURR", "OUTPUT": "OUTP", "MEASURE": "MEAS", "SYSTEM": "SYST", "OWNER": "OWN",
    "ERROR": "ERR", "NOMINAL": "NOM", "POWER": "POW", "ARRAY": "ARR", "SOURCE": "SOUR", "STATE": "STAT", "NEXT": "",
    "LIMIT": "LIM", "PROTECTION": "PROT", "LEVEL": "LEV", "ENABLE": "ENAB",
}  # fmt: skip


class EaScpiWire(SupplyFaults, LineWire):
    """An EA PSI 9000. It drives `plant.pulse`: `demand_v` follows set value, output and current limit.

    Args:
        plant: the physical quantities.
        model: type in `*IDN?`.
        serial: serial number.
        firmware: version in `*IDN?`.
        rated_v: rated voltage in V.
        rated_a: rated current in A.
        rated_w: rated power in W; what is set below it is told, and limits nothing.
        unit_text: what stands between a number and its unit, and the unit itself where True.
        baud: bit/s; USB instruments ignore it, the simulated one takes it seriously.
    """

    ends = b"\n\r"
    max_length = 250
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "PSI 9200-15",
        serial: str = "1234560001",
        firmware: str = "V2.05",
        rated_v: float = 200.0,
        rated_a: float = 15.0,
        rated_w: float = 1000.0,
        unit_text: bool = True,
        baud: int = 115_200,
    ) -> None:
        super().__init__(plant, baud=baud)
        self.supply = plant.pulse
        self._model, self._firmware = model, firmware
        self.renumber(serial)
        self.rated_v = rated_v
        self.rated_a = rated_a
        # Everything else that is set, by its path: power, limits of adjustment, protections.
        self._rated = {"VOLT": (rated_v, "V"), "CURR": (rated_a, "A"), "POW": (rated_w, "W")}
        self._kept = self._factory()
        self.unit_text = unit_text
        self.remote = False
        self.local = False  # the panel is locked for its user: remote control is refused
        self.output_on = False
        self._returns = False  # when the interlock closes
        self.set_v = 0.0
        self.set_a = rated_a
        self._errors: deque[int] = deque(maxlen=_QUEUE)
        self._queries = self._make_queries()
        self._sets = {
            "*CLS": self._clear,
            "*RST": self._reset,
            "SYST:LOCK": self._lock,
            "VOLT": self._set_voltage,
            "CURR": self._set_current,
            "OUTP": self._set_output,
        }

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Turn the knob as a person does, with or without remote control."""
        with self.plant.lock:
            self.set_v = self.set_v if v_set_v is None else min(max(v_set_v, 0.0), self.rated_v)
            self.output_on = self.output_on if output is None else output
            self._advanced(0.0)

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.identity = f"EA Elektro-Automatik GmbH & Co. KG,{self._model},{serial},{self._firmware}"

    def trip(self) -> None:
        """Switch the output off, as an over-voltage or over-temperature alarm does."""
        self.output_on = False
        self._advanced(0.0)

    def go_local(self, *, local: bool) -> None:
        """Lock it to its panel: remote control is lost and refused; afterwards it must be asked for anew."""
        self.local = local
        self.remote = self.remote and not local

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the remote shut-down input. The output returns by itself where it does not latch."""
        if is_open:
            self._returns = self.output_on and not latches
            self.output_on = False
        else:
            self.output_on = self.output_on or self._returns
        self.supply.interlock_open = is_open
        self._advanced(0.0)

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - this one follows at once
        allowed_v = self.set_a * self.plant.pulse.ohm
        self.plant.pulse.demand_v = min(self.set_v, allowed_v) if self.output_on else 0.0

    def _too_long(self) -> bytes:
        self._errors.append(_OVERRUN)
        return b""

    def _answer(self, line: str) -> bytes:
        parts = [part.strip().upper() for part in line.split(";") if part.strip()]
        replies = [reply for part in parts if (reply := self._command(part))]
        self._advanced(0.0)  # a command acts at once
        return ";".join(replies).encode("latin-1") + b"\n" if replies else b""

    def _command(self, text: str) -> str:
        header, _, argument = text.partition(" ")
        path = _short(header)
        if path.endswith("?") and not argument and path in self._queries:
            return self._queries[path]()
        error = self._set(path, argument.strip())
        if error:
            self._errors.append(error)
        return ""

    def _set(self, path: str, argument: str) -> int:
        """Carry out a set and give its error, 0 = none."""
        if (path in {"VOLT", "CURR", "OUTP"} or path in self._kept) and not self.remote:
            return _CONFLICT
        if path in self._kept:
            return self._keep(path, argument)
        action = self._sets.get(path)
        return _COMMAND_ERROR if action is None else action(argument)

    def _clear(self, argument: str) -> int:
        if argument:
            return _COMMAND_ERROR
        self._errors.clear()
        return 0

    def _reset(self, argument: str) -> int:
        if argument:
            return _COMMAND_ERROR
        self.remote, self.output_on, self.set_v = not self.local, False, 0.0
        self._kept |= self._factory()
        self._returns = False
        return 0

    def _set_output(self, argument: str) -> int:
        if argument not in _SWITCH:
            return _COMMAND_ERROR
        if self.supply.interlock_open:
            self._returns = self._returns and _SWITCH[argument]
            return _CONFLICT if _SWITCH[argument] else 0
        self.output_on = _SWITCH[argument]
        return 0

    def _factory(self) -> dict[str, float]:
        kept = {"POW": self._rated["POW"][0] * _ADJUSTABLE}
        for name, (rated, _) in self._rated.items():
            kept |= {f"{name}:LIM:HIGH": rated * _ADJUSTABLE, f"{name}:PROT": rated * _PROTECTED}
            kept |= {} if name == "POW" else {f"{name}:LIM:LOW": 0.0}
        return kept

    def _keep(self, path: str, argument: str) -> int:
        rated, unit = self._rated[path.partition(":")[0]]
        value, error = _value(argument, rated, unit, _PROTECTED if path.endswith("PROT") else _ADJUSTABLE)
        self._kept[path] = self._kept[path] if error else value
        return error

    def _tell(self, path: str) -> str:
        unit = self._rated[path.partition(":")[0]][1]
        form = {"V": self._volts, "A": self._amperes, "W": self._watts}[unit]
        return form(self._kept[path])

    def _within(self, name: str, value: float) -> int:
        """Give the error of a set value that the limits of adjustment forbid, 0 = none."""
        low, high = self._kept[f"{name}:LIM:LOW"], self._kept[f"{name}:LIM:HIGH"]
        return 0 if low <= value <= high else _RANGE

    def _set_voltage(self, argument: str) -> int:
        value, error = _value(argument, self.rated_v, "V")
        error = error or self._within("VOLT", value)
        self.set_v = self.set_v if error else round(value, 2)
        return error

    def _set_current(self, argument: str) -> int:
        value, error = _value(argument, self.rated_a, "A")
        error = error or self._within("CURR", value)
        self.set_a = self.set_a if error else round(value, 3)
        return error

    def _lock(self, argument: str) -> int:
        if argument not in _SWITCH:
            return _COMMAND_ERROR
        if self.local and _SWITCH[argument]:
            return _CONFLICT
        self.remote = _SWITCH[argument]
        return 0

    def _volts(self, value: float) -> str:
        return f"{value:.2f}" + " V" * self.unit_text

    def _amperes(self, value: float) -> str:
        return f"{value:.3f}" + " A" * self.unit_text

    def _watts(self, value: float) -> str:
        return f"{value:.1f}" + " W" * self.unit_text

    def _owner(self) -> str:
        if self.local:
            return "LOCAL"
        return "REMOTE" if self.remote else "NONE"

    def _error(self) -> str:
        code = self._errors.popleft() if self._errors else 0
        return f'{code},"{_TEXTS[code]}"'

    def _all_errors(self) -> str:
        return ",".join(self._error() for _ in range(max(1, len(self._errors))))

    def _make_queries(self) -> dict[str, Callable[[], str]]:
        output = self.plant.pulse

        def watts() -> str:
            return self._watts(self.readback(output.v_v) * output.i_a)

        return {
            "*IDN?": lambda: self.identity,
            "VOLT?": lambda: self._volts(self.set_v),
            "CURR?": lambda: self._amperes(self.set_a),
            "OUTP?": lambda: "ON" if self.output_on else "OFF",
            "MEAS:VOLT?": lambda: self._volts(self.readback(output.v_v)),
            "MEAS:CURR?": lambda: self._amperes(output.i_a),
            "MEAS:POW?": watts,
            "MEAS:ARR?": lambda: (
                f"{self._volts(self.readback(output.v_v))}, {self._amperes(output.i_a)}, {watts()}"
            ),
            "SYST:LOCK:OWN?": self._owner,
            "SYST:ERR?": self._error,
            "SYST:ERR:ALL?": self._all_errors,
            "SYST:NOM:VOLT?": lambda: self._volts(self.rated_v),
            "SYST:NOM:CURR?": lambda: self._amperes(self.rated_a),
            "SYST:NOM:POW?": lambda: self._watts(self._rated["POW"][0]),
            "SYST:MS:ENAB?": lambda: "OFF",
        } | {f"{path}?": partial(self._tell, path) for path in self._kept}


def _value(argument: str, rated: float, unit: str, adjustable: float = _ADJUSTABLE) -> tuple[float, int]:
    """Read a set value, with or without its unit; give it and an error, 0 = none."""
    named = {"MIN": 0.0, "MAX": rated * adjustable}
    value = named.get(argument, read_float(argument.removesuffix(unit)))
    if value is None:
        return 0.0, _COMMAND_ERROR
    return value, 0 if 0.0 <= value <= rated * adjustable + 1e-9 else _RANGE


def _short(header: str) -> str:
    """Bring a header to its short form: `:SOURce:VOLTage?` becomes `VOLT?`."""
    asks = header.endswith("?")
    nodes = [_LONG.get(node, node) for node in header.removesuffix("?").removeprefix(":").split(":")]
    nodes = [node for node in nodes if node not in {"", "SOUR"}]
    if nodes[-1:] in (["STAT"], ["LEV"]):
        nodes.pop()
    return ":".join(nodes) + "?" * asks
