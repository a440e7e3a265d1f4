"""Draws a voltage down faster than its supply falls by itself: set too low, and called back in time.

A supply does not sink current, so after a lower set point the output falls with its own time constant tau towards that set point.
The lower the set point, the steeper the fall; so it goes as low as zero, and back up to the goal before the goal is passed.
With the supply's first-order fall, V(t + h) = s + (V(t) - s) exp(-h / tau): the set point s that just meets the goal after the time h
that a command and its reading need is the lowest that is of any use.
"""

import math

_THERE = 1.005  # a reading this close above the goal has arrived
_SPARE_S = 2.0


class Drawdown:
    """One way down to a goal, recomputed with every reading. Only ever asks for less than the goal."""

    def __init__(self, tau_down_s: float, horizon_s: float) -> None:
        """Take the supply's time constant and the time from a command to the reading that shows it, both in s."""
        self._tau_s = tau_down_s
        self._horizon_s = horizon_s
        self._goal_v: float | None = None
        self._began_s, self._late_s = 0.0, math.inf
        self.command_v = 0.0

    @property
    def active(self) -> bool:
        """Whether a goal is still to be reached."""
        return self._goal_v is not None

    def begin(self, v_from_v: float, goal_v: float, now_s: float) -> None:
        """Draw down from a voltage to a lower one."""
        self._goal_v = self.command_v = max(0.0, goal_v)
        fall_s = self._tau_s * math.log(max(v_from_v, 1.0) / max(goal_v, 1.0))
        self._began_s = now_s
        self._late_s = now_s + 2.0 * max(0.0, fall_s) + _SPARE_S

    def follow(self, v_read_v: float, age_s: float) -> float | None:
        """Take a reading and its age; gives the voltage at which to stay once it has arrived, else None."""
        if self._goal_v is None:
            return None
        if v_read_v <= _THERE * self._goal_v:
            arrived_v = min(self._goal_v, v_read_v)
            self.end()
            return arrived_v
        left = math.exp(-(self._horizon_s + max(age_s, 0.0)) / self._tau_s)
        self.command_v = min(self._goal_v, max(0.0, (self._goal_v - v_read_v * left) / (1.0 - left)))
        return None

    def load(self, now_s: float) -> float | None:
        """Give the time since it began over the time allowed: twice what the fall should take, and some to spare. None: it is not active."""
        return (now_s - self._began_s) / (self._late_s - self._began_s) if self.active else None

    def end(self) -> None:
        """Stop here."""
        self._goal_v = None
