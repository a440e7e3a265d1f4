"""Commands of one iseg channel, and how numbers are written."""

from collections.abc import Callable
from typing import Any

from evapd_sim.wire.iseg_channel import IsegChannel
from evapd_sim.wire.numbers import flag, read_float, read_integer


def volts(value: float) -> str:
    """Write a voltage, `1.50000E3V`."""
    return f"{value * 1e-3 + 0.0:.5f}E3V".replace("-0.00000E", "0.00000E")


def amperes(value: float) -> str:
    """Write a current, `12.3456E-6A`."""
    return f"{value * 1e6 + 0.0:.4f}E-6A".replace("-0.0000E", "0.0000E")


def percent(share: float) -> str:
    """Write a share, `20.0000%`."""
    return f"{100 * share:.4f}%"


def whole(text: str, high: int) -> int | None:
    """Read an integer from 0 to `high`; None when it is none."""
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 11 else None
    return value if value is not None and value <= high else None


def _stores(
    name: str, unit: str, low: float, high: Callable[[IsegChannel], float]
) -> Callable[[IsegChannel, str], bool]:
    """Make a command that keeps a number with or without its unit, of one sign."""

    def store(channel: IsegChannel, argument: str) -> bool:
        value = read_float(argument.removesuffix("/S").removesuffix(unit))
        if value is None or not low <= value <= high(channel):
            return False
        setattr(channel, name, value)
        return True

    return store


def _set_voltage(channel: IsegChannel, argument: str) -> bool:
    value = read_float(argument.removesuffix("V"))
    # A negative channel takes its voltage with the sign, as it tells it, or without.
    if value is None or (value < 0 and not channel.negative) or abs(value) > channel.nominal_v:
        return False
    channel.v_set_v = abs(value)
    return True


def _set_current(channel: IsegChannel, argument: str) -> bool:
    value = read_float(argument.removesuffix("A"))
    if value is None or abs(value) > channel.nominal_a:
        return False
    channel.i_set_a = abs(value)
    return True


def _set_ramp(channel: IsegChannel, argument: str) -> bool:
    up, down = (_stores(way, "V", 1e-3, _a_second) for way in ("up_v_per_s", "down_v_per_s"))
    return up(channel, argument) and down(channel, argument)


def _a_second(channel: IsegChannel) -> float:
    return channel.nominal_v


def _set_polarity(channel: IsegChannel, argument: str) -> bool:
    return argument in {"P", "N"} and channel.turn(negative=argument == "N")


def _clear(channel: IsegChannel, argument: str) -> bool:
    bits = 0xFFFFFFFF if argument == "CLEAR" else whole(argument, 0xFFFFFFFF)
    channel.clear(bits or 0)
    return bits is not None


def _whole(name: str, high: int) -> Callable[[IsegChannel, str], bool]:
    def store(channel: IsegChannel, argument: str) -> bool:
        value = read_integer(argument)
        if value is None or not 0 <= value <= high:
            return False
        setattr(channel, name, value)
        return True

    return store


def _tells(name: str, write: Callable[[Any], str]) -> Callable[[IsegChannel], str]:
    return lambda channel: write(getattr(channel, name))


def _signed(name: str) -> Callable[[IsegChannel], str]:
    return lambda channel: volts(channel.sign * getattr(channel, name))


def _per_second(value: float) -> str:
    return volts(value) + "/s"


def _polarity(channel: IsegChannel) -> str:
    return "n" if channel.negative else "p"


ACTIONS: dict[str, Callable[[IsegChannel], bool]] = {
    "ON": IsegChannel.switch_on,
    "OFF": IsegChannel.switch_off,
    "EMCY OFF": IsegChannel.emergency_off,
    "EMCY CLR": IsegChannel.emergency_clear,
}

