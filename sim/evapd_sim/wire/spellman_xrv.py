"""Spellman XRV high-voltage supply, as its cable shows it.

Source: the digital interface protocol as open clients describe it (PyMeasure and its tests; a client of a relative that quotes the
manual for checksum and error codes). Assumed, because nobody documents it: set points are 0 after power-on; in LOCAL sets are acknowledged
and do nothing; HV on is acknowledged and does nothing while something stands against it; the watchdog timer of command 27 counts in
seconds, 0 = off. Left out: ramps and user configurations (command 09), whose arguments differ between the relatives.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.base import Wire, seven_bits
from evapd_sim.wire.numbers import flag, read_integer
from evapd_sim.wire.supply_faults import SupplyFaults

STX, ETX = 0x02, 0x03
FULL = 4095  # counts of full scale
_ADC_FULL = 1.2  # of the rating, at 4095 counts of a monitor
_LONGEST = 80  # bytes of a frame
_MALFORMED, _UNKNOWN, _RANGE = 1, 2, 3
_ARC, _WATCHDOG = 11, 21  # places in the list of errors
_ERRORS = 27
_KV, _MA, _FILAMENT, _PREHEAT = "10", "11", "12", "13"
_READS = {"14": _KV, "15": _MA, "16": _FILAMENT, "17": _PREHEAT}
_SWITCHES = {"32", "70"}  # filament size, filament on: of an X-ray tube, kept and without effect


def checksum(text: str) -> str:
    """Give the character behind `text`, which includes the last comma: between 0x40 and 0x7F."""
    return chr((-sum(text.encode("ascii")) & 0x7F) | 0x40)


class SpellmanXrvWire(SupplyFaults, Wire):
    """A Spellman XRV. It drives one supply of the plant: `demand_v` follows set point, HV on and current limit.

    Args:
        plant: the physical quantities.
        rated_kv: voltage of 4095 counts in kV.
        rated_ma: current of 4095 counts in mA.
        wants_checksum: frames without one are ignored, as on a serial line; else both are taken, each answered in its own form.
        watchdog_s: time without a frame after which it goes off with a fault; 0 = it waits for ever.
        tells_model: whether commands 23 and 43 are known.
        adc_ideal: readings without noise.
        adc_noise_lsb: standard deviation of a reading in counts.
        seed: of the noise.
        supply: which supply of the plant it is: `specimen`, `pulse`, or one of its own under any other name.
        baud: bit/s set in the instrument.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        rated_kv: float = 160.0,
        rated_ma: float = 30.0,
        wants_checksum: bool = False,
        watchdog_s: float = 0.0,
        tells_model: bool = True,
        adc_ideal: bool = False,
        adc_noise_lsb: float = 0.5,
        seed: int = 0,
        supply: str = "specimen",
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self.supply = plant.supply(supply)
        self.rated_kv, self.rated_ma = rated_kv, rated_ma
        self.local = False
        self.watchdog_s = watchdog_s
        self.hv_on = False
        self.errors: set[int] = set()
        self.set_points = dict.fromkeys((_KV, _MA, _FILAMENT, _PREHEAT), 0)
        self._wants_checksum = wants_checksum
        self._power_w = [110, 20]
        self._on_s = 0.0
        self._heard_s: float | None = None
        self._noise = 0.0 if adc_ideal else adc_noise_lsb
        self._rng = np.random.default_rng(seed)
        self._frame: bytearray | None = None  # since the last STX
        self._queries = self._make_queries(tells_model=tells_model)
        self._sets = self._make_sets()

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Turn the knob and press the button as a person does, also in LOCAL."""
        with self.plant.lock:
            if v_set_v is not None:
                self.set_points[_KV] = round(v_set_v / (1e3 * self.rated_kv) * FULL)
            if output is not None:
                self._switch(on=output)
            self._drive()

    def trip(self) -> None:
        """Trip by an arc: off, and a fault until it is reset."""
        self._fail(_ARC)

    def go_local(self, *, local: bool) -> None:
        """Turn to local mode; the output stays as it is."""
        self.local = local

    def interlock(self, *, is_open: bool, latches: bool) -> None:  # noqa: ARG002 - it must be switched on again either way
        """Open or close interlock 1: the output goes off and stays off."""
        self.supply.interlock_open = is_open
        self.hv_on = self.hv_on and not is_open
        self._drive()

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:
        self._heard_s = self.now_s if self._heard_s is None else self._heard_s
        self._on_s += dt_s * self.hv_on
        if self.watchdog_s and self.hv_on and self.now_s - self._heard_s > self.watchdog_s:
            self._fail(_WATCHDOG)
        self._drive()

    def _fail(self, error: int) -> None:
        self.errors.add(error)
        self.hv_on = False
        self._drive()

    def _drive(self) -> None:
        wanted_v = self.set_points[_KV] / FULL * 1e3 * self.rated_kv
        allowed_v = self.set_points[_MA] / FULL * 1e-3 * self.rated_ma * self.supply.ohm
        self.supply.demand_v = min(wanted_v, allowed_v) if self.hv_on else 0.0

    def _switch(self, *, on: bool) -> None:
        self.hv_on = on and not (self.errors or self.supply.interlock_open)

    # -- frames -----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._frame = None

    def _received(self, data: bytes) -> bytes:
        reply = bytearray()
        for byte in data:
            if byte == STX:
                self._frame = bytearray()
            elif self._frame is None:
                continue
            elif byte == ETX:
                text, self._frame = seven_bits(bytes(self._frame)), None
                reply += self._answer(text)
            elif len(self._frame) < _LONGEST:
                self._frame.append(byte)
            else:
                self._frame = None
        return bytes(reply)

    def _answer(self, text: str) -> bytes:
        head, comma, tail = text.rpartition(",")
        signed = len(tail) == 1 and tail >= "@"  # a checksum is never a digit
        if signed and tail != checksum(head + comma):
            return b""
        if self._wants_checksum and not signed:
            return b""
        fields = (head if signed or not tail else text).rstrip(",").split(",")
        command, arguments = fields[0].strip(), fields[1:]
        if len(command) != 2 or not command.isdigit():
            return b""
        self._heard_s = self.now_s
        told = f"{command},{self._do(command, arguments)},"
        self._drive()  # a command acts at once
        return f"\x02{told}{checksum(told) if signed else ''}\x03".encode("ascii")

    def _do(self, command: str, arguments: list[str]) -> str:
        """Carry out one command and give what its answer says."""
        if command in self._queries:
            return self._queries[command]() if not arguments else f"!,{_MALFORMED}"
        if command not in self._sets:
            return f"!,{_UNKNOWN}"
        count, largest, action = self._sets[command]
        values = [value for value in map(read_integer, arguments) if value is not None]
        if len(values) != len(arguments) or len(values) != count:
            return f"!,{_MALFORMED}"
        if not all(0 <= value <= largest for value in values):
            return f"!,{_RANGE}"
        action(values)
        return "$"

    def _make_sets(self) -> dict[str, tuple[int, int, Callable[[list[int]], object]]]:
        """Make the table of sets: how many arguments, the largest of them, and what is done."""
        table: dict[str, tuple[int, int, Callable[[list[int]], object]]] = {
            "07": (1, 5, _keep),
            "30": (0, 0, self._zero_timer),
            "31": (0, 0, self._reset_faults),
            "74": (0, 0, self._reset_faults),
            "97": (2, 100_000, self._limit_power),
            "98": (1, 1, self._command_hv),
        }
        table |= {name: (1, FULL, partial(self._program, name)) for name in self.set_points}
        return table | dict.fromkeys(_SWITCHES, (1, 1, _keep))

    def _program(self, name: str, values: list[int]) -> None:
        if not self.local:
            self.set_points[name] = values[0]

    def _command_hv(self, values: list[int]) -> None:
        if not self.local:
            self._switch(on=bool(values[0]))

    def _limit_power(self, values: list[int]) -> None:
        self._power_w = values

    def _reset_faults(self, _: list[int]) -> None:
        self.errors.clear()

    def _zero_timer(self, _: list[int]) -> None:
        self._on_s = 0.0

    # -- what queries say -------------------------------------------------------------------------------------------

    def _make_queries(self, *, tells_model: bool) -> dict[str, Callable[[], str]]:
        known = {
            "19": lambda: f"{self._kv()},{self._ma()},0,0,0,0,0,0",
            "20": lambda: f"{self._kv()},{self._ma()},0,0,0,0,0,0",
            "21": lambda: f"{self._on_s / 3600.0:.6f}",
            "22": self._status,
            "27": lambda: f"0,110,0,0,0,4,0,0,0,{self.rated_kv:g},{self.rated_ma:g},{self.watchdog_s:g}",
            "28": lambda: f"{self.rated_kv:g},{self.rated_ma:g},0",
            "38": lambda: f"{self._power_w[0]},{self._power_w[1]},0,0,0,0",
            "60": self._kv,
            "61": self._ma,
            "65": lambda: "2601",
            "68": lambda: ",".join(flag(place in self.errors) for place in range(_ERRORS)),
            "69": lambda: f"507,0,{self._kv()},0,1298,1500,1298,1500,3510,2601",
        }
        known |= {read: partial(self._programmed, name) for read, name in _READS.items()}
        if tells_model:
            known |= {"23": lambda: "SWM9999-999,56234", "43": lambda: "SWM00199-001,3261"}
        return known

    def _programmed(self, name: str) -> str:
        return str(self.set_points[name])

    def _kv(self) -> str:
        return self._counts(self.readback(self.supply.v_v) / (1e3 * self.rated_kv))

    def _ma(self) -> str:
        return self._counts(self.supply.i_a / (1e-3 * self.rated_ma))

    def _counts(self, part: float) -> str:
        noise = self._rng.normal(0.0, self._noise) if self._noise else 0.0
        return str(min(max(round(part / _ADC_FULL * FULL + noise), 0), FULL))

    def _status(self) -> str:
        closed = not self.supply.interlock_open
        ready = closed and not self.errors
        bits = (
            self.hv_on, closed, True, False, bool(self.errors), self.local, False, False, self.hv_on, False, False,
            False, False, False, False, ready, True,
        )  # fmt: skip
        return ",".join(flag(bit) for bit in bits)


def _keep(_: list[int]) -> None:
    """Take what has no effect here."""
