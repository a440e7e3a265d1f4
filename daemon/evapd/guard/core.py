"""The guard's mind: inputs in, decision out. No clock, no device, no socket: seconds of a clock that the caller names.

Every tick runs the same way: take in what is new, look at the rules, follow the state machine, plan the set points of
the state. Between ticks `react` does the same without the law and without any rise, for what cannot wait.
"""

import math
from dataclasses import asdict, replace
from typing import Any

from evapd.control import create
from evapd.errors import StateError
from evapd.guard import ceilings, checks, settable
from evapd.guard.alarms import Alarms
from evapd.guard.energy import DOWNWARD, ENERGISED, EnergyEvent, EnergyState
from evapd.guard.lookout import Lookout
from evapd.guard.movement import Movement
from evapd.guard.observer import Observer
from evapd.guard.pilot import LawMaker
from evapd.guard.planner import Planner
from evapd.guard.rules import Effect
from evapd.guard.sample import loop_sample
from evapd.guard.steering import Steering
from evapd.guard.supply_model import SupplyModel
from evapd.guard.telling import Telling
from evapd.guard.types import Decision, GuardSettings, Inputs, LoopSample, RunSettings
from evapd.guard.wiring import Wiring

S, E = EnergyState, EnergyEvent


class GuardCore:
    """Decides what the instruments shall do; every command and every rule ends here."""

    def __init__(self, settings: GuardSettings, make_law: LawMaker = create) -> None:
        self.settings = settings
        self.alarms = Alarms()
        self.observer = Observer(settings)
        self.steering = Steering(settings, RunSettings.of(settings.rig), make_law)
        self.movement = Movement(settings, self.steering, self.observer, self.alarms)
        self.run_id = ""
        self._aborted_s = -math.inf
        self.run_over = False  # acquire no longer wants it; the id stays until it is down
        self.wiring = Wiring(settings)
        self.lookout = Lookout(settings, self.movement, self.wiring)
        self._planner = Planner(settings, self.movement)
        self.telling = Telling(self.movement)

    @property
    def state(self) -> EnergyState:
        """The present energy state."""
        return self.movement.state

    @property
    def run(self) -> RunSettings:
        """The present settings of the run."""
        return self.steering.run

    @property
    def verified(self) -> bool:
        """Whether nothing carries energy, by readings younger than the last command down."""
        return self.movement.descent.verified(self.lookout.inputs)

    def tick(self, inputs: Inputs, now_s: float) -> Decision:
        """Do one step of the loop."""
        return self._step(inputs, now_s, whole=True)

    def react(self, inputs: Inputs, now_s: float) -> Decision:
        """Look at what came between two ticks: the rules act, the law is not asked, nothing rises."""
        return self._step(inputs, now_s, whole=False)

    # Commands of a person or a run. They change the state at once; the next decision carries them out.

    def run_begin(self, run_id: str, digest: str, now_s: float, asked_s: float | None = None) -> None:
        """Begin a run: switch on, ramp to the start, evaporate. Under law monitor: watch.

        `asked_s` is when a person asked for it: recording had to begin first, and who aborted meanwhile wants no run.

        Raises:
            StateError: when something speaks against it; the message lists all of it.
        """
        event = E.OBSERVE if self.run.observes else E.RUN_BEGIN
        reasons = checks.against_run(self.lookout.view(), digest)
        if not self.movement.machine.allows(event):
            reasons.insert(0, f"the energy state is '{self.state.label}'")
        if asked_s is not None and not self._aborted_s < asked_s <= now_s:
            reasons.insert(0, "an abort came after this run was asked for: ask again")
        if reasons:
            raise StateError("a run cannot begin: " + "; ".join(reasons))
        if self.run.observes:
            self.observer.rebase()
            self.movement.move(E.OBSERVE, now_s, f"run {run_id} is watched, nothing is commanded")
        else:
            self.movement.begin(self.lookout.inputs, now_s, f"run {run_id} begins")
            self.wiring.begin_heartbeat(now_s)
        self.run_id, self.run_over = run_id, False
        self.telling.run_begins()
        self.lookout.run_begins()

    def run_end(self, reason: str, now_s: float) -> None:
        """End the run: pulses off, voltage down. Legal in every state."""
        self.run_over = True
        if self.run.observes:
            if self.movement.machine.allows(E.OBSERVE_END):
                self.movement.move(E.OBSERVE_END, now_s, reason)
        elif self.state in ENERGISED:
            self.movement.down(self.lookout.inputs, now_s, reason, quick=False)

    def ramp_down(self, reason: str, now_s: float) -> None:
        """Bring everything down and verify it, from whatever state; law monitor commands nothing."""
        if self.run.observes:
            self.run_end(reason, now_s)
        elif self.state not in DOWNWARD:
            self.movement.down(self.lookout.inputs, now_s, reason, quick=False)

    def abort(self, reason: str, now_s: float) -> None:
        """Make everything safe by the quickest way. Legal in every state, for everyone; law monitor commands nothing."""
        self.run_over, self._aborted_s = True, now_s
        self.alarms.say("abort", "alarm", reason, state=self.state.label)
        if self.run.observes:
            self.run_end(reason, now_s)
        else:
            self.wiring.abort()
            self.movement.down(self.lookout.inputs, now_s, reason, quick=True)

    def shut_down(self, reason: str, now_s: float) -> None:
        """Bring everything down and verify it, the detector's supplies last: nobody will guard them any more."""
        self.ramp_down(reason, now_s)
        if not self.run.observes:
            self.wiring.detector.turn_off_after_specimen(reason)

    def detector_on(self, now_s: float) -> None:
        """Begin to ramp the detector's supplies up.

        Raises:
            StateError: when something speaks against it; the message lists all of it.
        """
        self._not_observing()
        self.wiring.turn_detector_on(checks.against_detector(self.lookout.view()), now_s)

    def detector_off(self, reason: str, now_s: float) -> None:
        """Ramp the detector's supplies down; in a run the specimen goes down first. Legal in every state."""
        self._not_observing()
        if self.state in ENERGISED:
            self.movement.down(self.lookout.inputs, now_s, reason, quick=False)
        self.wiring.detector.turn_off_after_specimen(reason)

    def inhibit(self, on: bool, now_s: float) -> None:  # noqa: FBT001 - the wire's word
        """Stop the pulses, or let the run go on. Stopping is legal in every state."""
        self._not_observing()
        if on:
            self.movement.by_person = True
            self.movement.inhibit(now_s, "inhibited by a person")
        elif self.state is S.INHIBITED:
            self.resume(now_s)

    def hold(self, on: bool, now_s: float) -> None:  # noqa: FBT001 - the wire's word
        """Stop the pulses, lower the voltage by a tenth and wait; or let the run go on."""
        self._not_observing()
        if on:
            self.movement.hold(now_s, "held by a person")
        elif self.state is S.HOLDING:
            self.resume(now_s)

    def pause(self, now_s: float) -> None:
        """Stop the pulses and lower the voltage by `pause_drop`, for a while; raises StateError without a voltage."""
        self._not_observing()
        self.movement.pause(now_s)

    def align(self, now_s: float) -> None:
        """Cap the voltage so that beam or stage may be moved; raises StateError unless paused or held."""
        self._not_observing()
        self.movement.align(now_s)

    def resume(self, now_s: float) -> None:
        """Go on from nine tenths of the voltage at a part of the target, which opens a segment.

        Raises:
            StateError: when there is nothing to resume, or a rule stands against it.
        """
        self._not_observing()
        self.movement.resume(now_s)
        part = f"{100 * self.steering.ease.share:.0f} % of the target at first"
        self.telling.segment(self.run_id, f"resumed at {self.steering.v_set_v:.0f} V, {part}")

    def acknowledge(self, now_s: float) -> int:
        """Forget alarms that are over, and leave a latched fault or a safe state; gives how many were forgotten.

        Raises:
            StateError: while a latched fault is not verified down.
        """
        if self.state is S.FAULT_LATCHED and not self.verified:
            pending = ", ".join(self.movement.descent.pending(self.lookout.inputs))
            raise StateError(f"not verified down: {pending}; the fault stays latched until readings show it")
        if not self.run.observes:
            self.wiring.acknowledge(verified=self.verified, now_s=now_s)
        while self.state in (S.FAULT_LATCHED, S.SAFE):
            self.movement.move(E.ACKNOWLEDGE, now_s, "acknowledged")
        return self.alarms.acknowledge()

    def set(self, changes: dict[str, Any], now_s: float) -> None:
        """Change law, target_rate, pulse_fraction, pulse_rate_hz, energy_pj or a ceiling; in a run this opens a segment. All of it or nothing.

        Raises:
            LimitError: when a value is outside its range.
            StateError: when there is no such setting, or a law cannot be made or changed now.
        """
        wanted = self.check(changes)
        if wanted != self.run:
            self.steering.change(wanted, now_s, self.observer.rates.recent(1.0))
            self.telling.segment(
                self.run_id, "changed: " + ", ".join(f"{key} {value}" for key, value in changes.items())
            )

    def check(self, changes: dict[str, Any], *, lower: bool = False) -> RunSettings:
        """Give the settings that `set` would make of these changes, or raise as it would; with `lower`, also where one rises."""
        settable.check(changes)
        if lower:
            settable.check_lower(changes, asdict(self.run))
        wanted = replace(self.run, **changes)
        if wanted.observes is not self.run.observes and self.state not in (S.OFF, S.STANDBY, S.SAFE):
            # Law monitor commands nothing: under it a descent would not be followed to its end.
            raise StateError(
                f"the law cannot change to or from monitor while the energy state is '{self.state.label}'; "
                "stop the run and wait until it is safe"
            )
        ceilings.check(wanted.v_ceiling_v, wanted.energy_ceiling_pj, self.settings.rig)
        if wanted.energy_pj != self.run.energy_pj:
            self.steering.energy.check(wanted.energy_pj, wanted.energy_ceiling_pj)
        return wanted

    # One step.

    def _step(self, inputs: Inputs, now_s: float, *, whole: bool) -> Decision:
        self.lookout.take(inputs, now_s)
        self.observer.take(inputs, self._modelled)
        self.wiring.take(inputs, now_s, commanding=not self.run.observes)
        if self.state is S.OFF and not self.run.observes:
            self.movement.find(inputs, now_s)
        found = self.lookout.look()
        self.movement.apply(found, inputs, now_s)
        for what in self.lookout.marks():
            self.telling.segment(self.run_id, what)
        if whole:
            self.observer.observe(inputs, self.run.pulse_rate_hz, self.movement.light)
        observes = self.run.observes
        plan = self._watch(now_s) if observes else self._planner.plan(self.lookout.view(), whole=whole)
        if not observes:
            causes = [finding.cause for effect, finding in found if effect >= Effect.RAMP_DOWN]
            plan = self._wire(plan, causes, now_s, whole=whole)
        if self.state in ENERGISED and not self.run.observes:
            self.movement.model.advance(self.steering.command_v, now_s)
        self.telling.tell(self.run_id)
        self._release_run()
        return replace(
            plan,
            sample=self._sample(now_s) if whole else None,
            events=(*self.alarms.events(), *self.wiring.events()),
        )

    def _wire(self, plan: Decision, causes: list[str], now_s: float, *, whole: bool) -> Decision:
        """Add what hangs on the guard beside the specimen."""
        descent = self.movement.descent
        # A specimen that cannot be verified keeps the detector's supplies up no longer than its own way down should take.
        verified = self.state in DOWNWARD and (self.verified or now_s > descent.by_s)
        quick = self.state in DOWNWARD and descent.quick
        self.wiring.follow(causes, self.state, quick=quick, verified=verified)
        return self.wiring.complete(plan, whole=whole)

    @property
    def _modelled(self) -> SupplyModel | None:
        """Where the supply should be by what it was commanded; None where nothing is commanded from here."""
        return self.movement.model if self.state in ENERGISED and not self.run.observes else None

    def _watch(self, now_s: float) -> Decision:
        """Law monitor: command nothing; a run that nobody records any more is no longer watched."""
        if self.state is S.EVAPORATING and self.lookout.link_lost:
            self.run_end("acquire is gone", now_s)
        return Decision(state=self.state)

    def _release_run(self) -> None:
        carries = self.state in ENERGISED or (self.state in DOWNWARD and not self.verified)
        if self.run_id and not carries and (self.run_over or self.lookout.link_lost):
            self.run_id = ""

    def _not_observing(self) -> None:
        if self.run.observes:
            raise StateError("law monitor commands nothing: there is nothing to inhibit or hold from here")

    def _sample(self, now_s: float) -> LoopSample:
        return loop_sample(
            now_s=now_s,
            state=self.state,
            inputs=self.lookout.inputs,
            steering=self.steering,
            observer=self.observer,
            commanding=not self.run.observes and (self.state in ENERGISED or self.state in DOWNWARD),
            closest=self.lookout.closest(),
        )
