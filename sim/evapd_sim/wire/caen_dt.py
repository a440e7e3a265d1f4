"""CAEN DT547x, DT1471ET, N1471 and their family of high-voltage supplies, as their cable shows them.

Source: user's manuals of the N1470 and N1471 as open clients quote them, and replies of DT1470ET units. Every line gets one. A request
without `BD:` is answered without it, as desktop models do; one for another board is for another unit of the chain, and gets nothing.
Assumed: the order in which errors are found (command, channel, parameter, LOCAL, value). Left out: terminators of the chain, CMD:INFO.
"""

import re
from collections.abc import Callable

import numpy as np

from evapd_sim.plant import Plant
from evapd_sim.wire.adc import Adc
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.caen_channel import CONSTANT_CURRENT_S, CaenChannel
from evapd_sim.wire.numbers import read_float
from evapd_sim.wire.supply_faults import SupplyFaults

_FIELD = re.compile(r"[,: ]*(BD|CMD|CH|PAR|VAL)\s*:\s*([^,:$]*)", re.ASCII)
_UA = 1e6
_RAMP_V_PER_S = (1.0, 500.0)


class CaenDtWire(SupplyFaults, LineWire):
    """A CAEN supply of one to eight channels. One channel drives a supply of the plant, the others have supplies of their own.

    Args:
        plant: the physical quantities.
        model: name of the board.
        serial: serial number.
        firmware: release.
        channels: how many there are; the one of a single-channel unit need not be named.
        channel: which one drives `supply`, from 0.
        board: address in the chain.
        rated_v: largest voltage in V.
        rated_a: largest current in A.
        negative: polarity switch of all channels.
        adc_ideal: readings without noise and rounding.
        seed: of the noise.
        supply: which supply of the plant it is: `specimen`, `pulse`, or one of its own under any other name.
        baud: bit/s set in the unit.
    """

    max_length = 120
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "DT1471ET",
        serial: str = "19198",
        firmware: str = "1.08",
        channels: int = 4,
        channel: int = 0,
        board: int = 0,
        rated_v: float = 5500.0,
        rated_a: float = 300e-6,
        negative: bool = False,
        adc_ideal: bool = False,
        seed: int = 0,
        supply: str = "specimen",
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        if not 0 <= channel < channels <= 8:
            raise ValueError(f"channel {channel} of {channels}: up to 8, from 0, and one of those there are")
        self._model, self._firmware, self._board = model, firmware, board
        self.renumber(serial)
        self.local = False
        self.interlock_mode = "OPEN"
        self._returns = False  # when the interlock closes
        rng = np.random.default_rng(seed)

        def make(number: int) -> CaenChannel:
            output = plant.supply(supply if number == channel else f"{supply} channel {number}")
            volts, amperes = (Adc(full, rng, mode=4, ideal=adc_ideal) for full in (rated_v, rated_a))
            return CaenChannel(output, rated_v, rated_a, volts, amperes, negative=negative)

        self.channels = [make(number) for number in range(channels)]
        self.channel = self.channels[channel]
        self.supply = self.channel.output

    def front_panel(self, v_set_v: float | None = None, *, output: bool | None = None) -> None:
        """Set and switch the channel as a person does, also in LOCAL."""
        with self.plant.lock:
            if v_set_v is not None:
                self.channel.v_set_v = min(abs(v_set_v), self.channel.maximum_v)
            if output is not None:
                self.channel.switch(on=output)
            self._advanced(0.0)

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self._serial = serial

    def trip(self) -> None:
        """Switch the channel off as its current trip does."""
        self.channel.trip()
        self._advanced(0.0)

    def go_local(self, *, local: bool) -> None:
        """Turn the switch at the front panel; outputs stay as they are."""
        self.local = local

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Activate or release the interlock: all channels are killed, and must be switched on again. A real one always latches."""
        if is_open:
            self._returns = self.channel.on and not latches
        for channel in self.channels:
            channel.output.interlock_open = is_open
        if not is_open and self._returns:
            self.channel.switch(on=True)
        self._advanced(0.0)

    def _advanced(self, dt_s: float) -> None:
        for channel in self.channels:
            ours = channel is self.channel
            channel.advance(dt_s, self.readback(channel.output.v_v) if ours else channel.output.v_v)

    # -- lines ------------------------------------------------------------------------------------------------------

    def _too_long(self) -> bytes:
        return self._reply("CMD:ERR", named=True)

    def _answer(self, line: str) -> bytes:
        text = line.upper()
        fields = dict(_FIELD.findall(text))
        rest = _FIELD.sub("", text).strip(" ,:")
        named = "BD" in fields
        board = read_float(fields.get("BD", str(self._board)))
        if board != self._board:
            return b""
        if rest != "$" or not {"CMD", "PAR"} <= fields.keys():
            return self._reply("CMD:ERR", named=named)
        values = {name: value.strip(" \t;") for name, value in fields.items()}
        reply = self._carry_out(values["CMD"], values.get("CH"), values["PAR"], values.get("VAL"))
        self._advanced(0.0)  # a command acts at once
        return self._reply(reply, named=named)

    def _reply(self, text: str, *, named: bool) -> bytes:
        return (f"#BD:{self._board:02d}," if named else "#").encode() + text.encode() + b"\r\n"

    def _carry_out(self, command: str, channel: str | None, parameter: str, value: str | None) -> str:
        if command not in {"MON", "SET"}:
            return "CMD:ERR"
        if parameter.startswith("BD"):
            return self._board_command(command, parameter, value)
        chosen = self._chosen(channel)
        if chosen is None:
            return "CH:ERR"
        return self._set(chosen, parameter, value) if command == "SET" else self._monitor(chosen, parameter)

    def _monitor(self, chosen: list[CaenChannel], parameter: str) -> str:
        if parameter not in _MONITOR:
            return "PAR:ERR"
        return "CMD:OK,VAL:" + ";".join(_MONITOR[parameter](channel) for channel in chosen)

    def _set(self, chosen: list[CaenChannel], parameter: str, value: str | None) -> str:
        if parameter not in _SET:
            return "PAR:ERR"
        if self.local:
            return "LOC:ERR"
        done = [_SET[parameter](channel, value) for channel in chosen]
        return "CMD:OK" if all(done) else "VAL:ERR"

    def _chosen(self, channel: str | None) -> list[CaenChannel] | None:
        """Give the channel; the number behind the last one means all."""
        number = read_float(channel) if channel else 0.0 if len(self.channels) == 1 else None
        if number is None or not number.is_integer() or not 0 <= number <= len(self.channels):
            return None
        return self.channels if number == len(self.channels) else [self.channels[int(number)]]

    # -- the board --------------------------------------------------------------------------------------------------

    def _board_command(self, command: str, parameter: str, value: str | None) -> str:
        if command == "MON":
            told = self._board_values()
            return f"CMD:OK,VAL:{told[parameter]}" if parameter in told else "PAR:ERR"
        if parameter not in {"BDILKM", "BDCLR"}:
            return "PAR:ERR"
        if self.local:
            return "LOC:ERR"
        if parameter == "BDCLR":
            for channel in self.channels:
                channel.tripped = False
        elif value in {"OPEN", "CLOSED"}:
            self.interlock_mode = value
        else:
            return "VAL:ERR"
        return "CMD:OK"

    def _board_values(self) -> dict[str, str]:
        interlocked = any(channel.output.interlock_open for channel in self.channels)
        alarms = sum(1 << number for number, channel in enumerate(self.channels) if channel.tripped)
        return {
            "BDNAME": self._model,
            "BDNCH": str(len(self.channels)),
            "BDFREL": self._firmware,
            "BDSNUM": self._serial,
            "BDILK": "YES" if interlocked else "NO",
            "BDILKM": self.interlock_mode,
            "BDCTR": "LOCAL" if self.local else "REMOTE",
            "BDTERM": "ON",
            "BDALARM": f"{alarms:05d}",
        }


def _microamperes(channel: CaenChannel, value_a: float) -> str:
    low = channel.current_range == "LOW"
    return f"{value_a * _UA:0{7 if low else 6}.{3 if low else 2}f}"


_MONITOR: dict[str, Callable[[CaenChannel], str]] = {
    "VSET": lambda channel: f"{channel.v_set_v:06.1f}",
    "VMIN": lambda _: "0000.0",
    "VMAX": lambda channel: f"{channel.rated_v:06.1f}",
    "VDEC": lambda _: "1",
    "VMON": lambda channel: f"{abs(channel.volts.value):06.1f}",
    "ISET": lambda channel: f"{channel.i_set_a * _UA:06.2f}",
    "IMIN": lambda _: "000.00",
    "IMAX": lambda channel: f"{channel.rated_a * _UA:06.2f}",
    "ISDEC": lambda _: "2",
    "IMON": lambda channel: _microamperes(channel, abs(channel.amperes.value)),
    "IMRANGE": lambda channel: channel.current_range,
    "IMDEC": lambda channel: "3" if channel.current_range == "LOW" else "2",
    "MAXV": lambda channel: f"{channel.maximum_v:04.0f}",
    "MVMIN": lambda _: "0000",
    "MVMAX": lambda channel: f"{channel.rated_v:04.0f}",
    "MVDEC": lambda _: "0",
    "RUP": lambda channel: f"{channel.up_v_per_s:03.0f}",
    "RUPMIN": lambda _: "001",
    "RUPMAX": lambda _: "500",
    "RUPDEC": lambda _: "0",
    "RDW": lambda channel: f"{channel.down_v_per_s:03.0f}",
    "RDWMIN": lambda _: "001",
    "RDWMAX": lambda _: "500",
    "RDWDEC": lambda _: "0",
    "TRIP": lambda channel: f"{channel.trip_s:06.1f}",
    "TRIPMIN": lambda _: "0000.0",
    "TRIPMAX": lambda _: "1000.0",
    "TRIPDEC": lambda _: "1",
    "PDWN": lambda channel: channel.power_down,
    "POL": lambda channel: "-" if channel.negative else "+",
    "STAT": lambda channel: f"{channel.status():05d}",
    "STATUS": lambda channel: f"{channel.status():05d}",  # as the multichannel relatives have it
}


def _stores(
    name: str, high: Callable[[CaenChannel], float], *, low: float = 0.0, digits: int = 1, scale: float = 1.0
) -> Callable[[CaenChannel, str | None], bool]:
    """Make a command that keeps a number, rounded as the unit does, from `low` up to what `high` gives."""

    def store(channel: CaenChannel, text: str | None) -> bool:
        value = read_float(text or "")
        if value is None or not low <= value <= high(channel) * (1 + 1e-12):
            return False
        setattr(channel, name, round(value, digits) / scale)
        return True

    return store


def _word(name: str, *words: str) -> Callable[[CaenChannel, str | None], bool]:
    def store(channel: CaenChannel, text: str | None) -> bool:
        if text not in words:
            return False
        setattr(channel, name, text)
        return True

    return store


def _switches(*, on: bool) -> Callable[[CaenChannel, str | None], bool]:
    def switch(channel: CaenChannel, _: str | None) -> bool:
        channel.switch(on=on)
        return True

    return switch


def _powers(channel: CaenChannel, text: str | None) -> bool:
    """Switch as the multichannel relatives do, `PW,VAL:ON`."""
    if text not in {"ON", "OFF"}:
        return False
    channel.switch(on=text == "ON")
    return True


_SET: dict[str, Callable[[CaenChannel, str | None], bool]] = {
    "VSET": _stores("v_set_v", lambda channel: channel.maximum_v),
    "ISET": _stores("i_set_a", lambda channel: channel.rated_a * _UA, digits=2, scale=_UA),
    "MAXV": _stores("maximum_v", lambda channel: channel.rated_v, digits=0),
    "RUP": _stores("up_v_per_s", lambda _: _RAMP_V_PER_S[1], low=_RAMP_V_PER_S[0], digits=0),
    "RDW": _stores("down_v_per_s", lambda _: _RAMP_V_PER_S[1], low=_RAMP_V_PER_S[0], digits=0),
    "TRIP": _stores("trip_s", lambda _: CONSTANT_CURRENT_S),
    "PDWN": _word("power_down", "RAMP", "KILL"),
    "IMRANGE": _word("current_range", "HIGH", "LOW"),
    "ON": _switches(on=True),
    "OFF": _switches(on=False),
    "PW": _powers,
}
