"""SRS CTC100 temperature controller, or the CryoVac TIC 500, as its cable shows it.

Source: CTC100 commands as open clients have them (PyCCAPT, InstrumentKit, Razorbill, qudi). By practice only: digits, error codes beside 0, the channels' default names, and what
a talkative unit (`system.com.verbose`) adds. The heater is a plausible one: what the plant feels is `temperature_setpoint_k`.
"""

import re
from collections import deque
from collections.abc import Callable

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_float, read_integer
from evapd_sim.wire.scpi import boolean, choice

_COMMAND = re.compile(
    r"\(?(?P<path>\*?[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_]+)*)\)?\s*(?P<asks>\?)?\s*(?P<more>\+?)(?:=\s*)?(?P<value>.*)",
    re.DOTALL,
)
_UNKNOWN, _VALUE, _READ_ONLY, _LOCKED = (
    (102, "UNKNOWN COMMAND"),
    (103, "INVALID PARAMETER"),
    (104, "READ ONLY"),
    (105, "LOCKED"),
)
_INPUTS = {"A": 0, "B": 1, "C": 2, "D": 3}
_CHANNELS, _OUTPUTS = 6, (4, 5)
_MODES = ("OFF", "ON", "FOLLOW")
_VERBOSITY = ("LOW", "MEDIUM", "HIGH")
# Kept and given back, by channel: name, value at power-on.
_TEXTS = {"sensor": "Diode", "stats": "Off", "points": "10", "selected": "On", "logging": "1 s", "pid.p": "10", "pid.i": "0.5", "pid.d": "0", "pid.input": "In1", "hilmt": "50", "lowlmt": "0", "iotype": "Input", "type": "Standard", "alarm.mode": "Off", "alarm.min": "0", "alarm.max": "0", "alarm.sound": "None", "alarm.latch": "No", "alarm.lag": "0", "alarm.output": "None", "alarm.relay": "None", "lopass": "Off", "tune.mode": "Auto", "tune.type": "Conserv"}  # fmt: skip


