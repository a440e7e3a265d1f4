"""Technix SR high-voltage supply, as its cable shows it.

Source: the RS-232 control protocol as HVCtl's protocol notes, hvl_ccb and EPICS-Technix describe it. Assumed, because nobody documents
it: programmed values are 0 after power-on; what is no command, or out of range, is answered by nothing; in LOCAL commands are echoed and
the output does not follow; an on pulse works only without fault, open interlock and held off command.
"""

import re

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_float
from evapd_sim.wire.supply_faults import SupplyFaults

FULL = 4095  # counts of full scale
_PULSE_S = 0.095  # from which an on or off command is a pulse: 100 ms with the jitter of a sender's clock
_SET = re.compile(r"([dD][12]|[pP][5-8]),(\S+)")
_ON, _OFF, _LOCAL, _INHIBIT = "P5", "P6", "P7", "P8"


class TechnixSrWire(SupplyFaults, LineWire):
    """A Technix SR. It drives one supply of the plant: `demand_v` follows set value, output, current limit and inhibit.

    Args:
        plant: the physical quantities.
        rated_v: voltage of 4095 counts in V.
        rated_a: current of 4095 counts in A.
        watchdog_s: time without a command after which it goes off and local; 0 = it waits for ever.
        adc_ideal: readings without noise.
        adc_noise_lsb: standard deviation of a reading in counts.
        seed: of the noise.
        supply: which supply of the plant it is: `specimen`, `pulse`, or one of its own under any other name.
        baud: bit/s set in the instrument.
    """

    max_length = 40

    def __init__(
        self,
        plant: Plant,
        *,
        rated_v: float = 15_000.0,
        rated_a: float = 0.02,
        watchdog_s: float = 5.0,
        adc_ideal: bool = False,
        adc_noise_lsb: float = 0.5,
        seed: int = 0,
        supply: str = "specimen",
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self.supply = plant.supply(supply)
        self.rated_v = rated_v
        self.rated_a = rated_a
        self.local = False  # the switch at the front panel, which no command overrules
        self.watchdog_s = watchdog_s
        self.fault = False
        self.arcs = 0
        self.hv_on = False
        self.programmed = {"D1": 0, "D2": 0}
        self._panel_v: float | None = None
        self._inputs = dict.fromkeys((_ON, _OFF, _LOCAL, _INHIBIT), False)
        self._since_s = {_ON: float("inf"), _OFF: float("inf")}  # when the pulse under way began
        self._heard_s: float | None = None
        self._noise = 0.0 if adc_ideal else adc_noise_lsb
        self._rng = np.random.default_rng(seed)

    @property
    def in_local(self) -> bool:
        """Whether the front panel governs, by its switch, by command or by the watchdog."""
        return self.local or self._inputs[_LOCAL]

    @property
    def output_on(self) -> bool:
        """Whether there is voltage on the output."""
        return self.hv_on and not self._inputs[_INHIBIT]

    @property
    def limited(self) -> bool:
        """Whether the load would draw more than is allowed."""
        return self.output_on and self._wanted_v() > self._allowed_v()

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Turn the knob, which counts in LOCAL only, or press a button as a person does."""
        with self.plant.lock:
            self._panel_v = self._panel_v if v_set_v is None else v_set_v
            if output is not None:
                self._press(on=output)
            self._drive()

    def trip(self) -> None:
        """Trip: off, and a fault until the off command."""
        self.hv_on, self.fault = False, True
        self._drive()

    def go_local(self, *, local: bool) -> None:
        """Turn the switch at the front panel; the output stays as it is, the knob stands where the output was."""
        if local and not self.local:
            self._panel_v = self._wanted_v()
        self.local = local
        self._drive()

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the interlock: the output goes off and stays off, with the fault flag where it latches."""
        self.supply.interlock_open = is_open
        if is_open:
            self.hv_on = False
            self.fault = self.fault or latches
        self._drive()

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - pulses and watchdog follow the clock itself
        if self._heard_s is None:
            self._heard_s = self.now_s
        if self.watchdog_s and self.now_s - self._heard_s > self.watchdog_s:
            self.hv_on, self._inputs[_LOCAL] = False, True
        for pulse in (_ON, _OFF):
            if self.now_s - self._since_s[pulse] >= _PULSE_S and not self.in_local:
                self._since_s[pulse] = float("inf")
                self._press(on=pulse == _ON)
        self._drive()

    def _press(self, *, on: bool) -> None:
        if on:
            blocked = self.fault or self.supply.interlock_open or self._inputs[_OFF]
            self.hv_on = self.hv_on or not blocked
        else:
            self.hv_on = False
            self.fault = self.fault and self.supply.interlock_open

    def _wanted_v(self) -> float:
        if self.in_local and self._panel_v is not None:
            return self._panel_v
        return self.programmed["D1"] * self.rated_v / FULL

    def _allowed_v(self) -> float:
        return self.programmed["D2"] * self.rated_a / FULL * self.supply.ohm

    def _drive(self) -> None:
        self.supply.demand_v = min(self._wanted_v(), self._allowed_v()) if self.output_on else 0.0

    # -- commands ---------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        return b""

    def _answer(self, line: str) -> bytes:
        told = self._query(line.upper())
        if told is None and not self._set(line):
            return b""
        self._heard_s = self.now_s
        self._drive()  # a command acts at once
        return f"{line}{told or ''}\r".encode("ascii")

    def _query(self, line: str) -> str | None:
        """Give what stands behind the question, None where it is none."""
        match line:
            case "A1":
                return self._counts(self.readback(self.supply.v_v), self.rated_v)
            case "A2":
                return self._counts(self.supply.i_a, self.rated_a)
            case "E":
                return str(self._status())
            case "F":
                return f"{min(self.arcs, 9):03d}"
        return None

    def _set(self, line: str) -> bool:
        """Carry out a set, and say whether it was one."""
        found = _SET.fullmatch(line)
        value = read_float(found[2]) if found else None
        if found is None or value is None:
            return False
        name = found[1].upper()
        if name in self.programmed:
            if not 0 <= value <= FULL:
                return False
            if not self.in_local:
                self.programmed[name] = int(value)
        elif value in (0.0, 1.0):
            self._switch(name, on=bool(value))
        else:
            return False
        return True

    def _switch(self, name: str, *, on: bool) -> None:
        begins = on and not self._inputs[name]
        self._inputs[name] = on
        if name in self._since_s and not (on and not begins):
            self._since_s[name] = self.now_s if begins else float("inf")

    def _counts(self, value: float, full: float) -> str:
        counts = value / full * FULL + (self._rng.normal(0.0, self._noise) if self._noise else 0.0)
        return str(min(max(round(counts), 0), FULL))

    def _status(self) -> int:
        bits = (
            self._inputs[_INHIBIT], self.in_local, self._inputs[_OFF], self._inputs[_ON],
            self.hv_on, self.supply.interlock_open, self.fault, not self.limited,
        )  # fmt: skip
        return sum(bit << place for place, bit in enumerate(reversed(bits)))
