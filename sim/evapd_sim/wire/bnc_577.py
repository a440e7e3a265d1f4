"""BNC 575/577 and Quantum Composers 9520/9530 pulse generators, as their cable shows them.

Source: BNC 575 and 577 operating manuals, chapter Programming (hosted pages); Quantum Composers 9500+ and 9530 manuals. Every line is answered: by
data, `ok`, or `?n`. By practice only: what *TRG, DISP and SYST answer beside `ok`. Voltages at the outputs are not simulated.
"""

from collections.abc import Callable

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.bnc_577_settings import (
    CHANNEL,
    GROUPS,
    SYSTEM,
    Settings,
    find,
    place_name,
    places,
    read,
    write,
)
from evapd_sim.wire.numbers import flag, read_integer
from evapd_sim.wire.scpi import boolean, header

_OK = "ok"
_PREFIX, _NO_KEYWORD, _KEYWORD, _NO_PARAMETER, _PARAMETER, _QUERY_ONLY, _NO_QUERY, _NOT_NOW = range(1, 9)
_TIMER = header("{PULSe#|SPULse}")
_PLACES = 13  # of *SAV, 0 is the factory's


class _Refused(Exception):
    """A line that is answered with `?n`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"?{code}")
        self.code = code


class Bnc577Wire(LineWire):
    """A BNC 577. It drives `plant.trigger`: running, rate, and by its gate whether the inhibit input matters.

    Args:
        plant: the physical quantities.
        model: in `*IDN?`; what begins with 9 is by Quantum Composers, and the digit behind it is its number of channels.
        serial: serial number in `*IDN?`.
        firmware: versions in `*IDN?`.
        channels: outputs.
        echo: whether each line comes back before its answer, as on the DB9 and USB ports where it is switched on.
        rate_hz: of the internal timer at power-on.
        external_hz: rate of what is connected to the trigger input.
        baud: bit/s set in the instrument.
    """

    max_length = 255
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "577-4",
        serial: str = "31309",
        firmware: str = "2.4.1-2.0.11",
        channels: int = 4,
        echo: bool = False,
        rate_hz: float = 1000.0,
        external_hz: float = 0.0,
        baud: int = 115_200,
    ) -> None:
        super().__init__(plant, baud=baud)
        self._model, self._firmware, self._channels = model, firmware, channels
        self.renumber(serial)
        self.echo = echo
        self.external_hz = external_hz
        self.pll_locked = True
        self.unavailable = False  # somebody works at its panel: what is set is refused
        self.settings = Settings({(0, "period"): 1.0 / rate_hz, (1, "state"): True})
        self._saved: dict[int, Settings] = {}
        self._selected = 1
        self._left_s = 0.0  # of a single pulse or burst
        self._switches = {"SYSTem:KLOCk": False, "SYSTem:AUTorun": False, "SYSTem:BEEPer[:STATe]": True, "SYSTem:CAPS": False, "DISPlay:MODe": True, "DISPlay:ENABle": True}  # fmt: skip
        self._queries = self._make_queries()
        self._commands = self._make_commands()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        vendor = "QC" if self._model.startswith("9") else "BNC"
        self._serial, self.identity = serial, f"{vendor},{self._model},{serial},{self._firmware}"

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:
        values, trigger = self.settings, self.plant.trigger
        if values[0, "state"] and values[0, "mode"] in {"SING", "BURS"}:
            self._left_s -= dt_s
            if self._left_s <= 0.0:
                values.values[0, "state"] = False
        hz = 1.0 / values.number(0, "period") if values[0, "trigger"] == "DIS" else self.external_hz
        if values[0, "mode"] == "DCYC":
            on, off = values.number(0, "on"), values.number(0, "off")
            hz *= on / (on + off)
        outputs = any(values[channel, "state"] for channel in range(1, self._channels + 1))
        trigger.running = bool(values[0, "state"]) and outputs and hz > 0.0
        trigger.inhibit_honoured = values[0, "gate"] != "DIS"
        if hz > 0.0:
            trigger.rate_hz = hz

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        return f"?{_KEYWORD}\r\n".encode()

    def _answer(self, line: str) -> bytes:
        echoed = f"{line}\r\n" * self.echo
        try:
            answer = self._command(line.upper())
        except _Refused as refusal:
            answer = f"?{refusal.code}"
        self._advanced(0.0)  # a command acts at once
        return (echoed + answer + "\r\n").encode("latin-1")

    def _command(self, text: str) -> str:
        head, _, argument = text.partition(" ")
        argument = argument.strip()
        asks = head.endswith("?")
        head = head.removesuffix("?")
        if not head.startswith((":", "*")):
            raise _Refused(_PREFIX)
        path = head.removeprefix(":")
        if not path or path == "*":
            raise _Refused(_NO_KEYWORD)
        timer, _, rest = path.partition(":")
        if found := _TIMER.fullmatch(timer):
            return self._timer(self._number(timer, found[1]), rest, argument, asks=asks)
        return self._plain(path, argument, asks=asks)

    def _number(self, timer: str, digits: str | None) -> int:
        if timer.startswith("S"):
            return 0
        if not digits:
            return self._selected
        if int(digits) > self._channels:
            raise _Refused(_KEYWORD)
        return int(digits)

    def _timer(self, channel: int, path: str, argument: str, *, asks: bool) -> str:
        if not path or any(group.fullmatch(path) for group in GROUPS):
            raise _Refused(_NO_KEYWORD)
        found = find(channel, path)
        if found is None:
            raise _Refused(_KEYWORD)
        system, name, leaf = found
        if channel and not system:
            self._selected = channel
        key = (0 if system else channel, name)
        if asks:
            answer = write(leaf, self.settings[key])
            return answer + "?" * (answer == "XPL" and not self.pll_locked)
        if not argument:
            raise _Refused(_NO_PARAMETER)
        value = read(leaf, argument)
        if value is None:
            raise _Refused(_PARAMETER)
        self._free()
        self.settings.values[key] = value
        if key == (0, "state") and value:
            pulses = self.settings.number(0, "burst") if self.settings[0, "mode"] == "BURS" else 1.0
            self._left_s = pulses * self.settings.number(0, "period")
        return _OK

    def _free(self) -> None:
        if self.unavailable:
            raise _Refused(_NOT_NOW)

    # -- what concerns the interface and not the pulses -------------------------------------------------------------

    def _plain(self, path: str, argument: str, *, asks: bool) -> str:
        for pattern, start in self._switches.items():
            if header(pattern).fullmatch(path):
                return flag(start) if asks else self._switch(pattern, argument)
        for pattern, query in self._queries.items():
            if header(pattern).fullmatch(path):
                if not asks and pattern not in self._commands:
                    raise _Refused(_QUERY_ONLY)
                if asks:
                    return query()
        for pattern, command in self._commands.items():
            if header(pattern).fullmatch(path):
                if asks:
                    raise _Refused(_NO_QUERY)
                self._free()
                command(argument)
                return _OK
        groups = ("INSTrument", "SYSTem", "DISPlay", "SYSTem:COMMunicate", "SYSTem:COMMunicate:SERial")
        raise _Refused(_NO_KEYWORD if any(header(group).fullmatch(path) for group in groups) else _KEYWORD)

    def _switch(self, pattern: str, argument: str) -> str:
        on = boolean(argument)
        if on is None:
            raise _Refused(_PARAMETER if argument else _NO_PARAMETER)
        self._switches[pattern] = on
        return _OK

    def _make_queries(self) -> dict[str, Callable[[], str]]:
        names = places(self._channels)
        return {
            "*IDN": lambda: self.identity,
            "*OPC": lambda: "1",
            "INSTrument:CATalog": lambda: ", ".join(names),
            "INSTrument:FULL": lambda: ", ".join(f"{name}, {number}" for number, name in enumerate(names)),
            "INSTrument:NSELect": lambda: str(self._selected),
            "INSTrument:SELect": lambda: place_name(self._selected),
            "INSTrument:STATe": lambda: flag(self.settings[self._selected, "state"]),
            "INSTrument:COMMands": lambda: ", ".join(sorted({*SYSTEM, *CHANNEL})),
            "SYSTem:STATe": lambda: flag(self.settings[0, "state"]),
            "SYSTem:VERSion": lambda: "1999.0",
            "SYSTem:SERNumber": lambda: self._serial,
            "SYSTem:INFOrmation": lambda: self.identity,
            "SYSTem:COMMunicate:SERial:BAUD": lambda: str(self.baud),
            "SYSTem:COMMunicate:SERial:USB": lambda: str(self.baud),
            "SYSTem:COMMunicate:SERial:{ECHo|ECHO}": lambda: flag(self.echo),
            "DISPlay:UPDate": lambda: _OK,
        }

    def _make_commands(self) -> dict[str, Callable[[str], None]]:
        return {
            "*RST": lambda _: self._restore(Settings()),
            "*SAV": self._save,
            "*RCL": self._recall,
            "*TRG": lambda _: self._fire(),
            "*CLS": lambda _: None,
            "INSTrument:NSELect": self._select_number,
            "INSTrument:SELect": self._select_name,
            "INSTrument:STATe": self._set_selected,
            "SYSTem:COMMunicate:SERial:{ECHo|ECHO}": self._set_echo,
            "DISPlay:UPDate": lambda _: None,
        }

    def _restore(self, settings: Settings) -> None:
        self.settings = settings

    def _place(self, argument: str) -> int:
        place = read_integer(argument)
        if place is None:
            raise _Refused(_PARAMETER if argument else _NO_PARAMETER)
        if not 0 <= place < _PLACES:
            raise _Refused(_PARAMETER)
        return place

    def _save(self, argument: str) -> None:
        self._saved[self._place(argument)] = self.settings.copy()

    def _recall(self, argument: str) -> None:
        place = self._place(argument)
        self._restore(self._saved[place].copy() if place in self._saved else Settings())

    def _fire(self) -> None:
        if self.settings[0, "trigger"] == "DIS":
            raise _Refused(_NOT_NOW)

    def _select_number(self, argument: str) -> None:
        number = self._place(argument)
        if number > self._channels:
            raise _Refused(_PARAMETER)
        self._selected = number

    def _select_name(self, argument: str) -> None:
        names = places(self._channels)
        if argument not in names:
            raise _Refused(_PARAMETER if argument else _NO_PARAMETER)
        self._selected = names.index(argument)

    def _set_selected(self, argument: str) -> None:
        on = boolean(argument)
        if on is None:
            raise _Refused(_PARAMETER if argument else _NO_PARAMETER)
        self.settings.values[self._selected, "state"] = on

    def _set_echo(self, argument: str) -> None:
        on = boolean(argument)
        if on is None:
            raise _Refused(_PARAMETER if argument else _NO_PARAMETER)
        self.echo = on
