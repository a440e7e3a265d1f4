"""Alarms: what is wrong now, and what was wrong and waits for a person."""

from dataclasses import dataclass
from typing import Any

from evapd.guard.rules.base import LASTING, Effect, Finding, Rule
from evapd.guard.types import Event, Severity


def asked_for(rule: Rule, finding: Finding) -> Effect:
    """Give what a finding asks for: the rule's own effect, unless the configuration wants another."""
    return rule.effect if finding.effect is None else finding.effect


def _severity(effect: Effect) -> Severity:
    return "alarm" if effect >= Effect.HOLD else "warning"


OVER = "(over, not acknowledged)"
"""Ends the text of an alarm whose cause is over."""


@dataclass(slots=True)
class _Alarm:
    what: str
    active: bool
    latch: bool
    effect: Effect
    seen_s: float  # when its cause was there last


class Alarms:
    """Keeps one alarm per rule; gives an event when one begins and when one is over."""

    def __init__(self) -> None:
        self._alarms: dict[str, _Alarm] = {}
        self._events: list[Event] = []

    def note(self, rule: Rule, finding: Finding | None, now_s: float, *, acted: bool) -> None:
        """Take in what a rule found in this tick; `acted` is False under law monitor, where nothing is commanded."""
        present = self._alarms.get(rule.name)
        if finding is not None and rule.momentary:
            self._tell(rule, finding, acted=acted)
        elif finding is not None:
            effect = asked_for(rule, finding)
            if present is None or not present.active or effect > max(present.effect, LASTING):
                present = _Alarm(finding.what, active=True, latch=rule.latch, effect=effect, seen_s=now_s)
                self._alarms[rule.name] = present
                self._tell(rule, finding, acted=acted)
            present.seen_s, present.effect = now_s, effect
        elif present is not None and present.active and not self._lasts(rule, present, now_s):
            self._say("rule", "info", f"over: {present.what}", rule=rule.name, effect="none")
            present.active = False
            if not present.latch:
                del self._alarms[rule.name]

    def lasting(self, rule: Rule) -> bool:
        """Whether the alarm of a rule is still there, though it may find nothing any more."""
        present = self._alarms.get(rule.name)
        return present is not None and present.active

    @staticmethod
    def _lasts(rule: Rule, alarm: _Alarm, now_s: float) -> bool:
        return alarm.effect <= LASTING and 0.0 <= now_s - alarm.seen_s < rule.lasts_s

    def _tell(self, rule: Rule, finding: Finding, *, acted: bool) -> None:
        effect = asked_for(rule, finding)
        severity = _severity(effect)
        what = effect.name.lower() if acted else "none: law monitor"
        self._say(rule.kind, severity, finding.what, rule=rule.name, effect=what, **finding.details)

    def acknowledge(self) -> int:
        """Forget what is over; gives how many alarms were forgotten."""
        over = [name for name, alarm in self._alarms.items() if not alarm.active]
        for name in over:
            del self._alarms[name]
        return len(over)

    def texts(self) -> list[str]:
        """Give every alarm in words, oldest first."""
        return [
            f"{name}: {alarm.what}" + ("" if alarm.active else f" {OVER}")
            for name, alarm in self._alarms.items()
        ]

    def documents(self) -> list[dict[str, Any]]:
        """Give every alarm for programs, oldest first; not `active`: its cause is over, and it waits for a person."""
        return [
            {
                "name": name,
                "severity": _severity(alarm.effect),
                "what": alarm.what,
                "active": alarm.active,
                "latch": alarm.latch,
                "effect": alarm.effect.name.lower(),
            }
            for name, alarm in self._alarms.items()
        ]

    def events(self) -> list[Event]:
        """Give the events since the last call."""
        events, self._events = self._events, []
        return events

    def say(self, kind: str, severity: Severity, what: str, **details: object) -> None:
        """Add an event that is no alarm."""
        self._say(kind, severity, what, **details)

    def _say(self, kind: str, severity: Severity, what: str, **details: object) -> None:
        self._events.append(Event(kind=kind, severity=severity, what=what, details=details))
