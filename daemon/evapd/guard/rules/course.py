"""Rules on the guard's own doing: nobody steers, or a voltage that is drawn down does not come, or is gone at once."""

from evapd.guard.energy import ENERGISED, STEERED, EnergyState
from evapd.guard.rules.base import Effect, Finding, Measured, View

_LOST = 0.5  # a reading below this part of goal and modelled fall is no arrival


class NoLaw(Measured):
    """No control law works any more: also the one that takes over from a law that fails has failed."""

    name = "no-law"
    trigger = "the law failed, and pi-log in its place failed too"
    effect = Effect.HOLD
    release = "a person sets another law and resumes"
    advice = "look at the log and report it; set another law, then resume, or stop the run"
    latch = True
    watches = STEERED

    def load(self, view: View) -> float | None:
        """1 when nothing steers."""
        return float(view.no_law)

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the signature of every rule
        """Say it."""
        return Finding("no control law works: look at the log, set another law or stop the run")


class NotDrawnDown(Measured):
    """After a trip the voltage does not come down by what the rate of the trip asks for."""

    name = "not-drawn-down"
    trigger = (
        "a voltage drawn down after a trip is not there in twice the time that its fall should take, and 2 s"
    )
    effect = Effect.HOLD
    release = "a person resumes"
    advice = "look at the supply's bleeder and at hv_tau_down_s; resume with a lower target, or stop"
    keys = ("hv_tau_down_s",)
    latch = True
    watches = frozenset({EnergyState.INHIBITED})

    def load(self, view: View) -> float | None:
        """Time since it began over the time allowed; below 1 where the voltage that is there is low enough."""
        if view.draw_down_load is None:
            return None
        enough = view.supply is not None and abs(view.supply.v_meas_v) <= view.enough_v
        return min(view.draw_down_load, 0.99) if enough else view.draw_down_load

    def found(self, view: View) -> Finding:
        """Say what is read."""
        seen = f"it reads {abs(view.supply.v_meas_v):.0f} V" if view.supply else "it is UNKNOWN"
        return Finding(f"the voltage did not come down after a trip, {seen}: look at the supply")


class LostOutput(Measured):
    """A voltage that is drawn down is gone faster than the bleeder lets it fall: nothing may be brought back up to a goal from an arc."""

    name = "lost-output"
    trigger = "while it is drawn down V_dc reads below half of both its goal and its modelled fall"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = "look for an arc, an output that is off, a loose cable; or hv_tau_down_s is too long; then acknowledge"
    keys = ("hv_tau_down_s",)
    latch = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """What must be there at least, over what is read."""
        if view.draw_down_load is None or view.supply is None:
            return None
        least_v = _LOST * min(view.v_set_v, view.model.v_v)
        v_v = abs(view.supply.v_meas_v)
        return 0.999 * least_v / v_v if v_v >= least_v > 0.0 else float(v_v < least_v)

    def found(self, view: View) -> Finding:
        """Say what is read and what was expected."""
        v_v = abs(view.supply.v_meas_v) if view.supply else 0.0
        return Finding(
            f"while drawn down the specimen fell to {v_v:.0f} V where {view.model.v_v:.0f} V was expected: "
            "arc, output lost, or hv_tau_down_s too long"
        )


COURSE_RULES = (NoLaw, NotDrawnDown, LostOutput)
