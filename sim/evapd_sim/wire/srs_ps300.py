"""SRS PS350, PS355, PS365, PS370 and PS375 high-voltage supplies, as their cable shows them.

Source: PS355 manual p. 26 and PS310 manual pp. 13 and 15, and open clients (EPICS, GPIB and Prologix ones). Sets are not answered: what cannot be done
is a bit in the event register. Assumed, because nobody documents it: the digits of replies, default limits, that each question of a line gets a
line, that in LOCAL (and with the HV switch off) what concerns the output is an execution error. Left out: rear programming (SMOD is kept, nothing follows it).
"""

import re
from collections.abc import Callable
from typing import Literal

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.adc import Adc
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import flag, read_float, read_integer
from evapd_sim.wire.supply_faults import SupplyFaults

# Volt (signed where the polarity is fixed), ampere.
_MODELS = {"PS350": (5e3, 5e-3), "PS355": (-10e3, 1e-3), "PS365": (10e3, 1e-3), "PS370": (-20e3, 0.5e-3), "PS375": (20e3, 0.5e-3)}  # fmt: skip
_COMMAND = re.compile(r"(?P<name>\*[A-Z]{3}|[A-Z]{4})(?P<asks>\?)?(?P<rest>[-+0-9.E]*)", re.ASCII)
_COMPLETE, _QUERY_ERROR, _EXECUTION, _SYNTAX, _POWER_ON = (
    1,
    1 << 2,
    1 << 4,
    1 << 5,
    1 << 7,
)  # of the event register
_PLACES = 9  # of *SAV
_STABLE = 1e-3  # of the rated voltage


