"""Slew and range of the set point, the last thing that every closed-loop law passes through."""

import math

from evapd.control.types import ControlSettings

# Steps farther apart than this many ticks do not add up to a larger rise.
_LONGEST_TICKS = 3
_ROUNDING = 1e-13


class Limits:
    """Slews in 1/s of V and range in V, applied to ln V."""

    def __init__(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._v_max_v = settings.v_max_v
        self._bottom = math.log(max(settings.v_min_v, 1.0)) + _ROUNDING
        self.highest = math.log(max(settings.v_max_v, 1.0)) - _ROUNDING
        self.lowest = min(self._bottom, self.highest)

    def confine(self, v_max_v: float) -> None:
        """Let nothing rise above a voltage for a while, never above the end of the range."""
        self.highest = math.log(max(min(v_max_v, self._v_max_v), 1.0)) - _ROUNDING
        self.lowest = min(self._bottom, self.highest)

    def set_highest(self, v_max_v: float) -> None:
        """Move the upper end of the range."""
        self._v_max_v = v_max_v
        self.confine(math.inf)

    def seconds(self, then_s: float, now_s: float) -> float:
        """Give the time that a step may count: never negative, never longer than three ticks."""
        dt_s = now_s - then_s
        return min(dt_s, _LONGEST_TICKS * self._settings.tick_s) if dt_s > 0.0 else 0.0

    def start(self, v_dc_v: float) -> float:
        """Give ln V to begin from; what is no voltage begins at the lower end of the range."""
        log_v = math.log(v_dc_v) if 1.0 <= v_dc_v < math.inf else 0.0
        return min(log_v if log_v > 0.0 else self.lowest, self.highest)

    def move(self, log_v: float, wanted: float, dt_s: float, slew_up: float) -> float:
        """Give ln V after a step towards log_v + wanted that keeps to slews and range.

        A voltage below the range (a start from 0 V) climbs into it at the upward slew, and is not lifted in one step.
        """
        rise = math.log1p(max(0.0, slew_up) * dt_s)
        fall = min(self._settings.max_slew_down * dt_s, 0.9)
        goal = log_v + max(math.log1p(-fall), min(rise, wanted))
        return min(self.highest, max(goal, min(self.lowest, log_v + rise)))

    def volts(self, log_v: float) -> float:
        """Give V."""
        return min(math.exp(log_v), self._v_max_v)
