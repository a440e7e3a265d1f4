"""The lookout: gathers what the rules look at, looks with each of them, keeps alarms and margins."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from evapd.guard.alarms import asked_for
from evapd.guard.explosive import Explosiveness, explosiveness
from evapd.guard.movement import Movement
from evapd.guard.rules import Effect, Finding, Rule, View, make_rules
from evapd.guard.rules.people import AWAY_S
from evapd.guard.types import GuardSettings, Inputs, LinkView
from evapd.guard.wiring import Wiring

_NOTHING = Inputs(devices={}, link=LinkView())


class Closest(NamedTuple):
    """The smallest margin of all rules that act; NaN and -1 when none can be told."""

    margin: float
    rule: int  # place in the table of rules


class Lookout:
    """Runs the rules over the newest inputs; what they ask for is done by `Movement`."""

    def __init__(self, settings: GuardSettings, movement: Movement, wiring: Wiring | None = None) -> None:
        self._wiring = wiring
        self._settings = settings
        self._movement = movement
        self._rules = make_rules()
        self._disconnects = 0
        self._now_s = 0.0
        self._before_s: float | None = None
        self._first_s: float | None = None
        self._gap_s = 0.0
        self._looked: View | None = None
        self._margins: dict[str, float | None] = {}
        self._marks: list[str] = []
        self._attended_s: float | None = None
        self.inputs = _NOTHING

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules, in the order of the table."""
        return tuple(rule.name for rule in self._rules)

    @property
    def link_lost(self) -> bool:
        """Whether acquire is gone, or another one than the run began with is there."""
        link = self.inputs.link
        return not link.connected or link.disconnects != self._disconnects

    def take(self, inputs: Inputs, now_s: float) -> None:
        """Take in what is known now."""
        self._gap_s = 0.0 if self._before_s is None else now_s - self._before_s
        self._first_s = now_s if self._first_s is None else self._first_s
        self.inputs, self._now_s, self._before_s = inputs, now_s, now_s

    def run_begins(self) -> None:
        """A run begins with the acquire that is there now, and nobody has attended it yet."""
        self._disconnects = self.inputs.link.disconnects
        self._attended_s = None

    def attend(self, now_s: float) -> bool:
        """Somebody is there; gives whether nobody was known to be before."""
        before_s, self._attended_s = self._attended_s, now_s
        return before_s is None or now_s - before_s >= AWAY_S

    def look(self) -> list[tuple[Effect, Finding]]:
        """Look with every rule and note the alarms; gives what is asked for, which under law monitor is nothing."""
        view = self.view()
        found: list[tuple[Effect, Finding]] = []
        self._looked = view
        self._margins = {}
        for rule in self._rules:
            finding = None
            if self._watched(rule, view):
                finding = rule.check(view)
            else:
                rule.forget()
            alarms = self._movement.alarms
            alarms.note(rule, finding, self._now_s, acted=not view.run.observes)
            if finding is None:
                if rule.effect is Effect.NO_RISE and alarms.lasting(rule):
                    found.append((rule.effect, Finding(rule.name)))
                continue
            if finding.mark:
                self._marks.append(finding.what)
            effect = asked_for(rule, finding)
            if effect > Effect.NOTE:
                found.append((effect, finding))
        return [] if view.run.observes else found

    def marks(self) -> list[str]:
        """Give what has begun another segment since the last call."""
        marks, self._marks = self._marks, []
        return marks

    def margins(self) -> Mapping[str, float | None]:
        """Give every rule's margin as of the last look, from 1 (far) to 0 (triggers), in the order of the table.

        None cannot be told, or is not watched in this state.
        """
        view = self._looked
        if not self._margins:  # told once per look, however many ask
            self._margins = {
                rule.name: rule.margin(view) if view is not None and self._watched(rule, view) else None
                for rule in self._rules
            }
        return self._margins

    def closest(self) -> Closest:
        """Give the rule that is closest to acting; one that only notes does not act."""
        closest = Closest(math.nan, -1)
        for index, (rule, margin) in enumerate(zip(self._rules, self.margins().values(), strict=True)):
            if margin is not None and rule.effect is not Effect.NOTE and not margin >= closest.margin:
                closest = Closest(margin, index)
        return closest

    def explosiveness(self) -> Explosiveness | None:
        """Give how explosive the expected transition would be at the present target; None while S is not known."""
        steering = self._movement.steering
        s = steering.proposal.sensitivity if steering.proposal is not None else None
        if self._settings.rig.pulse.actuator == "energy":
            s = None  # that of the energy, which says nothing of a transition of the field
        run = steering.run
        return explosiveness(self._settings.rig, s, run.target_rate, run.pulse_rate_hz)

    def view(self) -> View:
        """Give what the rules look at."""
        movement, steering = self._movement, self._movement.steering
        return View(
            now_s=self._now_s,
            state=movement.state,
            settings=self._settings,
            run=steering.run,
            inputs=self.inputs,
            rates=movement.observer.rates,
            model=movement.model,
            v_set_v=steering.v_set_v,
            v_p_set_v=steering.v_p_set_v,
            v_p_clamped=steering.clamped,
            proposal=steering.proposal,
            gap_s=self._gap_s,
            up_s=0.0 if self._first_s is None else self._now_s - self._first_s,
            attended_s=self._attended_s,
            frozen=movement.frozen,
            link_lost=self.link_lost,
            preparing=movement.preparing,
            adopted=movement.adopted,
            entered_s=movement.entered_s,
            pulsing_since_s=movement.pulsing_since_s,
            trips_s=tuple(movement.trips_s),
            down_by_s=movement.descent.by_s,
            wiring=self._wiring,
            light=movement.light,
            no_law=steering.pilot.exhausted,
            draw_down_load=steering.drawdown.load(self._now_s),
            enough_v=steering.enough_v,
        )

    @staticmethod
    def _watched(rule: Rule, view: View) -> bool:
        return view.state in rule.watches and (rule.observed or not view.run.observes)
