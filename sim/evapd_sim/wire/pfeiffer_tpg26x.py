"""Pfeiffer Vacuum TPG 26x gauge controller, as its cable shows it.

Source: TPG 261/262 operating instructions, chapter Communication. A mnemonic is acknowledged or refused, ENQ fetches the answer.
Settings of display, filters, switching points and gauge control are kept, as open clients (PyLabLib) read and set them; their values at power-on are by practice only.
"""

from collections.abc import Callable
from typing import ClassVar

from evapd_sim.plant import Plant
from evapd_sim.wire.base import Wire, seven_bits
from evapd_sim.wire.numbers import flag, read_float, read_integer

_ETX, _ENQ, _ACK, _NAK, _END = 0x03, 0x05, b"\x06\r\n", b"\x15\r\n", b"\r\n"
_OFF, _NO_SENSOR, _NO_IDENTITY = 4, 5, 6
_SYNTAX, _PARAMETER = 0b0001, 0b0010  # of the error word
_UNITS_PA = (100.0, 101325.0 / 760.0, 1.0)  # mbar, Torr, Pa
_PERIODS_S = (0.1, 1.0, 60.0)  # COM,0 to COM,2
_MAX_LINE = 64
# What is kept and given back: a kind and the value at power-on of each field. `i` whole number, `c` factor, `e` pressure; `*`: once for each gauge.
_KEPT = {
    "BAU": "i0", "SCT": "i0", "DCD": "i2", "WDT": "i0", "LOC": "i0", "FIL": "*i1", "CAL": "*c1", "OFC": "*i0", "OFD": "*e0", "DGS": "*i0",
    "SC1": "i0 i0 e1e-3 e1e-2", "SC2": "i0 i0 e1e-3 e1e-2",
    **{f"SP{number}": f"i{number > 2:d} e1e-6 e2e-6" for number in range(1, 5)},
}  # fmt: skip
_FORMS = {"i": "d", "c": ".3f", "e": "+.4E"}


