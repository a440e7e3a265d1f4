"""Glassman FR high-voltage supply (EJ, ET, EY and FJ speak the same), as its cable shows it.

Source: the serial protocol as open clients describe it (InstrumentKit and its tests, loggers of one laboratory). Assumed, because nobody
documents it: set points are 0 after power-on; the host's time-out is off then, and switches off without a fault; in LOCAL a set is answered E6.
"""

import re

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.base import Wire, seven_bits
from evapd_sim.wire.supply_faults import SupplyFaults

_SOH, _CR = 0x01, 0x0D
_LONGEST = 40
_FULL_SET, _FULL_MONITOR = 0xFFF, 0x3FF
_UNDEFINED, _CHECKSUM, _EXTRA, _ILLEGAL, _FAULTED, _FAILED = 1, 2, 3, 4, 5, 6
_OFF, _ON, _RESET = 1, 2, 4
_SET = re.compile(r"([0-9A-F]{3})([0-9A-F]{3})([0-9A-F]{7})")
_LENGTHS = {"Q": 0, "V": 0, "C": 1, "S": 13}
HOST_TIMEOUT_S = 1.5


def checksum(text: str) -> str:
    """Give the sum of the characters, modulo 256, as two hexadecimal figures."""
    return f"{sum(text.encode('ascii')) & 0xFF:02X}"


class GlassmanWire(SupplyFaults, Wire):
    """A Glassman FR. It drives one supply of the plant: `demand_v` follows set point, HV on and current limit.

    Args:
        plant: the physical quantities.
        rated_kv: full scale of the voltage in kV.
        rated_ma: full scale of the current in mA.
        version: answer to the command V.
        adc_ideal: readings without noise.
        adc_noise_lsb: standard deviation of a reading in counts of 10 bits.
        seed: of the noise.
        supply: which supply of the plant it is: `specimen`, `pulse`, or one of its own under any other name.
        baud: bit/s set in the instrument.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        rated_kv: float = 50.0,
        rated_ma: float = 6.0,
        version: str = "14",
        adc_ideal: bool = False,
        adc_noise_lsb: float = 0.5,
        seed: int = 0,
        supply: str = "specimen",
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self.supply = plant.supply(supply)
        self.rated_v, self.rated_a = 1e3 * rated_kv, 1e-3 * rated_ma
        self._version = version
        self.local = False
        self.fault = False
        self.hv_on = False
        self.set_v = self.set_a = 0  # counts of 12 bits
        self.host_timeout = False
        self._heard_s: float | None = None
        self._noise = 0.0 if adc_ideal else adc_noise_lsb
        self._rng = np.random.default_rng(seed)
        self._frame: bytearray | None = None  # since the last SOH

    @property
    def limited(self) -> bool:
        """Whether the load would draw more than is allowed."""
        return self.hv_on and self._wanted_v() > self._allowed_v()

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Turn the knob and press the button as a person does, also in LOCAL."""
        with self.plant.lock:
            self.set_v = self.set_v if v_set_v is None else round(v_set_v / self.rated_v * _FULL_SET)
            self.hv_on = self.hv_on if output is None else output and self._may_be_on()
            self._drive()

    def trip(self) -> None:
        """Trip: off, and a fault until the reset."""
        self.fault, self.hv_on = True, False
        self._drive()

    def go_local(self, *, local: bool) -> None:
        """Turn the switch to the front panel; the output stays as it is."""
        self.local = local

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the interlock: off, and a fault where it latches."""
        self.supply.interlock_open = is_open
        self.hv_on = self.hv_on and not is_open
        self.fault = self.fault or (is_open and latches)
        self._drive()

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:  # noqa: ARG002 - the time-out follows the clock itself
        self._heard_s = self.now_s if self._heard_s is None else self._heard_s
        if self.host_timeout and self.now_s - self._heard_s > HOST_TIMEOUT_S:
            self.hv_on = False
        self._drive()

    def _may_be_on(self) -> bool:
        return not (self.fault or self.supply.interlock_open)

    def _wanted_v(self) -> float:
        return self.set_v / _FULL_SET * self.rated_v

    def _allowed_v(self) -> float:
        return self.set_a / _FULL_SET * self.rated_a * self.supply.ohm

    def _drive(self) -> None:
        self.supply.demand_v = min(self._wanted_v(), self._allowed_v()) if self.hv_on else 0.0

    # -- packets ----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._frame = None

    def _received(self, data: bytes) -> bytes:
        reply = bytearray()
        for byte in data:
            if byte == _SOH:
                self._frame = bytearray()
            elif self._frame is None:
                continue
            elif byte == _CR:
                text, self._frame = seven_bits(bytes(self._frame)), None
                reply += self._answer(text).encode("ascii")
            elif len(self._frame) < _LONGEST:
                self._frame.append(byte)
            else:
                self._frame = None
        return bytes(reply)

    def _answer(self, text: str) -> str:
        """Give the answer to a packet, with its checksum, but for the acknowledgement, which has none."""
        body, signature = text[:-2], text[-2:].upper()
        if not body or checksum(body) != signature:
            said = f"E{_CHECKSUM}"
        else:
            self._heard_s = self.now_s
            said = self._do(body[0], body[1:])
        self._drive()  # a command acts at once
        return "A\r" if said == "A" else f"{said}{checksum(said[1:])}\r"

    def _do(self, command: str, argument: str) -> str:
        if command not in _LENGTHS:
            return f"E{_UNDEFINED}"
        if len(argument) != _LENGTHS[command]:
            return f"E{_EXTRA}"
        match command:
            case "Q":
                return self._status()
            case "V":
                return f"B{self._version}"
            case "C":
                return self._configure(argument)
        return self._set(argument)

    def _configure(self, argument: str) -> str:
        if argument not in {"0", "1"}:
            return f"E{_ILLEGAL}"
        self.host_timeout = argument == "0"
        return "A"

    def _set(self, argument: str) -> str:
        found = _SET.fullmatch(argument)
        control = int(found[3], 16) if found else 0
        if found is None or control not in {_OFF, _ON, _RESET}:
            return f"E{_ILLEGAL}"
        if self.local:
            return f"E{_FAILED}"
        if self.fault and control != _RESET:
            return f"E{_FAULTED}"
        if control == _RESET:
            self.fault, self.hv_on, self.set_v, self.set_a = False, False, 0, 0
        else:
            self.set_v, self.set_a = int(found[1], 16), int(found[2], 16)
            self.hv_on = control == _ON and self._may_be_on()
        return "A"

    def _status(self) -> str:
        volts = self._counts(self.readback(self.supply.v_v) / self.rated_v)
        amperes = self._counts(self.supply.i_a / self.rated_a)
        return f"R{volts:03X}{amperes:03X}000{self.limited | self.fault << 1 | self.hv_on << 2:X}00"

    def _counts(self, part: float) -> int:
        noise = self._rng.normal(0.0, self._noise) if self._noise else 0.0
        return min(max(round(part * _FULL_MONITOR + noise), 0), _FULL_MONITOR)
