"""Heinzinger PNC high-voltage supply with Digital Interface I or II, as its cable shows it.

Source: the interface's command list as three open clients use it (one cites the maker's manual V1.6). Assumed, because nobody documents it:
set points are 0 after power-on; what is unknown or beyond the nominal values is passed over in silence; any set takes remote control, unless the
switch at the front panel stands at LOCAL, where sets are ignored.
"""

import re
from collections.abc import Callable

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_float, read_integer
from evapd_sim.wire.scpi import boolean, header
from evapd_sim.wire.supply_faults import SupplyFaults

_NOMINAL = re.compile(r"PNC\D*([0-9]+)\s*-\s*([0-9.]+)\s?[a-z]{3}")
_AVERAGES = (1, 2, 4, 8, 16)


class HeinzingerPncWire(SupplyFaults, LineWire):
    """A PNC. It drives one supply of the plant: `demand_v` follows set point, output and current limit.

    Args:
        plant: the physical quantities.
        model: type with nominal voltage in V, nominal current in mA and polarity, such as `PNChp 20000-10pos`.
        serial: serial number.
        serial_first: `*IDN?` begins with the serial number, as of some units.
        bare_point: numbers below 1 begin with their point, as of some units.
        adc_ideal: readings without noise.
        adc_noise: standard deviation of a reading as part of the nominal value.
        seed: of the noise.
        supply: which supply of the plant it is: `specimen`, `pulse`, or one of its own under any other name.
        baud: bit/s set in the instrument.
    """

    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "PNChp 20000-10pos",
        serial: str = "354211082",
        serial_first: bool = False,
        bare_point: bool = False,
        adc_ideal: bool = False,
        adc_noise: float = 1e-5,
        seed: int = 0,
        supply: str = "specimen",
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        found = _NOMINAL.search(model)
        if found is None:
            raise ValueError(f"'{model}' is no type such as 'PNChp 20000-10pos'")
        self.supply = plant.supply(supply)
        self.rated_v, self.rated_a = float(found[1]), 1e-3 * float(found[2])
        self._v_unit = 1e3 if self.rated_v >= 100e3 else 1.0
        self._a_unit = 1.0 if self.rated_a > 1.0 else 1e-3 if self.rated_a >= 1e-3 else 1e-6
        self._model, self._serial_first, self._bare_point = model, serial_first, bare_point
        self.renumber(serial)
        self.local = False
        self.output_on = False
        self.set_v = self.set_a = 0.0
        self._average = 1
        self._noise = 0.0 if adc_ideal else adc_noise
        self._rng = np.random.default_rng(seed)
        self._queries = self._make_queries()
        self._sets = self._make_sets()

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Turn the knob and press the button as a person does, also in LOCAL."""
        with self.plant.lock:
            self.set_v = self.set_v if v_set_v is None else min(max(v_set_v, 0.0), self.rated_v)
            self._switch(self.output_on if output is None else output)
            self._advanced(0.0)

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.identity = f"{serial}/{self._model}." if self._serial_first else f"{self._model} {serial}"

    def trip(self) -> None:
        """Switch the output off, as an arc does; it stays off until it is switched off and on."""
        self.supply.trip, self.output_on = True, False
        self._advanced(0.0)

    def go_local(self, *, local: bool) -> None:
        """Turn the switch at the front panel; the output stays as it is."""
        self.local = local

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the interlock; where it latches the output must be switched on again."""
        self.supply.interlock_open = is_open
        self.output_on = self.output_on and not (is_open and latches)
        self._advanced(0.0)

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - this one follows at once
        on = self.output_on and not self.supply.interlock_open
        self.supply.demand_v = min(self.set_v, self.set_a * self.supply.ohm) if on else 0.0

    def _switch(self, on: bool) -> None:  # noqa: FBT001 - the state itself
        self.supply.trip = self.supply.trip and on
        self.output_on = on and not self.supply.trip

    # -- commands ---------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        return b""

    def _answer(self, line: str) -> bytes:
        said = [
            reply for part in line.upper().split(";") if (reply := self._command(part.strip())) is not None
        ]
        self._advanced(0.0)  # a command acts at once
        return "".join(f"{reply}\n" for reply in said).encode("ascii")

    def _command(self, text: str) -> str | None:
        path, _, argument = text.removeprefix(":").partition(" ")
        for table in (self._queries, self._sets):
            for pattern, action in table.items():
                if pattern.fullmatch(path):
                    return action(argument.strip())
        return None

    def _make_queries(self) -> dict[re.Pattern[str], Callable[[str], str | None]]:
        def measured_v() -> float:
            return self.readback(self.supply.v_v) + self._rng.normal(0.0, self._noise) * self.rated_v

        def measured_a() -> float:
            return self.supply.i_a + self._rng.normal(0.0, self._noise) * self.rated_a

        said: dict[str, Callable[[], str]] = {
            "*IDN?": lambda: self.identity,
            "VERSion?": lambda: "Digital Interface II V1.6",
            "[SOURce:]VOLTage?": lambda: self._volts(self.set_v),
            "[SOURce:]CURRent?": lambda: self._amperes(self.set_a),
            "MEASure[:SCALar]:VOLTage?": lambda: self._volts(max(0.0, measured_v())),
            "MEASure[:SCALar]:CURRent?": lambda: self._amperes(max(0.0, measured_a())),
            "AVERage?": lambda: str(self._average),
        }
        return {_query(text): _without_argument(tell) for text, tell in said.items()}

    def _make_sets(self) -> dict[re.Pattern[str], Callable[[str], None]]:
        return {
            header("*RST"): self._reset,
            header("[SOURce:]VOLTage"): self._set_voltage,
            header("[SOURce:]CURRent"): self._set_current,
            header("OUTPut[:STATe]"): self._set_output,
            header("AVERage"): self._set_average,
        }

    def _reset(self, argument: str) -> None:
        if not argument and not self.local:
            self._switch(False)
            self.set_v = self.set_a = 0.0

    def _set_voltage(self, argument: str) -> None:
        value = read_float(argument)
        if value is not None and 0.0 <= value * self._v_unit <= self.rated_v and not self.local:
            self.set_v = value * self._v_unit

    def _set_current(self, argument: str) -> None:
        value = read_float(argument)
        if value is not None and 0.0 <= value * self._a_unit <= self.rated_a * (1 + 1e-9) and not self.local:
            self.set_a = value * self._a_unit

    def _set_output(self, argument: str) -> None:
        on = boolean(argument)
        if on is not None and not self.local:
            self._switch(on)

    def _set_average(self, argument: str) -> None:
        value = read_integer(argument)
        if value in _AVERAGES and not self.local:
            self._average = value

    def _volts(self, v_v: float) -> str:
        return self._number(v_v / self._v_unit, 4 if self._v_unit > 1.0 else 1)

    def _amperes(self, a: float) -> str:
        return self._number(a / self._a_unit, 4)

    def _number(self, value: float, decimals: int) -> str:
        text = f"{value:.{decimals}f}"
        return text.removeprefix("0") if self._bare_point and value < 1.0 else text


def _query(text: str) -> re.Pattern[str]:
    return re.compile(header(text.removesuffix("?")).pattern + r"\?", re.ASCII)


def _without_argument(tell: Callable[[], str]) -> Callable[[str], str | None]:
    return lambda argument: None if argument else tell()
