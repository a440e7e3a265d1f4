"""The lookout: gathers what the rules look at, looks with each of them, keeps the alarms."""

from evapd.guard.movement import Movement
from evapd.guard.rules import Effect, Finding, View, make_rules
from evapd.guard.types import GuardSettings, Inputs, LinkView

_NOTHING = Inputs(devices={}, link=LinkView())


class Lookout:
    """Runs the rules over the newest inputs; what they ask for is done by `Movement`."""

    def __init__(self, settings: GuardSettings, movement: Movement) -> None:
        self._settings = settings
        self._movement = movement
        self._rules = make_rules()
        self._disconnects = 0
        self._now_s = 0.0
        self.inputs = _NOTHING

    @property
    def link_lost(self) -> bool:
        """Whether acquire is gone, or another one than the run began with is there."""
        link = self.inputs.link
        return not link.connected or link.disconnects != self._disconnects

    def take(self, inputs: Inputs, now_s: float) -> None:
        """Take in what is known now."""
        self.inputs, self._now_s = inputs, now_s

    def run_begins(self) -> None:
        """A run begins with the acquire that is there now."""
        self._disconnects = self.inputs.link.disconnects

    def look(self) -> list[tuple[Effect, Finding]]:
        """Look with every rule and note the alarms; gives what is asked for, which under law monitor is nothing."""
        view, found = self.view(), []
        for rule in self._rules:
            finding = None
            if view.state in rule.watches and (rule.observed or not view.run.observes):
                finding = rule.check(view)
            else:
                rule.forget()
            self._movement.alarms.note(rule, finding, acted=not view.run.observes)
            if finding is not None:
                found.append((rule.effect, finding))
        return [] if view.run.observes else found

    def view(self) -> View:
        """Give what the rules look at."""
        movement = self._movement
        return View(
            now_s=self._now_s,
            state=movement.state,
            settings=self._settings,
            run=movement.steering.run,
            inputs=self.inputs,
            rates=movement.observer.rates,
            model=movement.model,
            v_p_set_v=movement.steering.v_p_set_v,
            link_lost=self.link_lost,
            preparing=movement.preparing,
            adopted=movement.adopted,
            entered_s=movement.entered_s,
            pulsing_since_s=movement.pulsing_since_s,
            trips_s=tuple(movement.trips_s),
            down_by_s=movement.descent.by_s,
        )
