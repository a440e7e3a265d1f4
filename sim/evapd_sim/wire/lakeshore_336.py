"""Lake Shore 336 temperature controller, as its cable shows it.

Source: Model 336 user's manual, chapter Computer Interface Operation, and the maker's own Python package. By practice only: the digits of the replies, replies joined
by semicolons, and which mistake sets which bit of the event register. The heater is a plausible one: what the plant feels is `temperature_setpoint_k`.
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
_COMMAND_ERROR, _EXECUTION_ERROR = 32, 16  # of the standard event register
_SILENT = {"*CLS", "*RST", "*OPC", "*WAI", "ALMRST", "ATUNE", "DFLT", "SCAL"}  # taken, and of no effect here
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
        self._events = 0  # standard event register
        self._extremes_k: dict[str, tuple[float, float]] = {}
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
            "CRVDEL": lambda arguments: self._store.delete_curve(",".join(arguments)),
            "MNMXRST": lambda _: self._extremes_k.clear(),
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
        for name, kelvin in self.plant.temperature_k.items():
            low_k, high_k = self._extremes_k.get(name, (kelvin, kelvin))
            self._extremes_k[name] = min(low_k, kelvin), max(high_k, kelvin)
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
            self._events |= _COMMAND_ERROR
            return None
        name = found["name"]
        arguments = [part.strip() for part in (found["rest"] or "").split(",")] if found["rest"] else []
        if found["query"]:
            own = self._queries.get(name)
            answer = own(arguments) if own else self._store.query(name, arguments)
            if answer is None:
                self._events |= _COMMAND_ERROR
            return answer
        if name in self._commands:
            self._commands[name](arguments)
        elif name == "*CLS":
            self._events = 0
        elif name not in _SILENT and not self._store.command(name, arguments):
            self._events |= _EXECUTION_ERROR if self._store.known(name) else _COMMAND_ERROR
        return None

    def _told_events(self) -> str:
        """Reading clears it."""
        events, self._events = self._events, 0
        return f"{events:03d}"

    def _celsius(self, name: str) -> str:
        return six_digits(self.plant.temperature_k.get(name, 0.0) - 273.15 if self._valid(name) else 0.0)

    def _extremes(self, name: str) -> str:
        return ",".join(six_digits(kelvin) for kelvin in self._extremes_k.get(name, (0.0, 0.0)))

    def _relay(self, number: str) -> str:
        mode, name, which = (self._store.query("RELAY", [number]) or "0,A,2").split(",")
        high, low = self._alarm(name).split(",") if name in _INPUTS else ("0", "0")
        alarmed = {"0": low, "1": high}.get(which, flag("1" in (high, low)))
        return alarmed if mode == "2" else mode

    def _address(self) -> str:
        """State of the network, then the addresses in force, the number of the interface, host and domain."""
        _, _, *rest = (self._store.query("NET", []) or "").split(",")
        return ",".join(["0", *rest[:5], "00-00-00-00-00-00", *rest[5:7]])

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

    def _analogue(self, output: str) -> str:
        known = self._store.query("MOUT", [output]) if self._range[output] else None
        return known or six_digits(0.0)

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
            "*ESR": lambda arguments: None if arguments else self._told_events(),
            "OPST": lambda _: "000",
            "OPSTR": lambda _: "000",
            "TEMP": lambda _: six_digits(296.0),  # of the thermocouples' terminals
            "TUNEST": lambda _: "0,1,0,0",
            "NETID": lambda _: self._address(),
            "CRDG": of_inputs(self._celsius),
            "MDAT": of_input(self._extremes),
            "AOUT": of_output(self._analogue, "34"),
            "RELAYST": of_output(self._relay, "12"),
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
