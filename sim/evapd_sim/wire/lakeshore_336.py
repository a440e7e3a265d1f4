"""Lake Shore 336 temperature controller, as its cable shows it.

Source: Model 336 user's manual, chapter Computer Interface Operation. By practice only: the digits of the replies and replies joined
by semicolons. The heater is a plausible one: what the plant feels is `temperature_setpoint_k`.
"""

import re
from collections.abc import Callable

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.lakeshore_store import Store
from evapd_sim.wire.numbers import flag, read_float, read_integer, six_digits

_INPUTS = "ABCD"
_COMMAND = re.compile(r"(?P<name>\*?[A-Z0-9]{3,8})(?P<query>\?)?(?:\s+(?P<rest>.*))?", re.DOTALL)
_INVALID_READING = 1 | 16 | 32 | 64 | 128
_SHORTEST_PAUSE_S = 0.05  # 20 commands per second
# Standard curve DT-670, a silicon diode: kelvin and volt at 10 uA.
_DIODE_K = (1.4, 4.2, 10.0, 20.0, 30.0, 50.0, 77.35, 100.0, 150.0, 200.0, 250.0, 300.0, 400.0, 500.0)
_DIODE_V = (
    1.644,
    1.578,
    1.420,
    1.214,
    1.107,
    1.073,
    1.020,
    0.9755,
    0.8687,
    0.7561,
    0.6393,
    0.5197,
    0.2746,
    0.0907,
)


