"""Cryo-con 24C temperature controller, as its cable shows it.

Source: Model 24C and Model 32 user's manuals, chapter Remote Programming, as open clients quote them. By practice only: six decimals, the unit behind a set point, and that
sets are not answered. The heater is a plausible one: what the plant feels is `temperature_setpoint_k`.
"""

import math
import re
from collections.abc import Callable

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_float
from evapd_sim.wire.scpi import boolean, choice, header

_INPUTS = "ABCD"
_NACK = "NACK"
_SHORTEST_PAUSE_S = 0.1
_COMMAND = re.compile(r":?(?P<head>\*?[A-Z]+)(?P<asks>\?)?\s*(?P<rest>.*)", re.DOTALL)
_PLACE = re.compile(
    r"(?P<place>(?:CH)?[A-D0-4](?:,(?:CH)?[A-D])*)(?::(?P<field>[A-Z]+(?::[A-Z]+)?)(?P<asks>\?)?)?(?:\s+(?P<value>.*))?",
    re.DOTALL,
)
_SYSTEM = re.compile(r":(?P<field>[A-Z]+)(?P<asks>\?)?(?:\s+(?P<value>.*))?", re.DOTALL)
_UNITS = ("K", "C", "F", "S")
_MISSING = {1: ".......", 2: "-------"}  # out of limits, no sensor
_DIODE_K, _DIODE_V = (1.4, 10.0, 30.0, 77.35, 300.0, 500.0), (1.644, 1.42, 1.107, 1.02, 0.52, 0.09)
# What is kept and given back: field, and its value at power-on.
_INPUT_TEXTS = {"NAMe": "CHANNEL", "ALARm": "--", "SENSor": "2", "SENIX": "2", "MINimum": "3.4", "MAXimum": "304.12", "VARIance": "0.1", "SLOPe": "0.5", "OFFSet": "5.5", "ALARm:HIGHest": "105.000000", "ALARm:LOWEst": "5.000000", "ALARm:DEADband": "0.100000", "ALARm:HIENa": "NO", "ALARm:LOENa": "NO", "ALARm:LTENa": "NO", "ALARm:AUDio": "NO", "ALARm:CLEar": "--"}  # fmt: skip
_LOOP_NUMBERS = {
    "PGAin": 5.0,
    "IGAin": 60.0,
    "DGAin": 7.5,
    "PMANual": 5.0,
    "RATe": 0.1,
    "MAXPwr": 100.0,
    "MAXSet": 1000.0,
    "LOAD": 50.0,
}
_TYPES = ("OFF", "PID", "MAN", "TABLE", "RAMPP", "RAMPT")
_SYSTEM_TEXTS = {"NAMe": "Cryocon simulator", "DISTc": "1", "LOCKout": "OFF", "REMLed": "OFF", "DATe": '"01/01/2026"', "TIMe": '"00:00:00"', "HWRev": "12A4FE", "FWRev": "1.01A", "AMBient": "25.0C", "SINK": "30.0C"}  # fmt: skip


