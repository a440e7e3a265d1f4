"""What a GCS controller keeps beside its axes: digital lines, trigger outputs, variables and macros.

Source: GCS 2.0 as QMI's E-873 driver and the maker's Python package use it. A macro runs at once, line by line; waiting and branching are
not simulated, their lines do nothing.
"""

from collections.abc import Callable

from evapd_sim.wire.numbers import read_float, read_integer

UNKNOWN, SYNTAX, MISSING, OUT_OF_RANGE, NO_MACRO = 2, 1, 26, 17, 1000
LINES = range(1, 5)
_PASSED_OVER = {"WAC", "DEL", "MEX", "JRC", "CPY", "ADD"}


class Refused(Exception):
    """The controller does not do it; ERR? tells the code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Store:
    """Lines, triggers, variables and macros; `queries` and `commands` take the words behind the command.

    Args:
        run: carries out one line of a macro.
    """

    def __init__(self, run: Callable[[str], object]) -> None:
        self.recording = ""  # name of the macro that is being defined
        self._run = run
        self._outputs = dict.fromkeys(LINES, 0)
        self._triggers = dict.fromkeys(LINES, 0)
        self._settings: dict[tuple[int, int], str] = {}  # of trigger outputs, by line and parameter
        self._variables: dict[str, str] = {}
        self._macros: dict[str, list[str]] = {}
        self.queries: dict[str, Callable[[list[str]], list[str]]] = {
            "DIO?": lambda words: [f"{line}=0" for line in _lines(words)],
            "TIO?": lambda _: ["I=4", "O=4"],
            "TRO?": lambda words: [f"{line}={self._triggers[line]}" for line in _lines(words)],
            "CTO?": self._trigger_settings,
            "VAR?": lambda words: [
                f"{name}={self._variable(name)}" for name in words or list(self._variables)
            ],
            "MAC?": lambda words: self._macro(words[0]) if words else list(self._macros) or [""],
            "RMC?": lambda _: [""],
        }
        self.commands: dict[str, Callable[[list[str]], None]] = {
            "DIO": lambda words: _switch(self._outputs, words),
            "TRO": lambda words: _switch(self._triggers, words),
            "CTO": self._set_trigger,
            "VAR": self._set_variable,
            "MAC": self._of_macro,
            **dict.fromkeys(_PASSED_OVER, lambda _: None),
        }

    def record(self, line: str) -> None:
        """Take a line into the macro that is being defined; `MAC END` ends it."""
        if line.upper().split()[:2] == ["MAC", "END"]:
            self.recording = ""
        else:
            self._macros[self.recording].append(line)

    def _trigger_settings(self, words: list[str]) -> list[str]:
        if not words:
            return [f"{line} {key}={value}" for (line, key), value in self._settings.items()] or [""]
        if len(words) % 2:
            raise Refused(MISSING)
        pairs = [(_line(words[at]), _whole(words[at + 1])) for at in range(0, len(words), 2)]
        return [f"{line} {key}={self._settings.get((line, key), '0')}" for line, key in pairs]

    def _set_trigger(self, words: list[str]) -> None:
        if not words or len(words) % 3:
            raise Refused(MISSING)
        for at in range(0, len(words), 3):
            if read_float(words[at + 2]) is None:
                raise Refused(SYNTAX)
            self._settings[_line(words[at]), _whole(words[at + 1])] = words[at + 2]

    def _variable(self, name: str) -> str:
        if name not in self._variables:
            raise Refused(OUT_OF_RANGE)
        return self._variables[name]

    def _set_variable(self, words: list[str]) -> None:
        if not words:
            raise Refused(MISSING)
        if len(words) == 1:
            self._variables.pop(words[0], None)
        else:
            self._variables[words[0]] = words[1]

    def _macro(self, name: str) -> list[str]:
        if name not in self._macros:
            raise Refused(NO_MACRO)
        return self._macros[name] or [""]

    def _of_macro(self, words: list[str]) -> None:
        what, name = words[0].upper() if words else "", words[1] if len(words) > 1 else ""
        if what in {"STOP", "END"}:
            return
        if not name:
            raise Refused(MISSING)
        if what == "BEG":
            self.recording, self._macros[name] = name, []
        elif what == "DEL":
            self._macro(name)
            del self._macros[name]
        elif what in {"START", "NSTART"}:
            for line in self._macro(name):
                if not line.upper().startswith("MAC"):  # no macro calls itself for ever
                    self._run(line)
        else:
            raise Refused(UNKNOWN)


def _whole(text: str) -> int:
    value = read_integer(text)
    if value is None:
        raise Refused(SYNTAX)
    return value


def _line(text: str) -> int:
    if _whole(text) not in LINES:
        raise Refused(OUT_OF_RANGE)
    return int(text)


def _lines(words: list[str]) -> list[int]:
    return [_line(word) for word in words] or list(LINES)


def _switch(levels: dict[int, int], words: list[str]) -> None:
    if not words or len(words) % 2:
        raise Refused(MISSING)
    for at in range(0, len(words), 2):
        if words[at + 1] not in {"0", "1"}:
            raise Refused(OUT_OF_RANGE)
        levels[_line(words[at])] = int(words[at + 1])