class LakeShore336Wire(LineWire):
    """A Model 336. Output 1 drives `plant.temperature_setpoint_k`; readings are `plant.temperature_k` of inputs A to D.

    Args:
        plant: the physical quantities.
        serial: serial number in `*IDN?`.
        firmware: version in `*IDN?`.
        terminator: end of a reply, CR LF on serial, LF on TCP.
        heater_range: RANGE of output 1 at power-on, 0 = off.
        base_k: temperature that the stage goes to while the heater of output 1 is off.
        baud: bit/s; 7 data bits, odd parity, 1 stop bit.
    """

    max_length = 255
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        serial: str = "LSA12AB",
        firmware: str = "2.9",
        terminator: str = "\r\n",
        heater_range: int = 3,
        base_k: float = 20.0,
        baud: int = 57_600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self._firmware = firmware
        self.renumber(serial)
        self._terminator = terminator.encode("latin-1")
        self._base_k = base_k
        self.sensor_status = dict.fromkeys(_INPUTS, 0)  # RDGST, without 0 no valid reading
        self.heater_status = {"1": 0, "2": 0}  # HTRST: 0 ok, 1 open, 2 short
        self.fast_commands = 0  # came sooner after the one before than the manual allows
        self._last_command_s = -1.0
        self._target_k = dict.fromkeys("1234", plant.temperature_setpoint_k)
        self._setpoint_k = dict(self._target_k)  # in force, follows the ramp
        self._range = {"1": heater_range, "2": 0, "3": 0, "4": 0}
        self._store = Store()
        self._queries = self._make_queries()
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "SETP": self._set_setpoint,
            "RANGE": self._set_range,
        }

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.identity = f"LSCI,MODEL336,{serial}/#######,{self._firmware}"

    def _advanced(self, dt_s: float) -> None:
        for output, target_k in self._target_k.items():
            on, k_per_min = self._store.ramp(output)
            step_k = k_per_min / 60.0 * dt_s
            gap_k = target_k - self._setpoint_k[output]
            if not on or abs(gap_k) <= step_k:
                self._setpoint_k[output] = target_k
            else:
                self._setpoint_k[output] += step_k if gap_k > 0 else -step_k
        limits = [(self.plant.temperature_k.get(name, 0.0), self._store.limit_k(name)) for name in _INPUTS]
        if any(0.0 < limit_k < kelvin for kelvin, limit_k in limits):
            self._range = dict.fromkeys("1234", 0)  # device safety: over-temperature turns the heaters off
        self.plant.temperature_setpoint_k = self._setpoint_k["1"] if self._range["1"] else self._base_k

    def _too_long(self) -> bytes:
        return b""

    def _answer(self, line: str) -> bytes:
        replies = [reply for part in line.split(";") if (reply := self._command(part.strip())) is not None]
        self._advanced(0.0)  # a command acts at once
        return ";".join(replies).encode("latin-1") + self._terminator if replies else b""

    def _command(self, text: str) -> str | None:
        """Carry out one command; None where the instrument stays silent, also because it does not understand."""
        self.fast_commands += self.now_s - self._last_command_s < _SHORTEST_PAUSE_S
        self._last_command_s = self.now_s
        found = _COMMAND.fullmatch(text.upper() if '"' not in text else text)
        if found is None:
            return None
        name = found["name"]
        arguments = [part.strip() for part in (found["rest"] or "").split(",")] if found["rest"] else []
        if found["query"]:
            own = self._queries.get(name)
            return own(arguments) if own else self._store.query(name, arguments)
        if name in self._commands:
            self._commands[name](arguments)
        else:
            self._store.command(name, arguments)
        return None

    def _valid(self, name: str) -> bool:
        return not self.sensor_status[name] & _INVALID_READING

    def _kelvin(self, name: str) -> str:
        return six_digits(self.plant.temperature_k.get(name, 0.0) if self._valid(name) else 0.0)

    def _sensor(self, name: str) -> str:
        volt = np.interp(self.plant.temperature_k.get(name, 0.0), _DIODE_K, _DIODE_V)
        return six_digits(float(volt) if self._valid(name) else 0.0)

    def _heater(self, output: str) -> str:
        """Heater power in percent: what holds the set point above the base, and more while the stage is colder."""
        if self._range[output] == 0 or self.heater_status.get(output, 0):
            return six_digits(0.0)
        wanted_k = self._setpoint_k[output]
        missing_k = wanted_k - self.plant.temperature_k.get("A", wanted_k)
        return six_digits(min(100.0, max(0.0, 0.3 * (wanted_k - self._base_k) + 5.0 * missing_k)))

    def _alarm(self, name: str) -> str:
        on, high_k, low_k = self._store.alarm(name)
        kelvin = self.plant.temperature_k.get(name, 0.0)
        return f"{flag(on and kelvin > high_k)},{flag(on and kelvin < low_k)}"

    def _make_queries(self) -> dict[str, Callable[[list[str]], str | None]]:
        def of_input(answer: Callable[[str], str]) -> Callable[[list[str]], str | None]:
            return lambda arguments: (
                answer(arguments[0]) if arguments in [[name] for name in _INPUTS] else None
            )

        def of_inputs(answer: Callable[[str], str]) -> Callable[[list[str]], str | None]:
            return lambda arguments: (
                ",".join(answer(name) for name in _INPUTS)
                if arguments in ([], ["0"])
                else of_input(answer)(arguments)
            )

        def of_output(
            answer: Callable[[str], str], outputs: str = "1234"
        ) -> Callable[[list[str]], str | None]:
            return lambda arguments: (
                answer(arguments[0]) if arguments in [[name] for name in outputs] else None
            )

        return {
            "*IDN": lambda arguments: None if arguments else self.identity,
            "*OPC": lambda arguments: None if arguments else "1",
            "*TST": lambda arguments: None if arguments else "0",
            "*STB": lambda arguments: None if arguments else "000",
            "*ESR": lambda arguments: None if arguments else "000",
            "KRDG": of_inputs(self._kelvin),
            "SRDG": of_inputs(self._sensor),
            "RDGST": of_input(lambda name: f"{self.sensor_status[name]:03d}"),
            "SETP": of_output(lambda output: six_digits(self._setpoint_k[output])),
            "RANGE": of_output(lambda output: str(self._range[output])),
            "HTR": of_output(self._heater, "12"),
            "HTRST": of_output(lambda output: str(self.heater_status[output]), "12"),
            "RAMPST": of_output(lambda output: flag(self._setpoint_k[output] != self._target_k[output])),
            "ALARMST": of_input(self._alarm),
        }

    def _set_setpoint(self, arguments: list[str]) -> None:
        value = read_float(arguments[1]) if len(arguments) == 2 else None
        if value is not None and arguments[0] in self._target_k and 0.0 <= value <= 1000.0:
            self._target_k[arguments[0]] = value

    def _set_range(self, arguments: list[str]) -> None:
        value = read_integer(arguments[1]) if len(arguments) == 2 else None
        if (
            value is not None
            and arguments[0] in self._range
            and 0 <= value <= (3 if arguments[0] in "12" else 1)
        ):
            self._range[arguments[0]] = value
