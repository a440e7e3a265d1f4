"""FuG high-voltage supply with Probus V interface, as its cable shows it.

Source: Probus V command reference V2.22 and RS-232 documentation 2.4, as several open clients use them. Assumed, because nobody
documents it: a query of a command without data is answered E1, sets in LOCAL are acknowledged and do nothing, switching off clears a
trip. Left out: address mode (E9), EEPROM writing (E8, E15) and checksums (E16), which no known client uses.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.adc import Adc
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.fug_channel import SetChannel
from evapd_sim.wire.fug_registers import (
    BAD_N,
    BAD_TALK,
    NO_DATA,
    NO_SCPI,
    NO_TRIGGER_ON_TALK,
    OK,
    READ_ONLY,
    TOO_LONG,
    UNKNOWN,
    Register,
    adc_registers,
    channel_registers,
    stored,
    whole,
)
from evapd_sim.wire.numbers import flag, read_integer
from evapd_sim.wire.supply_faults import SupplyFaults

_TERMINATORS = ("\r\n", "\n\r", "\n", "\r")  # by register KT
# Probus IV letters and the registers they stand for.
_SHORT = {"F": "BON", "U": "S0", "I": "S1", "N": "KN", "S": "M0I", "G": "KX", "P": "BX", "Y": "KT"}


class FugProbusWire(SupplyFaults, LineWire):
    """A FuG HCP supply. It drives one supply of the plant: `demand_v` follows set value, output, current limit and trip.

    Args:
        plant: the physical quantities.
        model: text of `*IDN?` after the maker's name.
        serial: serial number.
        rated_v: largest set value in V, else E5.
        rated_a: largest current limit in A, else E5.
        terminator: register KT at power-on: 0 CR LF, 1 LF CR, 2 LF, 3 CR.
        number_format: `scientific` as `+1.23456E+03`, or `plain` decimals.
        negative: polarity; readings of the voltage are negative then.
        reversible: whether P0, P1 and BX turn the polarity.
        trip_after_s: time in current limitation after which the output trips; None = it limits for ever.
        mode4_down: ramp mode 4 ramps downwards too.
        adc_ideal: readings without noise and rounding.
        adc_noise_lsb: standard deviation of a reading in steps of the converter.
        seed: of the noise.
        supply: which supply of the plant it is: `specimen`, `pulse`, or one of its own under any other name.
        baud: bit/s set in the instrument.
    """

    ends = b"\r\n\0"
    max_length = 50
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "HCP 14 - 20 000",
        serial: str = "17022-01-01",
        rated_v: float = 20_000.0,
        rated_a: float = 0.7e-3,
        terminator: Literal[0, 1, 2, 3] = 0,
        number_format: Literal["scientific", "plain"] = "scientific",
        negative: bool = False,
        reversible: bool = False,
        trip_after_s: float | None = None,
        mode4_down: bool = False,
        adc_ideal: bool = False,
        adc_noise_lsb: float = 0.5,
        seed: int = 0,
        supply: str = "specimen",
        baud: int = 115_200,
    ) -> None:
        super().__init__(plant, baud=baud)
        self._model = model
        self.renumber(serial)
        self.supply = plant.supply(supply)
        self.voltage = SetChannel(rated_v, mode4_down)
        self.current = SetChannel(rated_a, mode4_down)
        self.current.force(rated_a)
        self.local = False
        self.negative = negative
        self._reversible = reversible
        self._trip_after_s = trip_after_s
        self._number_format = number_format
        self._limited_s = 0.0
        rng = np.random.default_rng(seed)
        self._adc = [Adc(full, rng, noise_lsb=adc_noise_lsb, ideal=adc_ideal) for full in (rated_v, rated_a)]
        self._output = 0  # BON, the last command
        self._digital = dict.fromkeys(("B0", "B1", "B2", "BX"), 0)
        self._digital["BX"] = int(negative)
        self._interface = {"KX": 0, "KN": 0, "KT": int(terminator), "KQM": 0}
        self._last_error = OK
        self._held: dict[str, Callable[[], None]] = {}  # execute-on-X
        self._registers = self._make_registers()

    @property
    def output_on(self) -> bool:
        """Whether the output is really on."""
        return bool(self._output) and not self.supply.trip and not self.supply.interlock_open

    @property
    def limited(self) -> bool:
        """Whether the load would draw more than the current in force allows."""
        return self.output_on and self.voltage.actual > self.current.actual * self.supply.ohm

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Turn the knob and the switch as a person does: at once, whatever the ramp mode, and also in LOCAL."""
        with self.plant.lock:
            if v_set_v is not None:
                self.voltage.force(min(max(v_set_v, 0.0), self.voltage.rated))
            if output is not None:
                self._switch(int(output))
            self._drive()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self._serial = serial
        self.identity = f"FUG {self._model} MOD {serial}"

    def trip(self) -> None:
        """Trip: commanded on, but not on, until it is switched off."""
        self.supply.trip = True
        self._drive()

    def go_local(self, *, local: bool) -> None:
        """Turn the switch at the front panel; the output stays as it is."""
        self.local = local

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the interlock. It has no register: BON says on, DON off."""
        self.supply.interlock_open = is_open
        self.supply.trip |= is_open and latches and bool(self._output)
        self._drive()

    def _advanced(self, dt_s: float) -> None:
        self.voltage.advance(dt_s, output_on=bool(self._output))
        self.current.advance(dt_s, output_on=bool(self._output))
        self._limited_s = self._limited_s + dt_s if self.limited else 0.0
        if self._trip_after_s is not None and self._limited_s > self._trip_after_s:
            self.supply.trip = True
        self._drive()
        sign = -1.0 if self.negative else 1.0
        self._adc[0].advance(sign * self.readback(self.supply.v_v), dt_s)
        self._adc[1].advance(self.supply.i_a, dt_s)

    def _drive(self) -> None:
        allowed_v = self.current.actual * self.supply.ohm
        self.supply.demand_v = min(self.voltage.actual, allowed_v) if self.output_on else 0.0

    def _switch(self, on: int) -> None:
        self._output = on
        if not on:
            self.supply.trip = False

    # -- commands ---------------------------------------------------------------------------------------------------

    def _answer(self, line: str) -> bytes:
        text = line.upper()
        if text.startswith(">"):
            reply = self._register(text[1:].strip())
        elif text.startswith("*"):
            reply = self.identity if text == "*IDN?" else NO_SCPI
        else:
            reply = self._short(text)
        self._advanced(0.0)  # a command acts at once
        return self._reply(reply)

    def _too_long(self) -> bytes:
        return self._reply(TOO_LONG)

    def _reply(self, reply: str | int) -> bytes:
        if isinstance(reply, int):
            self._last_error = reply or self._last_error
            reply = f"E{reply}"
        return (reply + _TERMINATORS[self._interface["KT"]]).encode("latin-1")

    def _register(self, text: str) -> str | int:
        if text.endswith("?"):
            name = text[:-1].strip()
            register = self._registers.get(name)
            return f"{name}:{register.read()}" if register else UNKNOWN
        name, _, argument = text.partition(" ")
        register = self._registers.get(name)
        return _write(register, argument.strip()) if register else UNKNOWN

    def _short(self, text: str) -> str | int:
        """Carry out one command in Probus IV form."""
        letter, argument = text[0], text[1:].strip()
        if text == "?":
            return self._channel(self._interface["KN"])
        if text in {"=", "X"}:
            return self._change("=", self._reset) if text == "=" else self._execute()
        if letter == "~":
            return {"T0": OK, "T1": NO_TRIGGER_ON_TALK}.get(argument, BAD_TALK)
        if letter == "N" and (read_integer(argument) or 0) not in range(7):
            return BAD_N
        if letter == "R":
            return self._outputs(argument)
        register = self._registers.get(_SHORT.get(letter, ""))
        error = UNKNOWN if register is None else _write(register, argument)
        if letter == "S" and error == OK:
            self._adc[1].mode = self._adc[0].mode  # the old form knows one converter only
        return error

    def _outputs(self, argument: str) -> int:
        """Set the digital outputs X0 to X2 as the bits of a number."""
        write = whole(
            "R",
            13,
            lambda bits: self._digital.update({f"B{n}": bits >> n & 1 for n in range(3)}),
            self._change,
        )
        return write(argument) if argument else NO_DATA

    def _channel(self, number: int) -> str:
        if number == 2:
            return self._status()
        if number == 5:
            return "ADDAT30 V2.22"
        if number == 6:
            return self._serial
        values = {0: self._adc[0].value, 1: self._adc[1].value, 3: self.voltage.rated, 4: self.current.rated}
        return f"{values[number]:+.4E}{'V' if number in {0, 3} else 'A'}N"

    def _status(self) -> str:
        regulated = self.output_on and not self.limited
        bits = (self.limited, regulated, self.output_on, False, self.negative, False, False, not self.local)
        return "".join(flag(bit) for bit in bits)

    # -- what registers do ------------------------------------------------------------------------------------------

    def _change(self, key: str, action: Callable[[], None]) -> int:
        """Do what concerns the output: not in LOCAL, and later where X must be awaited."""
        if self.local:
            return OK
        if self._interface["KX"] and key != "=":
            self._held[key] = action
        else:
            action()
        return OK

    def _execute(self) -> int:
        held, self._held = self._held, {}
        for action in held.values():
            action()
        return OK

    def _reset(self) -> None:
        self.voltage.wanted = 0.0
        self.current.wanted = 0.0
        self._held.clear()

    def _turn(self, negative: int) -> None:
        self._digital["BX"] = negative
        if self._reversible:
            self.negative = bool(negative)

    def _number(self, value: float) -> str:
        return f"{value:+.5E}" if self._number_format == "scientific" else f"{value:.9f}"

    def _make_registers(self) -> dict[str, Register]:
        gate = self._change
        table = {
            "BON": Register(lambda: str(self._output), whole("BON", 1, self._switch, gate)),
            "BONA": Register(lambda: flag(self.output_on)),
            "DVR": Register(lambda: flag(self.output_on and not self.limited)),
            "DIR": Register(lambda: flag(self.limited)),
            "D3R": Register(lambda: "0"),
            "DX": Register(lambda: flag(self.negative)),
            "DON": Register(lambda: flag(self.output_on)),
            "DSD": Register(lambda: flag(not self.local)),
            "DSA": Register(lambda: "0"),
            "DCAL": Register(lambda: "0"),
            "CFN": Register(lambda: self._serial),
            "KS": Register(self._status),
            "KQS": Register(lambda: str(4 * self.limited + 2 * (self.output_on and not self.limited))),
            "KE": Register(lambda: str(self._last_error)),
            "BX": Register(lambda: str(self._digital["BX"]), whole("BX", 1, self._turn, gate)),
        }
        table |= {
            name: stored(self._interface, name, high)
            for name, high in {"KX": 1, "KN": 6, "KT": 3, "KQM": 255}.items()
        }
        table |= {name: stored(self._digital, name, 1, gate) for name in ("B0", "B1", "B2")}
        table |= {name + "A": Register(table[name].read) for name in self._digital}
        for index, (channel, adc) in enumerate(zip((self.voltage, self.current), self._adc, strict=True)):
            table |= channel_registers(f"S{index}", channel, self._number, gate)
            table |= adc_registers(f"M{index}", adc, self._number)
        return table


def _write(register: Register, argument: str) -> int:
    if register.write is None:
        return READ_ONLY
    return register.write(argument) if argument else NO_DATA
