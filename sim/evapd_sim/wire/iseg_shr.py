"""iseg SHR, NHR and NHS high-voltage supplies with EDCP SCPI, as their cable shows them.

Source: iseg SCPI programmer's guide (2025-07-17) and SHR manual (2024-04-03) as open clients quote them. On a serial line every character
comes back, and behind the line end comes the reply; on a network there is no echo. Assumed, because nobody documents it: a wrong
command sets the input error bits and is not answered; while the front panel has control (`local`) commands do the same; the number of
digits in replies. Left out: crates, CAN, calibration.
"""

from typing import Literal

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.adc import Adc
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.iseg_channel import IsegChannel
from evapd_sim.wire.iseg_module import IsegModule, Module, auxiliary
from evapd_sim.wire.iseg_tables import ACTIONS, ASKS, SETS
from evapd_sim.wire.iseg_words import Phrase, read_line
from evapd_sim.wire.supply_faults import SupplyFaults

_SLOW_BAUD, _FAST_BAUD = 9600, 115_200
_QUIET_S = 10.0  # without traffic the line falls back to its first speed
_CR_S = 0.02  # a CR that no LF follows in this time ends a line, too


class IsegShrWire(SupplyFaults, LineWire):
    """An iseg SHR. One channel drives a supply of the plant, the others have supplies of their own.

    Args:
        plant: the physical quantities.
        model: type in `*IDN?`.
        serial: serial number.
        firmware: version in `*IDN?`.
        channels: how many there are.
        channel: which one drives `supply`, from 0.
        rated_v: nominal voltage in V.
        rated_a: nominal current in A.
        negative: polarity that all begin with.
        reversible: whether the polarity can be turned.
        echo: whether characters come back; `serial`: on a serial line, until `:CONF:SERIAL:ECHO 0`.
        empty_line: on a network an empty line comes before each reply, as one client saw.
        adc_ideal: readings without noise and rounding.
        seed: of the noise.
        supply: which supply of the plant it is: `specimen`, `pulse`, or one of its own under any other name.
        baud: speed at power-on.
    """

    ends = b"\n"
    max_length = 255
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "SR042060r4050000200",
        serial: str = "8200123",
        firmware: str = "5.78",
        channels: int = 2,
        channel: int = 0,
        rated_v: float = 6000.0,
        rated_a: float = 4e-3,
        negative: bool = False,
        reversible: bool = True,
        echo: Literal["serial", "always", "never"] = "serial",
        empty_line: bool = False,
        adc_ideal: bool = False,
        seed: int = 0,
        supply: str = "specimen",
        baud: int = _SLOW_BAUD,
    ) -> None:
        super().__init__(plant, baud=baud)
        if not 0 <= channel < channels <= 32:
            raise ValueError(f"channel {channel} of {channels}: from 0 to 31, and one of those there are")
        self._model, self._firmware = model, firmware
        self.renumber(serial)
        self.local = False
        self._echo, self._empty_line = echo, empty_line
        self._first_baud = baud
        self._heard_s = 0.0
        self._cr_s: float | None = None  # when a CR came that may end a line
        rng = np.random.default_rng(seed)

        def make(number: int) -> IsegChannel:
            output = plant.supply(supply if number == channel else f"{supply} channel {number}")
            volts_adc, amperes_adc = (Adc(full, rng, mode=4, ideal=adc_ideal) for full in (rated_v, rated_a))
            return IsegChannel(
                output, rated_v, rated_a, volts_adc, amperes_adc, negative=negative, reversible=reversible
            )

        self.channels = [make(number) for number in range(channels)]
        self.channel = self.channels[channel]
        self.supply = self.channel.output
        self.module = IsegModule(self.channels)
        self._returns = False  # when the safety loop closes
        ours = {
            "*IDN": lambda: self.identity,
            "READ:FIRM:REL": lambda: self._firmware,
            "SYS:USER:SERIAL": lambda: self._serial,
            "CONF:SERIAL:BAUD": lambda: str(self.baud),
        }
        self._module_asks = self.module.asks() | ours
        self._module_sets = self.module.sets() | {"CONF:SERIAL:BAUD": self._set_baud}
        self._known = {*ASKS, *SETS, *self._module_asks, *self._module_sets}

    # -- what a person or a fault does ------------------------------------------------------------------------------

    @property
    def inhibited(self) -> bool:
        """Whether the inhibit input of the channel is active."""
        return self.channel.inhibited

    @inhibited.setter
    def inhibited(self, active: bool) -> None:
        self.channel.inhibited = active

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Set and switch the channel as a person does, also in LOCAL."""
        with self.plant.lock:
            if v_set_v is not None:
                self.channel.v_set_v = min(abs(v_set_v), self.channel.nominal_v)
                self.module.set_values += 1
            if output is not None:
                (self.channel.switch_on if output else self.channel.switch_off)()
            self._advanced(0.0)

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self._serial = serial
        self.identity = f"iseg Spezialelektronik GmbH,{self._model},{serial},{self._firmware}"

    def trip(self) -> None:
        """Switch the channel off as a current trip does."""
        self.channel.trip(2)
        self._advanced(0.0)

    def go_local(self, *, local: bool) -> None:
        """Give the front panel sole control, or end that."""
        self.local = local

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the safety loop; all channels go off. A real one always latches."""
        if is_open:
            self._returns = self.channel.on and not latches
            for channel in self.channels:
                channel.output.interlock_open = True
        else:
            for channel in self.channels:
                channel.output.interlock_open = False
            if self._returns:
                self.channel.switch_on()
        self._advanced(0.0)

    # -- bytes ------------------------------------------------------------------------------------------------------

    @property
    def _echoes(self) -> bool:
        on_serial = self.serial_line and bool(self.module.echo)
        return self._echo == "always" or (self._echo == "serial" and on_serial)

    def _received(self, data: bytes) -> bytes:
        reply = bytearray()
        if data:
            self._heard_s = self.now_s
        for byte in data:
            one = bytes([byte])
            if self._cr_s is not None and one != b"\n":
                reply += super()._received(b"\n")  # the CR stood alone
            self._cr_s = self.now_s if one == b"\r" else None
            if self._echoes:
                reply += one
            if one != b"\r":
                reply += super()._received(one)
        return bytes(reply)

    def _polled(self) -> bytes:
        if self._cr_s is None or self.now_s - self._cr_s < _CR_S:
            return b""
        self._cr_s = None
        return super()._received(b"\n")

    def _forget(self) -> None:
        super()._forget()
        self._cr_s = None

    def _too_long(self) -> bytes:
        self._wrong(None)
        return b""

    def _answer(self, line: str) -> bytes:
        replies = [reply for phrase in read_line(line, self._known) if (reply := self._carry_out(phrase))]
        self._advanced(0.0)  # a command acts at once
        empty = b"\r\n" * (self._empty_line and not self._echoes)
        return empty + (";".join(replies).encode("latin-1") + b"\r\n" if replies else b"")

    # -- commands ---------------------------------------------------------------------------------------------------

    def _carry_out(self, phrase: Phrase | None) -> str:
        """Do one command; give its reply, nothing where there is none."""
        if phrase is None:
            return self._wrong(None)
        if phrase.asks:
            return self._ask(phrase)
        if self.local or not self._set(phrase):
            return self._wrong(phrase)
        return ""

    def _ask(self, phrase: Phrase) -> str:
        if phrase.path == "READ:MOD:SUP":
            return auxiliary(phrase.channels) or self._wrong(None)
        if phrase.channels is None and phrase.path in self._module_asks:
            return self._module_asks[phrase.path]()
        chosen = self._chosen(phrase)
        if chosen and phrase.path in ASKS:
            return ",".join(ASKS[phrase.path](channel) for channel in chosen)
        return self._wrong(phrase)

    def _set(self, phrase: Phrase) -> bool:
        """Carry out a set, on every channel of the list; False where it cannot be done."""
        path, argument = phrase.path, phrase.argument
        if path == "VOLT" and argument in ACTIONS:
            # Without a list all channels are meant: only what makes safer is taken so.
            every = phrase.channels is None and argument.endswith("OFF")
            chosen = self.channels if every else self._chosen(phrase)
            done = [ACTIONS[argument](channel) for channel in chosen]
            return bool(done) and all(done)

        if phrase.channels is None and path in self._module_sets:
            return self._module_sets[path](argument)
        chosen = self._chosen(phrase)
        if not chosen or path not in SETS:
            return False
        self.module.set_values += path not in {"EV", "EV:MASK"}
        done = [SETS[path](channel, argument) for channel in chosen]
        return all(done)

    def _chosen(self, phrase: Phrase) -> list[IsegChannel]:
        """Give the channels of the list; none where one of them does not exist."""
        listed = phrase.channels or ()
        if not listed or max(listed) >= len(self.channels):
            return []
        return [self.channels[number] for number in listed]

    def _wrong(self, phrase: Phrase | None) -> str:
        self.module.events |= Module.INPUT_ERROR
        self.module.input_error = True
        for channel in self._chosen(phrase) if phrase else ():
            channel.input_error = True
        return ""

    # -- time -------------------------------------------------------------------------------------------------------

    def _advanced(self, dt_s: float) -> None:
        for channel in self.channels:
            ours = channel is self.channel
            read_v = self.readback(channel.output.v_v) if ours else channel.output.v_v
            channel.advance(dt_s, read_v, kill=bool(self.module.kill))
        if any(channel.shuts_module for channel in self.channels):
            for channel in self.channels:
                channel.shuts_module = False
                channel.shut_down()
                channel.note()
        if self.baud != self._first_baud and self.now_s - self._heard_s > _QUIET_S:
            self.baud = self._first_baud

    def _set_baud(self, argument: str) -> bool:
        if argument not in {str(_SLOW_BAUD), str(_FAST_BAUD)}:
            return False
        self.baud = int(argument)
        return True