class Cryocon24cWire(LineWire):
    """A Model 24C. Loop 1 drives `plant.temperature_setpoint_k`; readings are `plant.temperature_k` of inputs A to D.

    Args:
        plant: the physical quantities.
        model: `24C`, `22C`, or `32`, which tells no serial number.
        serial: serial number in `*IDN?`.
        firmware: version in `*IDN?`.
        control: whether the loops are engaged at power-on.
        base_k: temperature that the stage goes to while loop 1 is not engaged.
        acknowledges: whether sets are answered, as some firmware does.
        end: of a reply.
        baud: bit/s set in the controller.
    """

    max_length = 255
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "24C",
        serial: str = "204683",
        firmware: str = "1.01A",
        control: bool = True,
        base_k: float = 20.0,
        acknowledges: bool = False,
        end: str = "\n",
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self._model, self._firmware = model, firmware
        self.renumber(serial)
        self._end = end.encode("latin-1")
        self._base_k = base_k
        self.acknowledges = acknowledges
        self.refuses_sets = False  # NACK to everything that is set
        self.sensor_status = dict.fromkeys(_INPUTS, 0)  # 0 good, 1 out of limits, 2 no sensor
        self.fast_requests = 0  # came sooner after the one before than the manual allows
        self._last_s = -1.0
        self.control = control
        self._limit_k = 0.0  # OVERTEMP, 0 = off
        self._units = dict.fromkeys(_INPUTS, "K")
        self._input_texts = {
            (place, name): text + place * (name == "NAMe")
            for place in _INPUTS
            for name, text in _INPUT_TEXTS.items()
        }
        self._target_k = dict.fromkeys("1234", plant.temperature_setpoint_k)
        self._setpoint_k = dict(self._target_k)  # in force, follows the ramp
        self._loops = {(loop, name): value for loop in "1234" for name, value in _LOOP_NUMBERS.items()}
        self._types = dict.fromkeys("1234", "OFF") | {"1": "PID"}
        self._sources = dict(zip("1234", _INPUTS, strict=True))
        self._ranges = dict.fromkeys("1234", "HI")
        self._system = dict(_SYSTEM_TEXTS)
        self._heads: dict[str, Callable[[str, bool], str | None]] = {
            "*IDN": lambda _, asks: self.identity if asks else _NACK,
            "*OPC": lambda _, asks: "1" if asks else None,
            "*CLS": lambda *_: None,
            "*RST": lambda *_: None,
            "CONTrol": self._control,
            "STOP": self._stop,
            "INPut": self._input,
            "LOOP": self._loop,
            "SYSTem": self._of_system,
            "OVERtemp": self._overtemp,
        }

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        old = f"Cryocon Model {self._model}, Rev {self._firmware}"
        self.identity = (
            old if self._model in {"32", "34"} else f"Cryo-con,{self._model},{serial},{self._firmware}"
        )

    def _engaged(self) -> bool:
        return self.control and self._types["1"] not in {"OFF", "MAN"}

    def _advanced(self, dt_s: float) -> None:
        for loop, target_k in self._target_k.items():
            step_k = self._loops[loop, "RATe"] / 60.0 * dt_s
            gap_k = target_k - self._setpoint_k[loop]
            if self._types[loop] not in {"RAMPP", "RAMPT"} or abs(gap_k) <= step_k:
                self._setpoint_k[loop] = target_k
            else:
                self._setpoint_k[loop] += step_k if gap_k > 0 else -step_k
        if 0.0 < self._limit_k < self.plant.temperature_k.get("A", 0.0):
            self.control = False  # over-temperature disconnects the heaters
        self.plant.temperature_setpoint_k = self._setpoint_k["1"] if self._engaged() else self._base_k

    def _too_long(self) -> bytes:
        return _NACK.encode() + self._end

    def _answer(self, line: str) -> bytes:
        self.fast_requests += self.now_s - self._last_s < _SHORTEST_PAUSE_S
        self._last_s = self.now_s
        replies = [
            reply
            for part in line.split(";")
            if part.strip() and (reply := self._command(part.strip())) is not None
        ]
        self._advanced(0.0)  # a command acts at once
        return ";".join(replies).encode("latin-1") + self._end if replies else b""

    def _command(self, text: str) -> str | None:
        """Carry out one command; None where it is not answered."""
        words, quote, name = text.partition('"')
        found = _COMMAND.fullmatch(words.upper() + quote + name)
        if found is None:
            return _NACK
        for pattern, action in self._heads.items():
            if header(pattern).fullmatch(found["head"]):
                asks = bool(found["asks"]) or found["rest"].endswith("?")
                if not asks and self.refuses_sets:
                    return _NACK
                answer = action(found["rest"].strip(), asks)
                return "ACK" if answer is None and not asks and self.acknowledges else answer
        return _NACK

    def _control(self, rest: str, asks: bool) -> str | None:  # noqa: FBT001 - one of several with this signature
        if asks:
            return "ON" if self.control else "OFF"
        on = True if not rest else boolean(rest)
        if on is None:
            return _NACK
        self.control = on
        return None

    def _stop(self, _: str, asks: bool) -> str | None:  # noqa: FBT001
        if asks:
            return _NACK
        self.control = False
        return None

    # -- inputs -----------------------------------------------------------------------------------------------------

    def _shown(self, place: str, unit: str = "") -> str:
        if self.sensor_status[place]:
            return _MISSING[self.sensor_status[place]]
        kelvin = self.plant.temperature_k.get(place, 0.0)
        celsius = kelvin - 273.15
        volt = float(np.interp(kelvin, _DIODE_K, _DIODE_V))
        shown = {"K": kelvin, "C": celsius, "F": celsius * 1.8 + 32.0, "S": volt}[unit or self._units[place]]
        return f"{shown:.6f}"

    def _input(self, rest: str, asks: bool) -> str | None:  # noqa: FBT001
        found = _PLACE.fullmatch(rest)
        places = [_input_named(place) for place in found["place"].split(",")] if found else []
        if found is None or not set(places) <= set(_INPUTS):
            return _NACK
        field = found["field"] or "TEMP"
        if asks:
            answers = [self._input_field(place, field) for place in places]
            return _NACK if _NACK in answers else ";".join(answers)
        if not found["value"] or len(places) > 1:
            return _NACK
        return self._set_input(places[0], field, found["value"].strip())

    def _input_field(self, place: str, field: str) -> str:
        if header("TEMPer[ature]").fullmatch(field):
            return self._shown(place)
        if header("SENPr").fullmatch(field):  # the sensor's own quantity
            return self._shown(place, "S")
        if header("UNIT[s]").fullmatch(field):
            return self._units[place]
        name = next((name for name in _INPUT_TEXTS if header(name).fullmatch(field)), None)
        return _NACK if name is None else self._input_texts[place, name]

    def _set_input(self, place: str, field: str, value: str) -> str | None:
        if header("UNIT[s]").fullmatch(field):
            unit = choice(value, _UNITS)
            self._units[place] = unit or self._units[place]
            return None if unit else _NACK
        name = next((name for name in _INPUT_TEXTS if header(name).fullmatch(field)), None)
        if name is None:
            return _NACK
        self._input_texts[place, name] = value.strip('"')[:16]
        return None

    # -- loops ------------------------------------------------------------------------------------------------------

    def _loop(self, rest: str, asks: bool) -> str | None:  # noqa: FBT001
        found = _PLACE.fullmatch(rest)
        if found is None or found["place"] not in self._types or not found["field"]:
            return _NACK
        loop, field = found["place"], found["field"]
        if asks:
            return self._loop_field(loop, field)
        if field in {"AUT:START", "AUT:EXIT", "AUT:SAVE", "AUTOTUNE:START", "AUTOTUNE:EXIT", "AUTOTUNE:SAVE"}:
            return None  # it is not tuned here
        if not found["value"]:
            return _NACK
        return self._set_loop(loop, field, found["value"].strip())

    def _loop_field(self, loop: str, field: str) -> str:
        answers: dict[str, Callable[[], str]] = {
            "SETPt": lambda: f"{self._setpoint_k[loop]:.6f}K",
            "TYPe": lambda: self._types[loop],
            "SOURce": lambda: self._sources[loop],
            "RANGe": lambda: self._ranges[loop],
            "OUTP[wr]": lambda: f"{self._power(loop):.1f}",
            "{HTRRead|HTREAD}": lambda: f"{self._power(loop):.0f}%" if self.control else "OFF",
            "LOAD": lambda: f"{self._loops[loop, 'LOAD']:.0f}",
            "ERRor": lambda: (
                f"{self._setpoint_k[loop] - self.plant.temperature_k.get(self._sources[loop], 0.0):.6f}"
            ),
            "VSENse": lambda: f"{math.sqrt(self._watt(loop) * self._loops[loop, 'LOAD']):.6f}V",
            "ISENse": lambda: f"{math.sqrt(self._watt(loop) / self._loops[loop, 'LOAD']):.6f}A",
            "LSENse": lambda: f"{self._loops[loop, 'LOAD']:.6f}",
            "HTRHst": lambda: "30.0C",
            "AUTotune:STATus": lambda: "Idle",
            "RAMP": lambda: "ON" if self._setpoint_k[loop] != self._target_k[loop] else "OFF",
            "MAXSet": lambda: f"{self._loops[loop, 'MAXSet']:.6f}K",
            **{name: self._number_of(loop, name) for name in _LOOP_NUMBERS if name not in {"LOAD", "MAXSet"}},
        }
        answer = next(
            (answer for pattern, answer in answers.items() if header(pattern).fullmatch(field)), None
        )
        return _NACK if answer is None else answer()

    def _number_of(self, loop: str, name: str) -> Callable[[], str]:
        return lambda: f"{self._loops[loop, name]:.6f}"

    def _power(self, loop: str) -> float:
        """Heater in percent: what holds the set point above the base, and more while the stage is colder."""
        if not self.control or self._types[loop] == "OFF":
            return 0.0
        if self._types[loop] == "MAN":
            return self._loops[loop, "PMANual"]
        wanted_k = self._setpoint_k[loop]
        missing_k = wanted_k - self.plant.temperature_k.get(self._sources[loop], wanted_k)
        return min(100.0, max(0.0, 0.3 * (wanted_k - self._base_k) + 5.0 * missing_k))

    def _watt(self, loop: str) -> float:
        return 0.5 * self._power(loop)  # 50 W at full output

    def _set_loop(self, loop: str, field: str, value: str) -> str | None:
        stores: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
            "TYPe": (self._types, _TYPES),
            "SOURce": (self._sources, tuple(_INPUTS)),
            "RANGe": (self._ranges, ("HI", "MID", "LOW", "LO")),
        }
        for pattern, (store, words) in stores.items():
            if header(pattern).fullmatch(field):
                word = choice(value.removeprefix("CH"), words)
                store[loop] = word or store[loop]
                return None if word else _NACK
        amount = read_float(value.removesuffix("K"))
        if amount is None or (field == "LOAD" and amount <= 0.0):
            return _NACK
        if header("SETPt").fullmatch(field):
            allowed = 0.0 <= amount <= self._loops[loop, "MAXSet"]
            self._target_k[loop] = amount if allowed else self._target_k[loop]
            return None if allowed else _NACK
        name = next((name for name in _LOOP_NUMBERS if header(name).fullmatch(field)), None)
        if name is None:
            return _NACK
        self._loops[loop, name] = amount
        return None

    # -- the rest ---------------------------------------------------------------------------------------------------

    def _of_system(self, rest: str, asks: bool) -> str | None:  # noqa: FBT001
        found = _SYSTEM.fullmatch(rest)
        if found is None:
            return _NACK
        if header("LOOP").fullmatch(found["field"]):
            return self._control(found["value"] or "", asks)
        name = next((name for name in _SYSTEM_TEXTS if header(name).fullmatch(found["field"])), None)
        if name is None or (not asks and not found["value"]):
            return _NACK
        if asks:
            return self._system[name]
        self._system[name] = found["value"].strip()
        return None

    def _overtemp(self, rest: str, asks: bool) -> str | None:  # noqa: FBT001
        found = _SYSTEM.fullmatch(rest)
        if found is None or not header("TEMPerature").fullmatch(found["field"]):
            return _NACK
        if asks:
            return f"{self._limit_k:.6f}"
        value = read_float(found["value"] or "")
        self._limit_k = self._limit_k if value is None else value
        return _NACK if value is None else None


def _input_named(place: str) -> str:
    """Give the letter of an input, which some clients write `CHA` or number from 0."""
    name = place.removeprefix("CH")
    return _INPUTS[int(name)] if name.isdecimal() and int(name) < len(_INPUTS) else name
