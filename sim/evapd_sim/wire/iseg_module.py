"""What an iseg module knows beside its channels: settings, status, control and event registers.

Source: module status table of the NHS and SHR manuals as open clients quote it.
"""

from collections.abc import Callable, Sequence
from enum import IntFlag

from evapd_sim.wire.iseg_channel import IsegChannel
from evapd_sim.wire.iseg_channel import Status as ChannelStatus
from evapd_sim.wire.iseg_tables import amperes, percent, volts, whole
from evapd_sim.wire.numbers import flag, read_float

_ALL_BITS = 0xFFFFFFFF
_AVERAGES = {1, 16, 64, 256, 512, 1024}
_AUXILIARY_V = (24.03, -24.01, 5.02, 15.01, -15.02, 5.01, 3.31)
_NAMED = {"P24V": 0, "N24V": 1, "P5V": 2, "P3V": 6, "P12V": 3, "N12V": 4}
_CONTROL_ADJUST, _CONTROL_KILL = 1 << 12, 1 << 14  # the control register has its own places
_BAD = ChannelStatus.TRIP | ChannelStatus.INHIBIT | ChannelStatus.EMERGENCY_OFF


class Module(IntFlag):
    """Module status and event bits."""

    FINE_ADJUST = 1 << 0
    HIGH_VOLTAGE_ON = 1 << 3
    INPUT_ERROR = 1 << 6
    NO_SUM_ERROR = 1 << 8
    NO_RAMP = 1 << 9
    SAFETY_LOOP = 1 << 10
    EVENT = 1 << 11
    GOOD = 1 << 12
    SUPPLY_GOOD = 1 << 13
    TEMPERATURE_GOOD = 1 << 14
    KILL = 1 << 15


def auxiliary(listed: Sequence[int] | None) -> str:
    """Give internal supply voltages by number, all without a list, nothing where one does not exist."""
    numbers = listed or range(len(_AUXILIARY_V))
    if max(numbers) >= len(_AUXILIARY_V):
        return ""
    return ",".join(f"{_AUXILIARY_V[number]:.2f}V" for number in numbers)