class PfeifferTpg26xWire(Wire):
    """A TPG 262. It shows `plant.pressure_pa` and `plant.gauge_status` of gauges 1, 2, and so on.

    Args:
        plant: the physical quantities.
        model: `TPG261`, `TPG262`, `TPG361` or `TPG362`; only the 36x answer AYT.
        firmware: answer to PNR.
        gauges: gauge types for TID, separated by commas; how many there are is how many the controller has.
        unit: 0 mbar, 1 Torr, 2 Pa at power-on.
        streams_at_start: continuous output once per second from power-on, until anything is received.
        baud: bit/s set in the controller.
    """

    tick_s: ClassVar[float] = 0.05

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "TPG262",
        firmware: str = "BG509737",
        gauges: str = "PKR,PKR",
        unit: int = 0,
        streams_at_start: bool = False,
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self.model = model
        self._firmware = firmware
        self._types = gauges.split(",")
        self._unit = unit
        self._switched_off = [False] * len(self._types)
        self._errors = 0
        self._line = bytearray()
        self._period_s = _PERIODS_S[1] if streams_at_start else None
        self._waited_s = 0.0
        self._ask = self._error_word
        self._kept: dict[str, list[str]] = {}
        self._mnemonics = self._make_mnemonics()

    def _forget(self) -> None:
        self._line.clear()

    def _advanced(self, dt_s: float) -> None:
        self._waited_s += dt_s

    def _received(self, data: bytes) -> bytes:
        reply = b""
        for byte in data:
            if (
                byte not in b"\r\n"
            ):  # any character stops the continuous output, but LF after CR belongs to the command
                self._period_s = None
            if byte == _ENQ:
                reply += self._ask().encode("latin-1") + _END
            elif byte == _ETX:
                self._line.clear()
            elif byte in b"\r\n":
                line, self._line = bytes(self._line), bytearray()
                text = seven_bits(line)
                reply += self._command(text.upper()) if text else b""
            elif len(self._line) < _MAX_LINE:
                self._line.append(byte)
        return reply

    def _polled(self) -> bytes:
        if self._period_s is None or self._waited_s < self._period_s:
            return b""
        self._waited_s = min(
            self._waited_s - self._period_s, self._period_s
        )  # what nobody fetched in time is gone
        return (self._all() + "\r\n").encode("latin-1")

    def _command(self, line: str) -> bytes:
        name, comma, rest = line.partition(",")
        entry = self._mnemonics.get(name.strip())
        parameters = [part.strip() for part in rest.split(",")] if comma else []
        if entry is None:
            return self._refuse(_SYNTAX)
        change, answer = entry
        if not change(parameters):
            return self._refuse(_PARAMETER)
        self._ask = answer
        return _ACK

    def _refuse(self, error: int) -> bytes:
        self._errors |= error
        self._ask = self._error_word
        return _NAK

    def _error_word(self) -> str:
        word, self._errors = self._errors, 0
        return f"{word:04b}"

    def _reading(self, gauge: int) -> str:
        status = _OFF if self._switched_off[gauge - 1] else self.plant.gauge_status.get(gauge, _NO_SENSOR)
        value = self.plant.pressure_pa.get(gauge, 0.0) / _UNITS_PA[self._unit]
        return f"{status},{2e-2 if status == _NO_SENSOR else value:+.4E}"

    def _all(self) -> str:
        return ",".join(self._reading(gauge + 1) for gauge in range(len(self._types)))

    def _identifications(self) -> str:
        special = {_NO_SENSOR: "noSEn", _NO_IDENTITY: "noid"}
        states = [self.plant.gauge_status.get(gauge + 1, _NO_SENSOR) for gauge in range(len(self._types))]
        return ",".join(special.get(state, name) for state, name in zip(states, self._types, strict=True))

    def _choice(self, high: int, action: Callable[[int], None]) -> Callable[[list[str]], bool]:
        """Make the check of a mnemonic with one optional parameter 0 to `high`."""

        def change(parameters: list[str]) -> bool:
            if not parameters:
                return True
            if len(parameters) > 1 or not parameters[0].isdecimal() or int(parameters[0]) > high:
                return False
            action(int(parameters[0]))
            return True

        return change

    def _set_unit(self, unit: int) -> None:
        self._unit = unit

    def _stream(self, mode: int) -> None:
        self._period_s = _PERIODS_S[mode]
        self._waited_s = 0.0

    def _switch(self, parameters: list[str]) -> bool:
        """SEN,a,b: 0 leaves a gauge as it is, 1 switches it off, 2 on."""
        if parameters and (len(parameters) != len(self._types) or not set(parameters) <= {"0", "1", "2"}):
            return False
        for index, choice in enumerate(parameters):
            if choice != "0":
                self._switched_off[index] = choice == "1"
        return True

    def _keeper(self, name: str, fields: str) -> tuple[Callable[[list[str]], bool], Callable[[], str]]:
        """Make the entry of a setting that is kept."""
        parts = [fields[1:]] * len(self._types) if fields.startswith("*") else fields.split()
        kinds = [part[0] for part in parts]
        self._kept[name] = [f"{_number(part[0], part[1:]) or 0:{_FORMS[part[0]]}}" for part in parts]

        def change(parameters: list[str]) -> bool:
            values = [_number(kind, text) for kind, text in zip(kinds, parameters, strict=False)]
            if parameters and (len(parameters) != len(kinds) or None in values):
                return False
            if parameters:
                self._kept[name] = [
                    f"{value:{_FORMS[kind]}}" for kind, value in zip(kinds, values, strict=True)
                ]
            return True

        return change, lambda: ",".join(self._kept[name])

    def _cancel(self, parameters: list[str]) -> bool:
        """RES,1 cancels what is signalled."""
        return parameters in ([], ["1"])

    def _reset(self, parameters: list[str]) -> bool:
        if parameters:
            return False
        self._switched_off = [False] * len(self._types)
        self._errors = 0
        return True

    def _make_mnemonics(self) -> dict[str, tuple[Callable[[list[str]], bool], Callable[[], str]]]:
        plain = self._choice(-1, lambda _: None)
        table: dict[str, tuple[Callable[[list[str]], bool], Callable[[], str]]] = {
            "PRX": (plain, self._all),
            "COM": (self._choice(2, self._stream), self._all),
            "UNI": (self._choice(2, self._set_unit), lambda: str(self._unit)),
            "TID": (plain, self._identifications),
            "PNR": (plain, lambda: self._firmware),
            "SEN": (self._switch, lambda: ",".join("1" if off else "2" for off in self._switched_off)),
            "ERR": (plain, self._error_word),
            "SPS": (plain, lambda: ",".join(flag(self._below_setpoint(number)) for number in range(4))),
            "RST": (self._reset, self._error_word),
            "FSR": (plain, lambda: ",".join("0" for _ in self._types)),
            "RES": (self._cancel, lambda: "0"),
            **{name: self._keeper(name, fields) for name, fields in _KEPT.items()},
        }
        for gauge in range(1, len(self._types) + 1):
            table[f"PR{gauge}"] = (plain, self._reader(gauge))
        if self.model.startswith("TPG36"):
            table["AYT"] = (plain, lambda: f"{self.model},PTG28290,44990000,010300,010100")
        return table

    def _reader(self, gauge: int) -> Callable[[], str]:
        return lambda: self._reading(gauge)

    def _below_setpoint(self, number: int) -> bool:
        """Whether the pressure is below switching point `number`; they stand at 1e-4 Pa, two per gauge."""
        gauge = 1 + number * len(self._types) // 4
        ready = self.plant.gauge_status.get(gauge, _NO_SENSOR) in {0, 1} and not self._switched_off[gauge - 1]
        return ready and self.plant.pressure_pa.get(gauge, 1e5) < 1e-4


def _number(kind: str, text: str) -> float | None:
    return read_integer(text) if kind == "i" else read_float(text)
