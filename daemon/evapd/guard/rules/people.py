"""Rules on who is there: a person in attended mode, and the guard's own loop."""

from evapd.guard.energy import ENERGISED, PULSING
from evapd.guard.rules.base import Effect, Finding, Measured, View

AWAY_S, _GONE_S = 60.0, 600.0
_MISSED_TICKS = 3
_RECOVER_S = 0.2


class OperatorAway(Measured):
    """Nobody attends a run that somebody attended."""

    name = "operator-away"
    trigger = "attended mode, and nobody has attended for 60 s since somebody last did in this run"
    effect = Effect.NO_RISE
    release = "by itself, when somebody attends again"
    advice = "open the display or `evapd watch` again; for a night set `attended: false`"
    keys = ("attended",)
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Time since somebody attended over a minute; None in a run that nobody ever attended."""
        return _since(view, AWAY_S)

    def found(self, view: View) -> Finding:
        """Say how long."""
        return Finding(f"nobody has attended for {view.now_s - (view.attended_s or 0.0):.0f} s")


class OperatorGone(Measured):
    """Nobody has come back to a run that somebody attended."""

    name = "operator-gone"
    trigger = "attended mode, and nobody has attended for 10 min since somebody last did in this run"
    effect = Effect.HOLD
    release = "a person resumes"
    advice = "the run waits at a lower voltage; resume when you are back"
    keys = ("attended",)
    latch = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """Time since somebody attended over ten minutes."""
        return _since(view, _GONE_S)

    def found(self, view: View) -> Finding:
        """Say how long."""
        minutes = (view.now_s - (view.attended_s or 0.0)) / 60.0
        return Finding(f"nobody has attended for {minutes:.0f} minutes")


class MissedTicks(Measured):
    """The guard itself did not run for a while: what it knows is old."""

    name = "missed-ticks"
    trigger = "the guard's loop stood still for three ticks or more"
    effect = Effect.FREEZE
    release = "by itself after 0.2 s"
    advice = "look at the load of the machine and at `realtime` in the status; run the guard under SCHED_FIFO"
    keys = ("control.tick_s",)
    watches = PULSING

    def __init__(self) -> None:
        self._until_s = 0.0
        self._gap_s = 0.0

    def load(self, view: View) -> float | None:
        """Time since the look before over three ticks."""
        allowed_s = _MISSED_TICKS * view.settings.rig.control.tick_s
        if view.gap_s >= allowed_s:
            self._until_s, self._gap_s = view.now_s + _RECOVER_S, view.gap_s
        return 1.0 if view.now_s < self._until_s else view.gap_s / allowed_s

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the signature of every rule
        """Say how long."""
        return Finding(f"the guard's loop stood still for {self._gap_s:.2f} s")

    def forget(self) -> None:
        """Begin anew."""
        self._until_s = 0.0


def _since(view: View, allowed_s: float) -> float | None:
    if view.attended_s is None or not view.guard.attended:
        return None
    return max(0.0, view.now_s - view.attended_s) / allowed_s


PEOPLE_RULES = (OperatorAway, OperatorGone, MissedTicks)
