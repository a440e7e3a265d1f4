"""Moves the energy state, and does what belongs to each move: stop the pulses, lower the voltage, begin a descent."""

from collections import deque

from evapd.errors import StateError
from evapd.guard.alarms import Alarms
from evapd.guard.awaited import Awaited
from evapd.guard.descent import Descent
from evapd.guard.energy import ENERGISED, STEERED, EnergyEvent, EnergyMachine, EnergyState
from evapd.guard.laser import Light, stands_open
from evapd.guard.observer import Observer
from evapd.guard.rules import Effect, Finding
from evapd.guard.rules.supply import EXCESS, UNASKED, floor_v
from evapd.guard.steering import CUT, Steering
from evapd.guard.supply_model import SupplyModel
from evapd.guard.types import GuardSettings, Inputs, supply_of

S, E = EnergyState, EnergyEvent
TRIP_S = 0.5  # pulses stay stopped for this long at least after the rate ceiling tripped
_QUIET_S = 0.2  # and for this long after a silence is over


class Movement:
    """The state machine with everything that changes when it moves."""

    def __init__(
        self, settings: GuardSettings, steering: Steering, observer: Observer, alarms: Alarms
    ) -> None:
        self.settings = settings
        self.machine = EnergyMachine()
        self.steering, self.observer, self.alarms = steering, observer, alarms
        self.model = SupplyModel(settings.rig.guard.hv_tau_up_s, settings.rig.guard.hv_tau_down_s)
        self.descent = Descent(settings)
        self.light = Light(settings)
        self.trips_s: deque[float] = deque(maxlen=16)
        self.entered_s = 0.0
        self.preparing = False  # a run begins: outputs are being switched on
        self.prepared = False  # they were, once in this run
        self.told_on = Awaited()  # the specimen supply's output, for one that cannot tell it
        self.settling = False  # pulses are wanted, and wait until the voltage is where it shall be
        self.adopted = False  # voltage found at a restart is held
        self.by_person = False  # inhibited by a person: no rule lets pulses through again
        self.frozen = False  # the law is not asked
        self.may_rise = True
        self.stopped_by = ""  # a rule that wants no pulses now
        self.release_s = 0.0
        self.pulsing_since_s: float | None = None

    @property
    def state(self) -> EnergyState:
        """The present energy state."""
        return self.machine.state

    def move(self, event: EnergyEvent, now_s: float, why: str) -> None:
        """Follow an event and say so; raises StateError when it is not legal now."""
        before = self.state
        if self.machine.move(event):
            self.entered_s = now_s
            what = f"{before.label} -> {self.state.label}: {why}"
            pulse = self.observer.pulse
            self.alarms.say("energy", "info", what, before=before.label, after=self.state.label, pulse=pulse)

    def begin(self, inputs: Inputs, now_s: float, why: str) -> None:
        """Begin a run: from what is read, with everything still off."""
        supply = supply_of(inputs)
        v_v = abs(supply.v_meas_v) if supply is not None else 0.0
        self.steering.begin(v_v)  # first: without a law there is no run
        self.move(E.RUN_BEGIN, now_s, why)
        self.light.begin()
        self.model.start(v_v, now_s)
        self.trips_s.clear()
        self.told_on.forget()
        self.observer.rebase()
        self.preparing, self.prepared, self.settling, self.by_person = True, False, False, False

    def find(self, inputs: Inputs, now_s: float) -> None:
        """At start: read before anything is done, energise nothing, bring down what is found up."""
        supply = supply_of(inputs)
        if supply is None:
            return
        guard, v_v = self.settings.rig.guard, abs(supply.v_meas_v)
        hot = v_v > UNASKED * guard.discharged_v
        if hot and guard.attended:
            self.steering.adopt(min(CUT * v_v, _set_v(inputs, v_v)))
            self.model.start(v_v, now_s)
            self.adopted = True
            self.move(
                E.FOUND_ATTENDED, now_s, f"found {v_v:.0f} V at start, pulses inhibited, held at a tenth less"
            )
        elif hot or supply.output_on is not False or self._amplitude_on(inputs) or stands_open(inputs):
            self.descent.begin(_set_v(inputs, v_v), v_v, now_s, quick=False)
            untold = ", it cannot be told whether the output is on" if supply.output_on is None else ""
            self.move(E.FOUND_ENERGISED, now_s, f"found {v_v:.0f} V at start{untold}, ramping down")
        elif self.descent.verified(inputs):
            self.move(E.FOUND_DOWN, now_s, "everything read: discharged, pulses inhibited")

    def apply(self, found: list[tuple[Effect, Finding]], inputs: Inputs, now_s: float) -> None:
        """Do what the gravest of the findings asks for."""
        found = [one for one in found if one[0] > Effect.NOTE]
        self.may_rise, self.stopped_by = not found, ""
        self.frozen = any(effect >= Effect.FREEZE for effect, _ in found)
        if not found:
            return
        for _, one in found:
            if one.law_fails:
                self.steering.pilot.give_up(one.what)
        effect, finding = max(found, key=lambda one: one[0])
        if effect >= Effect.INHIBIT:
            self.stopped_by = finding.what
        if effect is Effect.SAFE:
            self.fault(inputs, now_s, finding.what)
        elif effect is Effect.RAMP_DOWN:
            self.down(inputs, now_s, finding.what, quick=False)
        elif effect is Effect.HOLD:
            self.hold(now_s, finding.what)
        elif effect is Effect.CUT:
            self.cut(now_s, finding)
        elif effect is Effect.INHIBIT:
            self.inhibit(now_s, finding.what)
            self.release_s = max(self.release_s, now_s + _QUIET_S)

    def inhibit(self, now_s: float, why: str) -> None:
        """Stop the pulses; the voltage stays."""
        self.stop_pulses()
        self.move(E.INHIBIT, now_s, why)

    def cut(self, now_s: float, finding: Finding) -> None:
        """Stop the pulses for half a second or longer, draw the voltage down, tell the law."""
        self.trips_s.append(now_s)
        self.steering.trip(now_s, finding.ratio)
        self.inhibit(now_s, finding.what)
        self.release_s = now_s + TRIP_S

    def hold(self, now_s: float, why: str) -> None:
        """Stop the pulses, lower the voltage by a tenth once, wait for a person."""
        lowered = self.state in (S.HOLDING, S.PAUSED, S.ALIGNING)
        if self.state is not S.HOLDING:
            self.move(E.HOLD, now_s, why)
        if not lowered:
            self.steering.hold(now_s, begun=not self.preparing)
        self.stop_pulses()

    def pause(self, now_s: float) -> None:
        """Stop the pulses and lower the voltage by `pause_drop`, by a person's command."""
        self._not_adopted("paused")
        before = self.state
        self.move(E.PAUSE, now_s, "paused by a person")
        self.stop_pulses()
        if before is not S.PAUSED:
            self.steering.rest(now_s)

    def align(self, now_s: float) -> None:
        """Lower the voltage for an alignment, by a person's command; a laser's pulses come once it is down."""
        self._not_adopted("aligned")
        before = self.state
        self.move(E.ALIGN, now_s, "aligning, by a person's command")
        if before is not S.ALIGNING:
            self.stop_pulses()
            self.steering.cap(now_s)
            self.settling = self.settings.rig.pulse.mode == "laser"

    def down(self, inputs: Inputs, now_s: float, why: str, *, quick: bool) -> None:
        """Stop the pulses and begin a descent; one that is under way can only become quicker."""
        self.stop_pulses()
        under_way = self.state is S.RAMPING_DOWN and (self.descent.quick or not quick)
        if self.state is not S.FAULT_LATCHED and not under_way:
            self._begin_descent(inputs, now_s, quick=quick)
            self.move(E.RAMP_DOWN, now_s, why)

    def fault(self, inputs: Inputs, now_s: float, why: str) -> None:
        """Stop the pulses, bring everything down by the quickest way, and latch."""
        self.stop_pulses()
        if self.state is not S.FAULT_LATCHED:
            self._begin_descent(inputs, now_s, quick=True)
            self.move(E.FAULT, now_s, why)

    def resume(self, now_s: float) -> None:
        """Go on by a person's command: from nine tenths of the voltage and a part of the target.

        Raises:
            StateError: when a rule stands against it, or there is nothing to resume; nothing was changed.
        """
        self._not_adopted("resumed")
        if self.state is S.INHIBITED:
            if not self.by_person:
                raise StateError("a rule stopped the pulses, the run goes on by itself when it is content")
            if self.stopped_by or now_s < self.release_s or self.steering.drawdown.active:
                why = self.stopped_by or "the voltage is still on its way down after a trip"
                raise StateError(f"pulses cannot be let through yet: {why}")
        self.move(E.RESUME, now_s, "resumed by a person")
        self.by_person = False
        self.trips_s.clear()
        self.stop_pulses()
        self.steering.resume(now_s)
        self._set_out()

    def release_when_over(self, inputs: Inputs, now_s: float) -> None:
        """Go on when the rule that inhibited is content again and the voltage is where a trip wants it."""
        if self.state is not S.INHIBITED or self.by_person or self.frozen or now_s < self.release_s:
            return
        if self.steering.drawdown.active:
            late = (self.steering.drawdown.load(now_s) or 0.0) >= 1.0
            supply = supply_of(inputs)
            if not late or supply is None or not self.steering.enough(abs(supply.v_meas_v)):
                return
        self.move(E.RELEASED, now_s, "the cause is over")
        self._set_out()

    def settle(self, inputs: Inputs, now_s: float) -> None:
        """Follow a voltage that is drawn down, and let waiting pulses through once it is where it shall be."""
        supply = supply_of(inputs)
        if supply is None:
            return
        v_v = abs(supply.v_meas_v)
        if self.steering.settle(v_v, now_s - supply.t_mono_s):
            self.model.start(v_v, now_s)
        if not self.settling or self.steering.drawdown.active:
            return
        spare_v = floor_v(self.settings.rig.guard.discharged_v, supply)
        if v_v <= self.steering.v_set_v * (1.0 + EXCESS) + spare_v:
            self.restart_pulses(now_s)

    def landed(self, now_s: float) -> None:
        """Everything is verified down."""
        self.move(E.VERIFIED_DOWN, now_s, "verified by readings")
        self.adopted = self.by_person = False

    def restart_pulses(self, now_s: float) -> None:
        """Let pulses through; counts of before mean nothing for what follows."""
        self.preparing, self.prepared, self.settling = False, True, False
        self.observer.rebase()
        self.steering.pause()
        if self.state in STEERED:
            self.steering.pilot.resumed(now_s)
        self.pulsing_since_s = now_s

    def stop_pulses(self) -> None:
        """Let no pulses through."""
        self.preparing = self.settling = False
        self.pulsing_since_s = None
        self.steering.pause()

    def _set_out(self) -> None:
        """Let pulses through soon: at once, when the voltage is there, or when the outputs are on."""
        self.settling, self.preparing = self.prepared, not self.prepared

    def _not_adopted(self, what: str) -> None:
        if self.adopted:
            raise StateError(
                f"voltage found at a restart cannot be {what}: end the run, then begin a new one"
            )

    def _begin_descent(self, inputs: Inputs, now_s: float, *, quick: bool) -> None:
        supply = supply_of(inputs)
        v_read_v = abs(supply.v_meas_v) if supply is not None else 0.0
        v_set_v = self.steering.descend() if self.state in ENERGISED else _set_v(inputs, v_read_v)
        if self.state is S.RAMPING_DOWN:
            v_set_v = self.descent.v_v
        self.descent.begin(v_set_v, v_read_v, now_s, quick=quick)

    def _amplitude_on(self, inputs: Inputs) -> bool:
        view = inputs.with_role("pulse")
        return view is not None and view.known and bool(getattr(view.reading, "output_on", None))


def _set_v(inputs: Inputs, v_read_v: float) -> float:
    """Where a descent begins: never above what the instrument itself was set to."""
    supply = supply_of(inputs)
    if supply is None or supply.v_set_v is None:
        return v_read_v
    return min(v_read_v, abs(supply.v_set_v))
