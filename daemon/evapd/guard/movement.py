"""Moves the energy state, and does what belongs to each move: stop the pulses, lower the voltage, begin a descent."""

from collections import deque

from evapd.errors import StateError
from evapd.guard.alarms import Alarms
from evapd.guard.descent import Descent
from evapd.guard.energy import ENERGISED, EnergyEvent, EnergyMachine, EnergyState
from evapd.guard.observer import Observer
from evapd.guard.rules import Effect, Finding
from evapd.guard.rules.supply import UNASKED
from evapd.guard.steering import CUT, Steering
from evapd.guard.supply_model import SupplyModel
from evapd.guard.types import GuardSettings, Inputs, supply_of

S, E = EnergyState, EnergyEvent
TRIP_S = 0.5  # pulses stay stopped for this long after the rate ceiling tripped
_QUIET_S = 0.2  # and for this long after a silence is over


class Movement:
    """The state machine with everything that changes when it moves."""

    def __init__(
        self, settings: GuardSettings, steering: Steering, observer: Observer, alarms: Alarms
    ) -> None:
        self._settings = settings
        self.machine = EnergyMachine()
        self.steering, self.observer, self.alarms = steering, observer, alarms
        self.model = SupplyModel(settings.rig.guard.hv_tau_up_s, settings.rig.guard.hv_tau_down_s)
        self.descent = Descent(settings)
        self.trips_s: deque[float] = deque(maxlen=16)
        self.entered_s = 0.0
        self.preparing = False  # a run begins: outputs are being switched on
        self.adopted = False  # voltage found at a restart is held
        self.by_person = False  # inhibited by a person: no rule lets pulses through again
        self.frozen = False
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
        self.move(E.RUN_BEGIN, now_s, why)
        self.steering.begin(v_v)
        self.model.start(v_v, now_s)
        self.trips_s.clear()
        self.observer.rebase()
        self.preparing, self.by_person = True, False

    def find(self, inputs: Inputs, now_s: float) -> None:
        """At start: read before anything is done, energise nothing, bring down what is found up."""
        supply = supply_of(inputs)
        if supply is None:
            return
        guard, v_v = self._settings.rig.guard, abs(supply.v_meas_v)
        hot = v_v > UNASKED * guard.discharged_v
        if hot and guard.attended:
            self.steering.adopt(min(CUT * v_v, _set_v(inputs, v_v)))
            self.model.start(v_v, now_s)
            self.adopted = True
            self.move(
                E.FOUND_ATTENDED, now_s, f"found {v_v:.0f} V at start, pulses inhibited, held at a tenth less"
            )
        elif hot or supply.output_on or self._amplitude_on(inputs):
            self.descent.begin(_set_v(inputs, v_v), v_v, now_s, quick=False)
            self.move(E.FOUND_ENERGISED, now_s, f"found {v_v:.0f} V at start, ramping down")
        elif self.descent.verified(inputs):
            self.move(E.FOUND_DOWN, now_s, "everything read: discharged, pulses inhibited")

    def apply(self, found: list[tuple[Effect, Finding]], inputs: Inputs, now_s: float) -> None:
        """Do what the gravest of the findings asks for."""
        self.frozen = bool(found)
        if not found:
            return
        effect, finding = max(found, key=lambda one: one[0])
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
        """Stop the pulses for half a second, lower the voltage by a tenth, tell the law."""
        self.trips_s.append(now_s)
        self.steering.law.inhibited(now_s, finding.ratio)
        self.steering.cut()
        self.inhibit(now_s, finding.what)
        self.release_s = now_s + TRIP_S

    def hold(self, now_s: float, why: str) -> None:
        """Stop the pulses, lower the voltage by a tenth once, wait for a person."""
        if self.state is not S.HOLDING:
            self.move(E.HOLD, now_s, why)
            self.steering.cut()
        self.stop_pulses()

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
        """Go on by a person's command."""
        if self.adopted:
            raise StateError(
                "voltage found at a restart cannot be resumed: end the run, then begin a new one"
            )
        self.move(E.RESUME, now_s, "resumed by a person")
        self.by_person = False
        self.trips_s.clear()
        self.restart_pulses(now_s)

    def release_when_over(self, now_s: float) -> None:
        """Go on when the rule that inhibited is content again."""
        if self.state is S.INHIBITED and not (self.by_person or self.frozen) and now_s >= self.release_s:
            self.move(E.RELEASED, now_s, "the cause is over")
            self.restart_pulses(now_s)

    def landed(self, now_s: float) -> None:
        """Everything is verified down."""
        self.move(E.VERIFIED_DOWN, now_s, "verified by readings")
        self.adopted = self.by_person = False

    def restart_pulses(self, now_s: float) -> None:
        """Let pulses through; counts of before mean nothing for what follows."""
        self.preparing = False
        self.observer.rebase()
        self.steering.pause()
        self.steering.law.resumed(now_s)
        self.pulsing_since_s = now_s

    def stop_pulses(self) -> None:
        """Let no pulses through."""
        self.preparing = False
        self.pulsing_since_s = None
        self.steering.pause()

    def _begin_descent(self, inputs: Inputs, now_s: float, *, quick: bool) -> None:
        supply = supply_of(inputs)
        v_read_v = abs(supply.v_meas_v) if supply is not None else 0.0
        v_set_v = self.steering.v_set_v if self.state in ENERGISED else _set_v(inputs, v_read_v)
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
