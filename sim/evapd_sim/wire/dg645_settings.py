"""The pulse settings of a DG645: triggers, delays, outputs, burst. What *RST restores and *SAV keeps.

Source: DG645 user's manual, chapter Remote Programming, ranges and error numbers; the numbers from 110 on by practice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

ILLEGAL_VALUE, ILLEGAL_MODE, ILLEGAL_DELAY, ILLEGAL_LINK, RECALL_FAILED, NOT_ALLOWED = 10, 11, 12, 13, 14, 15
SYNTAX, UNDEFINED, NO_QUERY, NO_SET, EXTRA, MISSING = 110, 111, 112, 113, 115, 116
NOT_A_NUMBER, NOT_AN_INTEGER, OVERRUN, TOO_MANY = 118, 120, 171, 254
CHANNELS, OUTPUTS = 10, 5  # T0 T1 A..H; T0 AB CD EF GH
_MAX_DELAY_S = 2000.0

_DISPLAYS = 17  # what the panel can show


class Refused(Exception):
    """A command that the instrument does not carry out, with its own error number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


# Plain settings: name, attribute, lowest, highest, whole number, format of the reply.
_PLAIN: dict[str, tuple[str, float, float, bool, str]] = {
    "TSRC": ("source", 0, 6, True, "d"),
    "TRAT": ("rate_hz", 100e-6, 10e6, False, "+.6f"),
    "TLVL": ("level_v", -3.5, 3.5, False, "+.2f"),
    "HOLD": ("holdoff_s", 0, _MAX_DELAY_S, False, "+.12f"),
    "ADVT": ("advanced", 0, 1, True, "d"),
    "INHB": ("inhibit", 0, 5, True, "d"),
    "BURM": ("burst_mode", 0, 1, True, "d"),
    "BURC": ("burst_count", 1, 2**32 - 1, True, "d"),
    "BURD": ("burst_delay_s", 0, _MAX_DELAY_S, False, "+.12f"),
    "BURP": ("burst_period_s", 100e-9, _MAX_DELAY_S - 10e-9, False, "+.12f"),
    "BURT": ("burst_t0", 0, 1, True, "d"),
    "SHDP": ("display_on", 0, 1, True, "d"),
    "SSTR": ("rate_step_hz", 0, 10e6, False, "+.6f"),
    "SSTL": ("level_step_v", 0, 3.5, False, "+.2f"),
    "SSHD": ("holdoff_step_s", 0, _MAX_DELAY_S, False, "+.12f"),
}
# Settings of one output or prescaler: attribute, index range, lowest, highest, whole number, format.
_INDEXED: dict[str, tuple[str, int, float, float, bool, str]] = {
    "LAMP": ("amplitude_v", OUTPUTS, 0.5, 5.0, False, "+.2f"),
    "LOFF": ("offset_v", OUTPUTS, -2.0, 2.0, False, "+.2f"),
    "LPOL": ("positive", OUTPUTS, 0, 1, True, "d"),
    "PRES": ("prescale", OUTPUTS, 0, 2**30 - 1, True, "d"),
    "PHAS": ("phase", OUTPUTS, 0, 2**30 - 1, True, "d"),
    "SSLA": ("amplitude_step_v", OUTPUTS, 0, 5.0, False, "+.2f"),
    "SSLO": ("offset_step_v", OUTPUTS, 0, 2.0, False, "+.2f"),
    "SSPS": ("prescale_step", OUTPUTS, 0, 2**30 - 1, True, "d"),
    "SSPH": ("phase_step", OUTPUTS, 0, 2**30 - 1, True, "d"),
    "SSDL": ("delay_step_s", CHANNELS, 0, _MAX_DELAY_S, False, "+.12f"),
}


def _whole(value: float, high: int) -> int:
    """Read an index or mode below `high`."""
    if value != int(value) or not 0 <= value < high:
        raise Refused(ILLEGAL_VALUE)
    return int(value)


def _count(arguments: list[float] | list[int], wanted: int) -> None:
    if len(arguments) != wanted:
        raise Refused(EXTRA if len(arguments) > wanted else MISSING)


