"""The registers of a FuG Probus V interface as a table: what a query says, what a set checks and does.

Source: Probus V command reference V2.22, as several open clients use it.
"""

from collections.abc import Callable, MutableMapping
from typing import NamedTuple

from evapd_sim.wire.adc import MODES, Adc
from evapd_sim.wire.fug_channel import SetChannel
from evapd_sim.wire.numbers import flag, read_float, read_integer

OK, NO_DATA, UNKNOWN, BAD, RANGE, READ_ONLY, TOO_LONG = 0, 1, 2, 4, 5, 6, 7
NO_SCPI, NO_TRIGGER_ON_TALK, BAD_TALK, BAD_N = 10, 11, 12, 13

Write = Callable[[str], int]  # argument to error code
Gate = Callable[[str, Callable[[], None]], int]  # when a change is carried out: register name, action


class Register(NamedTuple):
    """How a register is read and written; without `write` it is read only (E6)."""

    read: Callable[[], str]
    write: Write | None = None


def at_once(name: str, action: Callable[[], None]) -> int:  # noqa: ARG001 - the signature of a gate
    """Carry out what concerns the interface only: in LOCAL too, and without waiting for X."""
    action()
    return OK


def whole(name: str, high: int, action: Callable[[int], None], gate: Gate = at_once) -> Write:
    """Make the writer of a register that takes 0 to `high`."""

    def write(argument: str) -> int:
        value = read_integer(argument)
        if value is None:
            return BAD
        return gate(name, lambda: action(value)) if 0 <= value <= high else RANGE

    return write


def real(name: str, high: float, action: Callable[[float], None], gate: Gate, *, zero: bool = True) -> Write:
    """Make the writer of a register that takes a number from 0 to `high`, 0 itself only with `zero`."""

    def write(argument: str) -> int:
        value = read_float(argument)
        if value is None:
            return BAD
        allowed = 0 <= value <= high and (zero or value > 0)
        return gate(name, lambda: action(value)) if allowed else RANGE

    return write


def stored(values: MutableMapping[str, int], name: str, high: int, gate: Gate = at_once) -> Register:
    """Make a register that only keeps its value in `values[name]`."""

    def keep(value: int) -> None:
        values[name] = value

    return Register(lambda: str(values[name]), whole(name, high, keep, gate))


def channel_registers(
    prefix: str, channel: SetChannel, number: Callable[[float], str], gate: Gate
) -> dict[str, Register]:
    """Make the registers S0.. or S1.. of a set value; `number` writes a value."""

    def setter(attribute: str) -> Callable[[float], None]:
        return lambda value: setattr(channel, attribute, value)

    def mode(value: int) -> None:
        channel.mode = value

    def high_resolution(value: int) -> None:
        channel.high_resolution = value

    wanted = real(prefix, channel.rated, setter("wanted"), gate)
    actual = real(prefix + "A", channel.rated, setter("actual"), gate)
    rate = real(prefix + "R", 1e9, setter("rate_per_s"), gate, zero=False)
    return {
        prefix: Register(lambda: number(channel.wanted), wanted),
        prefix + "A": Register(lambda: number(channel.actual), actual),
        prefix + "R": Register(lambda: number(channel.rate_per_s), rate),
        prefix + "B": Register(lambda: str(channel.mode), whole(prefix + "B", 4, mode, gate)),
        prefix + "S": Register(lambda: flag(channel.ramping)),
        prefix + "H": Register(
            lambda: str(channel.high_resolution), whole(prefix + "H", 1, high_resolution, gate)
        ),
    }


def adc_registers(prefix: str, adc: Adc, number: Callable[[float], str]) -> dict[str, Register]:
    """Make the registers M0.. or M1.. of a readback."""

    def mode(value: int) -> None:
        adc.mode = value

    return {
        prefix: Register(lambda: number(adc.value)),
        prefix + "R": Register(lambda: str(adc.counts)),
        prefix + "I": Register(lambda: str(adc.mode), whole(prefix + "I", len(MODES) - 1, mode)),
    }