SETS: dict[str, Callable[[IsegChannel, str], bool]] = {
    "VOLT": _set_voltage,
    "VOLT:BOUNDS": _stores("v_bounds_v", "V", 0.0, _a_second),
    "CURR": _set_current,
    "CURR:BOUNDS": _stores("i_bounds_a", "A", 0.0, lambda channel: channel.nominal_a),
    "CONF:RAMP:VOLT": _set_ramp,
    "CONF:RAMP:VOLT:UP": _stores("up_v_per_s", "V", 1e-3, _a_second),
    "CONF:RAMP:VOLT:DOWN": _stores("down_v_per_s", "V", 1e-3, _a_second),
    "CONF:RAMP:CURR": _stores("ramp_a_per_s", "A", 0.0, lambda channel: channel.nominal_a),
    "CONF:RAMP:CURR:UP": _stores("ramp_a_per_s", "A", 0.0, lambda channel: channel.nominal_a),
    "CONF:RAMP:CURR:DOWN": _stores("ramp_a_per_s", "A", 0.0, lambda channel: channel.nominal_a),
    "CONF:TRIP:TIME": _whole("trip_ms", 4000),
    "CONF:TRIP:ACT": _whole("trip_action", 4),
    "CONF:INHP:ACT": _whole("inhibit_action", 4),
    "CONF:OUTP:POL": _set_polarity,
    "CONF:OUTP:MODE": lambda _, argument: argument == "1",
    "EV": _clear,
    "EV:MASK": _whole("event_mask", 2**31),
}

ASKS: dict[str, Callable[[IsegChannel], str]] = {
    "MEAS:VOLT": lambda channel: volts(channel.volts.value),
    "MEAS:CURR": lambda channel: amperes(channel.amperes.value),
    "READ:VOLT": _signed("v_set_v"),
    "READ:VOLT:LIM": _tells("nominal_v", volts),
    "READ:VOLT:NOM": _tells("nominal_v", volts),
    "READ:VOLT:MODE": _signed("nominal_v"),
    "READ:VOLT:MODE:LIST": _signed("nominal_v"),
    "READ:VOLT:BOUNDS": _tells("v_bounds_v", volts),
    "READ:VOLT:ON": _tells("on", flag),
    "READ:VOLT:EMCY": _tells("emergency", flag),
    "READ:CURR": _tells("i_set_a", amperes),
    "READ:CURR:LIM": _tells("nominal_a", amperes),
    "READ:CURR:NOM": _tells("nominal_a", amperes),
    "READ:CURR:MODE": _tells("nominal_a", amperes),
    "READ:CURR:MODE:LIST": _tells("nominal_a", amperes),
    "READ:CURR:BOUNDS": _tells("i_bounds_a", amperes),
    "READ:RAMP:VOLT": _tells("up_v_per_s", _per_second),
    "READ:RAMP:VOLT:MIN": lambda _: _per_second(1e-3),
    "READ:RAMP:VOLT:MAX": _tells("nominal_v", _per_second),
    "READ:RAMP:CURR": _tells("ramp_a_per_s", lambda value: amperes(value) + "/s"),
    "READ:RAMP:CURR:MIN": lambda channel: amperes(1e-6 * channel.nominal_a) + "/s",
    "READ:RAMP:CURR:MAX": _tells("nominal_a", lambda value: amperes(value) + "/s"),
    "CONF:RAMP:VOLT": _tells("up_v_per_s", _per_second),
    "CONF:RAMP:VOLT:UP": _tells("up_v_per_s", _per_second),
    "CONF:RAMP:VOLT:DOWN": _tells("down_v_per_s", _per_second),
    "CONF:RAMP:CURR": _tells("ramp_a_per_s", lambda value: amperes(value) + "/s"),
    "CONF:RAMP:CURR:UP": _tells("ramp_a_per_s", lambda value: amperes(value) + "/s"),
    "CONF:RAMP:CURR:DOWN": _tells("ramp_a_per_s", lambda value: amperes(value) + "/s"),
    "CONF:TRIP:TIME": _tells("trip_ms", lambda value: f"{value}ms"),
    "CONF:TRIP:ACT": _tells("trip_action", str),
    "CONF:INHP:ACT": _tells("inhibit_action", str),
    "CONF:OUTP:POL": _polarity,
    "CONF:OUTP:POL:LIST": lambda channel: "p,n" if channel.reversible else _polarity(channel),
    "CONF:OUTP:MODE": lambda _: "1",
    "CONF:OUTP:MODE:LIST": lambda _: "1",
    "READ:CHAN:STAT": lambda channel: str(int(channel.status())),
    "READ:CHAN:CONT": lambda channel: str(8 * channel.on + 32 * channel.emergency),
    "READ:CHAN:EV:STAT": _tells("events", str),
    "READ:CHAN:EV:MASK": _tells("event_mask", str),
}