class SrsCtc100Wire(LineWire):
    """A CTC100 with four sensors and two heaters. Output 1 drives `plant.temperature_setpoint_k`; readings are `plant.temperature_k` A to D.

    Args:
        plant: the physical quantities.
        model: `CTC100` or `TIC500`.
        serial: serial number.
        firmware: version.
        names: of the four inputs and two outputs, as on the display, separated by commas.
        unit: of the inputs, as the display shows it.
        verbose: LOW, MEDIUM (answers carry the name) or HIGH (sets are answered, too).
        outputs_on: whether the heaters are enabled at power-on.
        base_k: temperature that the stage goes to while output 1 does not hold one.
        answers: commands that it knows beside the channels; None = all, as an older unit knows fewer.
        baud: bit/s set in the controller.
    """

    max_length = 255
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "CTC100",
        serial: str = "153476",
        firmware: str = "4.40",
        names: str = "In1,In2,In3,In4,Out1,Out2",
        unit: str = "K",
        verbose: str = "LOW",
        outputs_on: bool = True,
        base_k: float = 20.0,
        answers: str | None = None,
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self._model, self._firmware = model, firmware
        self.renumber(serial)
        self.names = [name.strip() for name in names.split(",")]
        self.units = [unit] * len(_INPUTS) + ["W"] * len(_OUTPUTS)
        self.verbose = verbose
        self.outputs_on = outputs_on
        self.locked = False  # what is set is refused
        self._base_k = base_k
        self._answers = None if answers is None else {name.strip().lower() for name in answers.split(",")}
        self.sensor_status = dict.fromkeys(_INPUTS, 0)  # without 0 no reading
        self._errors: deque[tuple[int, str]] = deque(maxlen=16)
        self._texts = {(place, name): text for place in range(_CHANNELS) for name, text in _TEXTS.items()}
        self._target_k = dict.fromkeys(_OUTPUTS, plant.temperature_setpoint_k)
        self._setpoint_k = dict(self._target_k)  # in force, follows the ramp
        self._ramp = dict.fromkeys(_OUTPUTS, 0.0)  # K/s, 0 = at once
        self._modes = {_OUTPUTS[0]: "ON", _OUTPUTS[1]: "OFF"}
        self._manual_w = dict.fromkeys(_OUTPUTS, 0.0)
        self._figures = 3
        self._log_at = 0
        self._plain = self._make_plain()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.description = (
            f"{self._model} Cryogenic Temperature Controller, version {self._firmware}, S/N {serial}"
        )

    # -- time and truth ---------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:
        for place, target_k in self._target_k.items():
            gap_k, step_k = target_k - self._setpoint_k[place], self._ramp[place] * dt_s
            if self._ramp[place] <= 0.0 or abs(gap_k) <= step_k:
                self._setpoint_k[place] = target_k
            else:
                self._setpoint_k[place] += step_k if gap_k > 0 else -step_k
        holds = self.outputs_on and self._modes[_OUTPUTS[0]] == "ON"
        self.plant.temperature_setpoint_k = self._setpoint_k[_OUTPUTS[0]] if holds else self._base_k

    def _power_w(self, place: int) -> float:
        if not self.outputs_on:
            return 0.0
        if self._modes[place] == "OFF":
            return self._manual_w[place]
        wanted_k = self._setpoint_k[place]
        missing_k = wanted_k - self.plant.temperature_k.get("A", wanted_k)
        return min(50.0, max(0.0, 0.1 * (wanted_k - self._base_k) + 2.0 * missing_k))

    def _value(self, place: int) -> str:
        if place in _OUTPUTS:
            return f"{self._power_w(place):.{self._figures}f}"
        name = next(name for name, number in _INPUTS.items() if number == place)
        kelvin = self.plant.temperature_k.get(name, 0.0)
        shown = kelvin if self.units[place] == "K" else kelvin - 273.15
        return "NaN" if self.sensor_status[name] else f"{shown:.{self._figures}f}"

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        self._errors.append(_UNKNOWN)
        return b""

    def _answer(self, line: str) -> bytes:
        replies = [
            reply for part in line.split(";") if part.strip() and (reply := self._command(part.strip()))
        ]
        self._advanced(0.0)  # a command acts at once
        return "".join(f"{reply}\r\n" for reply in replies).encode("cp437", "replace")

    def _command(self, text: str) -> str:
        """Carry out one command; empty where it is not answered."""
        found = _COMMAND.fullmatch(text)
        if found is None:
            self._errors.append(_UNKNOWN)
            return ""
        path, asks, value = found["path"], bool(found["asks"]), _plain(found["value"])
        head, _, rest = path.lower().partition(".")
        places = [name.replace(" ", "").lower() for name in self.names]
        if head in places:
            place = places.index(head)
            if found["more"]:
                value = self._more(place, rest or "value", value)
            answer = self._channel(place, rest or "value", value, asks=asks)
        elif path.lower() in self._plain and (self._answers is None or path.lower() in self._answers):
            answer = self._plain[path.lower()](value, asks)
        else:
            answer = _UNKNOWN
        if isinstance(answer, tuple):
            self._errors.append(answer)
            return ""
        if answer is None:
            return f"{path} = {value}" if self.verbose == "HIGH" else ""
        return answer if self.verbose == "LOW" or not asks else f"{path} = {answer}"

    def _channel(self, place: int, name: str, value: str, *, asks: bool) -> str | tuple[int, str] | None:
        """Give an answer, an error, or None for a set that was carried out."""
        if asks and name != "off":
            return self._channel_answer(place, name)
        if self.locked:
            return _LOCKED
        if not value and name != "off":  # a value that is named alone is asked for
            return self._channel_answer(place, name)
        if name == "name" and value:
            self.names[place] = value
            return None
        if (place, name) in self._texts and value:
            self._texts[place, name] = value
            return None
        return self._set_output(place, name, value) if place in _OUTPUTS else _READ_ONLY

    def _more(self, place: int, name: str, value: str) -> str:
        """Give what `+=` makes of a value."""
        now = self._channel_answer(place, name)
        numbers = read_float(now) if isinstance(now, str) else None, read_float(value)
        return value if None in numbers else f"{sum(number or 0.0 for number in numbers):g}"

    def _channel_answer(self, place: int, name: str) -> str | tuple[int, str]:
        if (place, name) in self._texts:
            return self._texts[place, name]
        answers: dict[str, Callable[[], str]] = {
            "value": lambda: self._value(place),
            "average": lambda: self._value(place),
            "sd": lambda: f"{0.002:.{self._figures}f}",
            "name": lambda: self.names[place],
            "units": lambda: self.units[place],
        }
        if place in _OUTPUTS:
            answers |= {
                "pid.setpoint": lambda: f"{self._target_k[place]:.{self._figures}f}",
                "pid.rampt": lambda: f"{self._setpoint_k[place]:.{self._figures}f}",
                "pid.ramp": lambda: f"{self._ramp[place]:.{self._figures}f}",
                "pid.mode": self._modes[place].capitalize,
            }
        return answers[name]() if name in answers else _UNKNOWN

    def _set_output(self, place: int, name: str, value: str) -> tuple[int, str] | None:
        if name in {"off", "pid.mode"}:
            mode = "OFF" if name == "off" else choice(value, _MODES)
            self._modes[place] = mode or self._modes[place]
            return None if mode else _VALUE
        amount = read_float(value)
        limits = {
            "pid.setpoint": (0.0, 1000.0),
            "pid.ramp": (0.0, 100.0),
            "pid.rampt": (0.0, 1000.0),
            "value": (0.0, 50.0),
        }
        if name not in limits:
            return _UNKNOWN
        low, high = limits[name]
        if amount is None or not low <= amount <= high:
            return _VALUE
        stores = {"pid.ramp": self._ramp, "value": self._manual_w, "pid.rampt": self._setpoint_k}
        stores.get(name, self._target_k)[place] = amount
        return None

    # -- what is no channel's -----------------------------------------------------------------------------------------

    def _make_plain(self) -> dict[str, Callable[[str, bool], str | tuple[int, str] | None]]:
        return {
            "*idn": lambda *_: f"Stanford Research Systems, {self.description}",
            "description": lambda *_: self.description,
            "*rst": lambda *_: None,
            "*cls": lambda *_: self._errors.clear(),
            "*opc": lambda *_: "1",
            "*stb": lambda *_: "0",
            "*esr": lambda *_: "0",
            "*asr": lambda *_: "0",  # alarms since it was last asked
            "kill.all": lambda *_: None,  # macros, of which there are none
            "getoutput": lambda *_: ", ".join(self._value(place) for place in range(_CHANNELS)),
            "getoutputs": lambda *_: ", ".join(self._value(place) for place in range(_CHANNELS)),
            "getoutputs.names": lambda *_: ", ".join(self.names),
            "getoutputs.units": lambda *_: ", ".join(self.units),
            "getoutput.names": lambda *_: ", ".join(self.names),
            "getoutput.units": lambda *_: ", ".join(self.units),
            "geterror": lambda *_: ",".join(
                map(str, self._errors.popleft() if self._errors else (0, "NO ERROR"))
            ),
            "outputenable": self._enable,
            "system.com.verbose": self._verbose,
            "system.display.figures": self._display,
            "system.log.clear": lambda *_: None,
            "getlog.xy": self._log,
            "abort": lambda *_: None,
        }

    def _enable(self, value: str, asks: bool) -> str | tuple[int, str] | None:  # noqa: FBT001 - one of several with this signature
        if asks:
            return "On" if self.outputs_on else "Off"
        on = boolean(value or "ON")
        if on is None or self.locked:
            return _LOCKED if self.locked else _VALUE
        self.outputs_on = on
        return None

    def _verbose(self, value: str, asks: bool) -> str | tuple[int, str] | None:  # noqa: FBT001
        if asks:
            return self.verbose.capitalize()
        word = choice(value, _VERBOSITY)
        self.verbose = word or self.verbose
        return None if word else _VALUE

    def _display(self, value: str, asks: bool) -> str | tuple[int, str] | None:  # noqa: FBT001
        if asks:
            return str(self._figures)
        figures = read_integer(value)
        if figures is None or not 0 <= figures <= 6:
            return _VALUE
        self._figures = figures
        return None

    def _log(self, value: str, asks: bool) -> str | tuple[int, str]:  # noqa: FBT001
        """`getLog.xy? In1` tells how many points there are, `getLog.xy In1, first` gives one: ms and value."""
        name, _, which = (part.strip().strip('"').lower() for part in value.partition(","))
        places = [known.replace(" ", "").lower() for known in self.names]
        if name.replace(" ", "") not in places:
            return _VALUE
        points = max(1, int(self.now_s))
        if asks:
            return str(points)
        places_of = {"first": 0, "last": points - 1, "next": min(self._log_at + 1, points - 1)}
        if which not in places_of:
            return _VALUE
        self._log_at = places_of[which]
        return f"{1000 * self._log_at},{self._value(places.index(name.replace(' ', '')))}"


def _plain(value: str) -> str:
    """Take blanks, quotes and the brackets off that some clients put around a value."""
    text = value.strip()
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    return inner.strip().strip('"')