class IsegModule:
    """The module around some channels.

    Attributes:
        kill: trips act at once.
        echo: whether a serial line echoes.
        set_values: counts changes of set values from any side.
        events: event register.
        input_error: a wrong command came.
    """

    def __init__(self, channels: Sequence[IsegChannel]) -> None:
        self._channels = channels
        self.kill = 0
        self.echo = 1
        self.set_values = 0
        self.events = 0
        self.input_error = False
        self._average = 64
        self._adjust = 1
        self._ramp_voltage = 0.2  # share of the nominal voltage in a second
        self._ramp_current = 0.5
        self._mask = 0
        self._channel_mask = 0

    def asks(self) -> dict[str, Callable[[], str]]:
        """Give the questions that are answered without a list of channels."""
        first = self._channels[0]
        return {
            "*OPC": lambda: "1",
            "*INSTR": lambda: "EDCP",
            "READ:VOLT:LIM": lambda: percent(1.0),
            "READ:CURR:LIM": lambda: percent(1.0),
            "READ:VOLT:NOM": lambda: volts(first.nominal_v),
            "READ:CURR:NOM": lambda: amperes(first.nominal_a),
            "READ:RAMP:VOLT": lambda: f"{percent(self._ramp_voltage)}/s",
            "READ:RAMP:CURR": lambda: f"{percent(self._ramp_current)}/s",
            "CONF:RAMP:VOLT": lambda: f"{percent(self._ramp_voltage)}/s",
            "CONF:RAMP:CURR": lambda: f"{percent(self._ramp_current)}/s",
            "READ:MOD:CHAN": lambda: str(len(self._channels)),
            "READ:MOD:STAT": lambda: str(int(self._status())),
            "READ:MOD:CONT": lambda: str(_CONTROL_KILL * self.kill | _CONTROL_ADJUST * self._adjust),
            "READ:MOD:EV:STAT": lambda: str(self.events),
            "READ:MOD:EV:MASK": lambda: str(self._mask),
            "READ:MOD:EV:CHANSTAT": lambda: str(self._channel_events()),
            "READ:MOD:EV:CHANMASK": lambda: str(self._channel_mask),
            "CONF:EV:MASK": lambda: str(self._mask),
            "CONF:EV:CHANMASK": lambda: str(self._channel_mask),
            "READ:MOD:TEMP": lambda: "34.8C",
            "READ:MOD:SETVALUE": lambda: str(self.set_values),
            "READ:MOD:LIST": lambda: "0",
            "READ:FIRM:NAME": lambda: "E16D0",
            "CONF:AVER": lambda: str(self._average),
            "CONF:KILL": lambda: flag(self.kill),
            "CONF:ADJUST": lambda: flag(self._adjust),
            "CONF:SERIAL:ECHO": lambda: flag(self.echo),
            "CONF:CAN:ADDR": lambda: "0",
            "CONF:CAN:BITRATE": lambda: "250000",
            "SYS:USER:CONFIG": lambda: "0",
        } | {
            f"READ:MOD:SUP:{name}": lambda number=number: auxiliary((number,))
            for name, number in _NAMED.items()
        }

    def sets(self) -> dict[str, Callable[[str], bool]]:
        """Give the commands that are taken without a list of channels; each says whether it could be done."""

        def keeps(name: str, high: int) -> Callable[[str], bool]:
            return lambda argument: self._keep(name, whole(argument, high))

        def done(_: str) -> bool:
            return True

        return {
            "*CLS": self._clear,
            "*RST": self._reset,
            "*LLO": done,
            "*GTL": done,
            "*INSTR": lambda argument: argument in {"EDCP", "1"},
            "CONF:RAMP:VOLT": lambda argument: self._ramp(argument, of_current=False),
            "CONF:RAMP:CURR": lambda argument: self._ramp(argument, of_current=True),
            "CONF:EV": self._clear_events,
            "CONF:EV:MASK": keeps("_mask", _ALL_BITS),
            "CONF:EV:CHANMASK": keeps("_channel_mask", _ALL_BITS),
            "CONF:AVER": lambda argument: (
                argument in map(str, _AVERAGES) and keeps("_average", 1024)(argument)
            ),
            "CONF:KILL": keeps("kill", 1),
            "CONF:ADJUST": keeps("_adjust", 1),
            "CONF:SERIAL:ECHO": keeps("echo", 1),
            "SYS:USER:CONFIG": lambda argument: argument == "SAVE" or whole(argument, 2**31) is not None,
        }

    def _keep(self, name: str, value: int | None) -> bool:
        if value is None:
            return False
        setattr(self, name, value)
        self.set_values += 1
        return True

    def _status(self) -> Module:
        words = [channel.status() for channel in self._channels]
        loop_good = not any(channel.output.interlock_open for channel in self._channels)
        bits = {
            Module.FINE_ADJUST: bool(self._adjust),
            Module.HIGH_VOLTAGE_ON: any(word & ChannelStatus.ON for word in words),
            Module.INPUT_ERROR: self.input_error,
            Module.NO_SUM_ERROR: loop_good and not any(word & _BAD for word in words),
            Module.NO_RAMP: not any(word & ChannelStatus.RAMPING for word in words),
            Module.SAFETY_LOOP: loop_good,
            Module.EVENT: bool(self._channel_events() & self._channel_mask or self.events & self._mask),
            Module.GOOD: loop_good and not self.input_error,
            Module.SUPPLY_GOOD: True,
            Module.TEMPERATURE_GOOD: True,
            Module.KILL: bool(self.kill),
        }
        return Module(sum(int(bit) for bit, is_set in bits.items() if is_set))

    def _channel_events(self) -> int:
        masked = [channel.events & channel.event_mask for channel in self._channels]
        return sum(1 << number for number, events in enumerate(masked) if events)

    def _clear(self, argument: str) -> bool:
        for channel in self._channels:
            channel.clear(_ALL_BITS)
        return self._clear_events("CLEAR") and not argument

    def _clear_events(self, argument: str) -> bool:
        bits = _ALL_BITS if argument == "CLEAR" else whole(argument, _ALL_BITS)
        if bits is None:
            return False
        self.events &= ~bits
        self.input_error &= not bits & Module.INPUT_ERROR
        return True

    def _reset(self, argument: str) -> bool:
        for channel in self._channels:
            channel.switch_off()
            channel.v_set_v, channel.i_set_a = 0.0, channel.nominal_a
        self.set_values += 1
        return not argument

    def _ramp(self, argument: str, *, of_current: bool) -> bool:
        share = read_float(argument.removesuffix("/S").removesuffix("%"))
        if share is None or not 0 < share <= 100:
            return False
        for channel in self._channels:
            if of_current:
                channel.ramp_a_per_s = 0.01 * share * channel.nominal_a
            else:
                channel.up_v_per_s = channel.down_v_per_s = 0.01 * share * channel.nominal_v
        setattr(self, "_ramp_current" if of_current else "_ramp_voltage", 0.01 * share)
        self.set_values += 1
        return True