class SrsPs300Wire(SupplyFaults, LineWire):
    """An SRS PS300. It drives one supply of the plant: `demand_v` follows set value, switch, current limit and trips.

    Args:
        plant: the physical quantities.
        model: which one; the PS350 has a polarity switch, the others have one polarity each.
        serial: serial number in `*IDN?`.
        firmware: version in `*IDN?`.
        negative: position of the PS350's switch.
        stray: what stands behind each reply, before the line end.
        adc_ideal: readings without noise and rounding.
        seed: of the noise.
        supply: which supply of the plant it is: `specimen`, `pulse`, or one of its own under any other name.
        baud: bit/s.
    """

    max_length = 128
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: Literal["PS350", "PS355", "PS365", "PS370", "PS375"] = "PS375",
        serial: str = "2067",
        firmware: str = "1.40",
        negative: bool = False,
        stray: str = "",
        adc_ideal: bool = False,
        seed: int = 0,
        supply: str = "specimen",
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        rated_v, self.rated_a = _MODELS[model]
        self.rated_v = abs(rated_v)
        self.sign = -1.0 if rated_v < 0 or (model == "PS350" and negative) else 1.0
        self._model, self._firmware, self._stray = model, firmware, stray
        self.renumber(serial)
        self.supply = plant.supply(supply)
        self.local = False
        self.front_switch = True  # HV is allowed by the switch at the front
        self.on = False
        self.set_v = 0.0  # magnitudes all
        self._returns = False  # when the interlock closes
        self._v_trip = self._i_trip = False
        self._saved: dict[int, tuple[float, float, float, float]] = {}
        self._restore()
        rng = np.random.default_rng(seed)
        self._adc = [Adc(full, rng, mode=4, ideal=adc_ideal) for full in (self.rated_v, self.rated_a)]
        self._events = _POWER_ON
        self._enabled = {"*ESE": 0, "*SRE": 0, "*PSC": 1, "SMOD": 0, "TMOD": 0}
        self._asks = self._make_asks()
        self._sets = self._make_sets()

    @property
    def limited(self) -> bool:
        """Whether the load would draw more than the current limit."""
        return self.on and self.set_v > self.limit_a * self.supply.ohm

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Set and switch as a person does, also in LOCAL."""
        with self.plant.lock:
            if v_set_v is not None:
                self.set_v = min(abs(v_set_v), self.limit_v)
            if output is not None:
                self.on = output and self._may_be_on()
            self._advanced(0.0)

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.identity = f"StanfordResearchSystems,{self._model},{serial},{self._firmware}"

    def trip(self) -> None:
        """Trip by its current."""
        self._i_trip = True
        self.on = False
        self._advanced(0.0)

    def go_local(self, *, local: bool) -> None:
        """Give the front panel sole control, or end that."""
        self.local = local

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the loop of the HV switch: HV goes off."""
        if is_open:
            self._returns = self.on and not latches
            self.on = False
        else:
            self.on = self.on or self._returns
        self.supply.interlock_open = is_open
        self._advanced(0.0)

    def _advanced(self, dt_s: float) -> None:
        if self.on and self.supply.i_a > self.trip_a:
            self._i_trip, self.on = True, False
        if self.on and self.supply.v_v > self.limit_v * (1 + _STABLE):
            self._v_trip, self.on = True, False
        if self._enabled["TMOD"] and not self.on:
            self._v_trip = self._i_trip = False
        self.on = self.on and self.front_switch
        self.supply.demand_v = min(self.set_v, self.limit_a * self.supply.ohm) if self.on else 0.0
        self._adc[0].advance(self.sign * self.readback(self.supply.v_v), dt_s)
        self._adc[1].advance(self.sign * self.supply.i_a, dt_s)

    def _may_be_on(self) -> bool:
        return self.front_switch and not (self.supply.interlock_open or self._v_trip or self._i_trip)

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        self._events |= _QUERY_ERROR
        return b""

    def _answer(self, line: str) -> bytes:
        replies = [self._command(part) for part in line.upper().replace(" ", "").split(";") if part]
        self._advanced(0.0)  # a command acts at once
        return b"".join((reply + self._stray).encode("latin-1") + b"\n" for reply in replies if reply)

    def _command(self, text: str) -> str:
        found = _COMMAND.fullmatch(text)
        known = self._asks if found and found["asks"] else self._sets
        if found is None or found["name"] not in known:
            self._events |= _SYNTAX
            return ""
        if found["asks"]:
            return self._ask(found["name"], found["rest"])
        event = self._sets[found["name"]](found["rest"])  # before the register is looked at: *CLS clears it
        self._events |= event
        return ""

    def _ask(self, name: str, rest: str) -> str:
        reply = self._asks[name]()
        if not rest:
            return reply
        bit = read_integer(rest)
        if name not in {"*STB", "*ESR"} or bit is None or not 0 <= bit <= 7:
            self._events |= _EXECUTION
            return ""
        return flag(int(reply) >> bit & 1)

    # -- registers --------------------------------------------------------------------------------------------------

    def _status(self) -> int:
        due_v = self.set_v if self.on else 0.0
        bits = (
            not self.on or abs(self.supply.v_v - due_v) < _STABLE * self.rated_v,
            self._v_trip,
            self._i_trip,
            self.limited,
            False,
            bool(self._events & self._enabled["*ESE"]),
            False,
            self.on,
        )
        return sum(1 << place for place, is_set in enumerate(bits) if is_set)

    def _take_events(self) -> str:
        events, self._events = self._events, 0
        return str(events)

    def _volts(self, magnitude_v: float) -> str:
        return f"{self.sign * magnitude_v if magnitude_v else 0.0:.1f}"

    def _make_asks(self) -> dict[str, Callable[[], str]]:
        asks: dict[str, Callable[[], str]] = {
            "*IDN": lambda: self.identity,
            "*STB": lambda: str(self._status()),
            "*ESR": self._take_events,
            "*OPC": lambda: "1",
            "*TST": lambda: "0",
            "VSET": lambda: self._volts(self.set_v),
            "VLIM": lambda: self._volts(self.limit_v),
            "ILIM": lambda: f"{self.limit_a:.3E}",
            "ITRP": lambda: f"{self.trip_a:.3E}",
            "VOUT": lambda: f"{self._adc[0].value:.1f}",
            "IOUT": lambda: f"{self._adc[1].value:.3E}",
        }
        return asks | {name: lambda name=name: str(self._enabled[name]) for name in self._enabled}

    def _make_sets(self) -> dict[str, Callable[[str], int]]:
        """Commands; each gives the event bit that it sets, 0 where it could be done."""

        def keeps(name: str, high: int) -> Callable[[str], int]:
            def keep(text: str) -> int:
                value = read_integer(text)
                if value is None or not 0 <= value <= high:
                    return _EXECUTION
                self._enabled[name] = value
                return 0

            return keep

        highs = {"*ESE": 255, "*SRE": 255, "*PSC": 1, "SMOD": 2, "TMOD": 1}
        output: dict[str, Callable[[str], bool]] = {
            "VSET": self._set_voltage,
            "VLIM": self._set_voltage_limit,
            "ILIM": lambda text: self._keep_current("limit_a", text),
            "ITRP": lambda text: self._keep_current("trip_a", text),
            "HVON": self._switch_on,
            "HVOF": self._switch_off,
            "TCLR": self._clear_trips,
            "*RST": self._reset,
            "*RCL": self._recall,
        }
        return (
            {
                "*CLS": self._clear,
                "*SAV": self._save,
                "*OPC": self._complete,
                "*WAI": lambda text: _SYNTAX * bool(text),
            }
            | {name: keeps(name, high) for name, high in highs.items()}
            | {name: self._remote(action) for name, action in output.items()}
        )

    def _remote(self, action: Callable[[str], bool]) -> Callable[[str], int]:
        return lambda text: 0 if not self.local and action(text) else _EXECUTION

    def _signed(self, text: str) -> float | None:
        """Read a voltage of the unit's own polarity; its magnitude."""
        value = read_float(text)
        return None if value is None or value * self.sign < 0 else abs(value)

    def _set_voltage(self, text: str) -> bool:
        value = self._signed(text)
        if value is None or value > self.limit_v:
            return False
        self.set_v = float(round(value))
        return True

    def _set_voltage_limit(self, text: str) -> bool:
        value = self._signed(text)
        if value is None or not self.set_v <= value <= self.rated_v:
            return False
        self.limit_v = float(round(value))
        return True

    def _keep_current(self, name: str, text: str) -> bool:
        value = read_float(text)
        if value is None or abs(value) > 1.05 * self.rated_a:
            return False
        setattr(self, name, round(abs(value), 6))
        return True

    def _switch_on(self, text: str) -> bool:
        self.on = self.on or (not text and self._may_be_on())
        return self.on

    def _switch_off(self, text: str) -> bool:
        self.on = False
        return not text

    def _clear_trips(self, text: str) -> bool:
        self._v_trip = self._i_trip = False
        return not text

    def _clear(self, _: str) -> int:
        self._events = 0
        return 0

    def _complete(self, text: str) -> int:
        return _SYNTAX if text else _COMPLETE

    def _save(self, text: str) -> int:
        place = read_integer(text)
        if place is None or not 1 <= place <= _PLACES:
            return _EXECUTION
        self._saved[place] = (self.set_v, self.limit_v, self.limit_a, self.trip_a)
        return 0

    def _recall(self, text: str) -> bool:
        """Bring back what was saved, 0 = as after a reset; the output goes off."""
        place = read_integer(text)
        if place == 0:
            return self._reset("")
        if place is None or place not in self._saved:
            return False
        self.on = False
        self.set_v, self.limit_v, self.limit_a, self.trip_a = self._saved[place]
        return True

    def _reset(self, text: str) -> bool:
        self.on, self.set_v = False, 0.0
        self._restore()
        return not text

    def _restore(self) -> None:
        self.limit_v, self.limit_a, self.trip_a = self.rated_v, self.rated_a, 1.05 * self.rated_a