@dataclass(slots=True)
class Settings:
    """Everything about pulses; the defaults are those after *RST. Times in s, levels in V, rates in Hz."""

    source: int = 5
    rate_hz: float = 1000.0
    level_v: float = 1.0
    holdoff_s: float = 0.0
    advanced: int = 0
    inhibit: int = 0
    burst_mode: int = 0
    burst_count: int = 5
    burst_delay_s: float = 0.0
    burst_period_s: float = 10e-6
    burst_t0: int = 0
    amplitude_v: list[float] = field(default_factory=lambda: [2.5] * OUTPUTS)
    offset_v: list[float] = field(default_factory=lambda: [0.0] * OUTPUTS)
    positive: list[int] = field(default_factory=lambda: [1] * OUTPUTS)
    prescale: list[int] = field(default_factory=lambda: [1] * OUTPUTS)
    phase: list[int] = field(default_factory=lambda: [0] * OUTPUTS)
    # Of the panel: what it shows, and its steps; without effect on pulses.
    display: tuple[int, int] = (0, 0)
    display_on: int = 1
    rate_step_hz: float = 1.0
    level_step_v: float = 0.1
    holdoff_step_s: float = 1e-6
    amplitude_step_v: list[float] = field(default_factory=lambda: [0.1] * OUTPUTS)
    offset_step_v: list[float] = field(default_factory=lambda: [0.1] * OUTPUTS)
    prescale_step: list[int] = field(default_factory=lambda: [1] * OUTPUTS)
    phase_step: list[int] = field(default_factory=lambda: [1] * OUTPUTS)
    delay_step_s: list[float] = field(default_factory=lambda: [1e-6] * CHANNELS)
    reference: list[int] = field(default_factory=lambda: [0] * CHANNELS)
    delay_s: list[float] = field(default_factory=lambda: [0.0] * CHANNELS)

    def total_delay_s(self, channel: int) -> float:
        """Sum of the delays of a channel and those it refers to, in s from T0."""
        total_s = 0.0
        for _ in range(CHANNELS):
            if channel == 0:
                return total_s
            total_s += self.delay_s[channel]
            channel = self.reference[channel]
        raise Refused(ILLEGAL_LINK)  # they refer to each other in a circle

    def busy_s(self) -> float:
        """Time from T0 to the end of the last delay or burst."""
        longest_s = max(self.total_delay_s(channel) for channel in range(2, CHANNELS))
        if self.burst_mode:
            longest_s += self.burst_delay_s + (self.burst_count - 1) * self.burst_period_s
        return longest_s

    def query(self, name: str, arguments: list[int]) -> str:
        """Answer `name?` with its arguments.

        Raises:
            Refused: when there is no such query, or its arguments are wrong.
        """
        if name in _PLAIN:
            _count(arguments, 0)
            attribute, *_, form = _PLAIN[name]
            return format(getattr(self, attribute), form)
        if name in _INDEXED:
            _count(arguments, 1)
            attribute, size, *_, form = _INDEXED[name]
            return format(getattr(self, attribute)[_whole(arguments[0], size)], form)
        if name == "DISP":
            _count(arguments, 0)
            return f"{self.display[0]},{self.display[1]}"
        if name in {"DLAY", "LINK"}:
            _count(arguments, 1)
            channel = _whole(arguments[0], CHANNELS)
            reference = str(self.reference[channel])
            return reference if name == "LINK" else f"{reference},{self.delay_s[channel]:+.12f}"
        raise Refused(UNDEFINED)

    def command(self, name: str, arguments: list[float]) -> None:
        """Carry out the set `name` with its arguments.

        Raises:
            Refused: when there is no such set, or it is not allowed; nothing has changed then.
        """
        if name in _PLAIN:
            _count(arguments, 1)
            attribute, low, high, whole, _ = _PLAIN[name]
            setattr(self, attribute, _checked(arguments[0], low, high, whole=whole))
        elif name in _INDEXED:
            _count(arguments, 2)
            attribute, size, low, high, whole, _ = _INDEXED[name]
            index, value = _whole(arguments[0], size), _checked(arguments[1], low, high, whole=whole)
            self._level(name, index, value)
            getattr(self, attribute)[index] = value
        elif name == "DISP":
            _count(arguments, 2)
            self.display = _whole(arguments[0], _DISPLAYS), _whole(arguments[1], CHANNELS)
        elif name == "DLAY":
            _count(arguments, 3)
            self._refer(arguments[0], arguments[1], lambda channel: self._set_delay(channel, arguments[2]))
        elif name == "LINK":
            _count(arguments, 2)
            self._refer(arguments[0], arguments[1], lambda _: None)
        else:
            raise Refused(UNDEFINED)

    def _level(self, name: str, output: int, value: float) -> None:
        """Amplitude plus offset stay below 6 V."""
        other = {"LAMP": self.offset_v, "LOFF": self.amplitude_v}.get(name)
        if other is not None and abs(value + other[output]) >= 6.0:
            raise Refused(ILLEGAL_VALUE)

    def _refer(self, channel: float, reference: float, then: Callable[[int], None]) -> None:
        index, other = _whole(channel, CHANNELS), _whole(reference, CHANNELS)
        if index in {0, 1} or other in {1, index}:
            raise Refused(ILLEGAL_LINK)
        before = self.reference[index], self.delay_s[index]
        self.reference[index] = other
        try:
            then(index)
            self._check_delays()
        except Refused:
            self.reference[index], self.delay_s[index] = before
            raise

    def _check_delays(self) -> None:
        if not all(0 <= self.total_delay_s(channel) <= _MAX_DELAY_S for channel in range(CHANNELS)):
            raise Refused(ILLEGAL_DELAY)

    def _set_delay(self, channel: int, delay_s: float) -> None:
        self.delay_s[channel] = round(delay_s / 5e-12) * 5e-12  # steps of 5 ps


def _checked(value: float, low: float, high: float, *, whole: bool) -> float:
    if not low <= value <= high or (whole and value != int(value)):
        raise Refused(ILLEGAL_VALUE)
    return int(value) if whole else value
