"""When which hook speaks: the rules of escalation, in virtual time. Pure; docs/alarms.md says the same in words.

A hook has one message under way. When it is free it says everything that is due in one message, so that a flood of
alarms is one message with "and 37 more", and nothing is left out.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from evapd.alarms.model import RANK, Alarm, Order, Policy, Report, Told

GATHER_S = 5.0  # between two messages of one hook: what follows from one cause comes together
OVER_S = 10.0  # an alarm that is back by then was not over
RETRY_S = (5.0, 10.0, 20.0, 60.0, 120.0, 300.0)
HOUR_S = 3600.0
MOST_ALARMS = 250  # names come from outside, memory must not
REST = "further-alarms"
FORGET_S = 86_400.0


class _Line:
    """What one hook has done lately."""

    def __init__(self) -> None:
        self.under_way: tuple[Order, dict[int, tuple[int, int]]] | None = (
            None  # and times and rank of each alarm then
        )
        self.next_s = float("-inf")
        self.sent_s: deque[float] = deque()
        self.failures = 0


class Escalation:
    """Holds the alarms; says who is to be told what. For one thread."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._policies = {policy.name: policy for policy in policies}
        self._lines = {name: _Line() for name in self._policies}
        self._alarms: dict[str, Alarm] = {}  # by name
        self._silent: dict[str, float] = {}  # names that are not told until then
        self._next_id = 1
        self.changed = False
        """Whether there is something new to be kept; who keeps it sets it to False."""

    @property
    def alarms(self) -> list[Alarm]:
        """All that are known, the newest last."""
        return sorted(self._alarms.values(), key=lambda alarm: alarm.id)

    def by_id(self, number: int) -> Alarm | None:
        """Give one."""
        return next((alarm for alarm in self._alarms.values() if alarm.id == number), None)

    def failures(self, hook: str) -> int:
        """How many attempts of a hook have failed since its last success."""
        return self._lines[hook].failures

    def is_under_way(self, hook: str) -> bool:
        """Whether a message of a hook has not come to its end."""
        return self._lines[hook].under_way is not None

    # What happens.

    def note(self, report: Report, now_s: float, utc_s: float) -> Alarm:
        """Take in that something is wrong."""
        report = report.tidy()
        name = report.name if report.name in self._alarms or self._room(now_s) else REST
        alarm = self._alarms.get(name)
        if alarm is None or self._is_past(alarm, now_s):
            self.changed = True
            return self._begin(name, report, alarm, now_s, utc_s)
        came = not (alarm.active and report.lasting)
        self.changed |= came or (alarm.what, alarm.severity) != (report.what, report.severity)
        if came:
            alarm.times += 1
            alarm.over_s = None
        if RANK[report.severity] > RANK[alarm.severity]:
            alarm.severity = report.severity
            self._unsee(alarm)  # what was seen was not so bad
        alarm.what, alarm.effect = report.what, report.effect or alarm.effect
        alarm.waits = alarm.waits or report.waits
        alarm.active, alarm.lasting = report.lasting, report.lasting
        if not report.lasting:
            alarm.over_s = now_s
        return alarm

    def over(self, name: str, now_s: float, *, seen: bool = False) -> None:
        """Take in that the cause of an alarm is gone; `seen`: because a person has dealt with it."""
        alarm = self._alarms.get(name)
        if alarm is None:
            return
        if alarm.active:
            alarm.active, alarm.over_s, self.changed = False, now_s, True
        if seen:
            self._see(alarm, now_s)

    def acknowledge(
        self,
        number: int | None,
        now_s: float,
        for_s: float | None = None,
        *,
        over_only: bool = False,
        up_to: int | None = None,
        by: str = "",
    ) -> list[int]:
        """Take note that a person has seen one alarm, or all; gives which were.

        Args:
            number: of the alarm; None for all.
            now_s: the time.
            for_s: these names are told by nobody for so long, also when they come anew.
            over_only: leave out those whose cause is still there.
            up_to: leave out those of a higher number: they came after the list that the person has seen.
            by: who it was.
        """
        seen = []
        for alarm in self.alarms:
            later = up_to is not None and alarm.id > up_to
            if number not in (None, alarm.id) or (over_only and alarm.active) or later:
                continue
            if for_s is not None:
                self._silent[alarm.name] = now_s + for_s
            if alarm.acknowledged_s is None or for_s is not None:
                seen.append(alarm.id)
            self._see(alarm, now_s, by)
        return seen

    def delivered(self, hook: str, now_s: float, *, ok: bool) -> None:
        """Take in what came of the message that a hook had under way; what failed is due again."""
        line = self._lines[hook]
        if line.under_way is None:
            return
        order, then = line.under_way
        line.under_way, self.changed = None, True
        if not ok:
            line.next_s = now_s + RETRY_S[min(line.failures, len(RETRY_S) - 1)]
            line.failures += 1
            return
        line.failures, line.next_s = 0, now_s + GATHER_S
        line.sent_s.append(now_s)
        for number in order.alarms:
            alarm = self.by_id(number)
            if alarm is None:
                continue
            times, rank = then[number]
            if order.kind == "over":
                alarm.told[hook].over = True
            else:
                alarm.told[hook] = Told(now_s, times, rank)

    # What follows.

    def due(self, now_s: float) -> list[Order]:
        """Give what is to be said now, at most one message per hook; each counts as under way until `delivered`."""
        self._forget(now_s)
        orders = []
        for name, policy in self._policies.items():
            line = self._lines[name]
            if line.under_way is not None or now_s < line.next_s:
                continue
            order = self._order(policy, line, now_s)
            if order is not None:
                line.under_way = order, {n: self._as_now(n) for n in order.alarms}
                orders.append(order)
        return orders

    def _order(self, policy: Policy, line: _Line, now_s: float) -> Order | None:
        while line.sent_s and now_s - line.sent_s[0] >= HOUR_S:
            line.sent_s.popleft()
        left = policy.max_per_hour - len(line.sent_s)
        wrong = [alarm for alarm in self._alarms.values() if self._is_due(policy, alarm, now_s)]
        wrong.sort(key=lambda alarm: (-RANK[alarm.severity], alarm.id))
        # Half of the hour's messages are kept for alarms: warnings and good news must not use them up.
        grave = bool(wrong) and RANK[wrong[0].severity] >= RANK["alarm"]
        if left <= (0 if grave or policy.max_per_hour == 1 else policy.max_per_hour // 2):
            return None
        if wrong:
            return Order(policy.name, "alarm", tuple(alarm.id for alarm in wrong))
        over = [alarm.id for alarm in self.alarms if self._is_over_for(policy, alarm, now_s)]
        return Order(policy.name, "over", tuple(over)) if over else None

    def _is_due(self, policy: Policy, alarm: Alarm, now_s: float) -> bool:
        if not policy.concerns(alarm) or now_s < self._silent.get(alarm.name, now_s):
            return False
        told = alarm.told.get(policy.name)
        if told is None and self._is_wanted(policy, alarm):
            earlier_s = alarm.earlier.get(policy.name, float("-inf"))
            return now_s >= max(alarm.began_s + policy.delay_s, earlier_s + policy.quiet_s)
        if told is None or not alarm.open:
            return False
        if RANK[alarm.severity] > told.rank:
            return True
        if alarm.times > told.times and now_s >= told.last_s + policy.quiet_s:
            return True
        return policy.repeat_s is not None and now_s >= told.last_s + max(policy.repeat_s, GATHER_S)

    @staticmethod
    def _is_wanted(policy: Policy, alarm: Alarm) -> bool:
        """Whether an alarm that this hook has not told yet still matters: who is told at once hears also of what came and went."""
        return alarm.open or (policy.delay_s == 0.0 and alarm.acknowledged_s is None)

    def _is_over_for(self, policy: Policy, alarm: Alarm, now_s: float) -> bool:
        told = alarm.told.get(policy.name)
        if told is None or not self._owes_recovery(policy, alarm) or alarm.active or alarm.over_s is None:
            return False
        return now_s >= alarm.over_s + OVER_S and now_s >= self._silent.get(alarm.name, now_s)

    # Within.

    def _begin(self, name: str, report: Report, before: Alarm | None, now_s: float, utc_s: float) -> Alarm:
        earlier: dict[str, float] = {}
        if before is not None:
            earlier = before.earlier | {hook: told.last_s for hook, told in before.told.items()}
        alarm = Alarm(
            id=self._next_id, name=name, severity=report.severity, what=report.what, source=report.source, effect=report.effect, lasting=report.lasting,
            waits=report.waits, began_s=now_s, began_utc_s=utc_s, active=report.lasting,
            over_s=None if report.lasting else now_s, earlier=earlier,
        )  # fmt: skip
        self._next_id += 1
        self._alarms[name] = alarm
        return alarm

    @staticmethod
    def _unsee(alarm: Alarm) -> None:
        alarm.acknowledged_s, alarm.acknowledged_by = None, ""

    def _see(self, alarm: Alarm, now_s: float, by: str = "") -> None:
        if alarm.acknowledged_s is None:
            alarm.acknowledged_s, alarm.acknowledged_by, self.changed = now_s, by, True
        if not alarm.active:  # a person knows: nobody needs to be told that it is over
            for told in alarm.told.values():
                told.over = True

    def _as_now(self, number: int) -> tuple[int, int]:
        alarm = self.by_id(number)
        return (0, 0) if alarm is None else (alarm.times, RANK[alarm.severity])

    def _is_past(self, alarm: Alarm, now_s: float) -> bool:
        """Whether what comes now under this name is another alarm."""
        if alarm.active or alarm.open:
            return False
        return alarm.acknowledged_s is not None or alarm.over_s is None or now_s >= alarm.over_s + OVER_S

    def _room(self, now_s: float) -> bool:
        if len(self._alarms) >= MOST_ALARMS:
            self._forget(now_s)
        if len(self._alarms) >= MOST_ALARMS:
            closed = [alarm for alarm in self.alarms if not alarm.active and not alarm.open]
            for alarm in closed[: len(self._alarms) - MOST_ALARMS + 1]:
                del self._alarms[alarm.name]
        return len(self._alarms) < MOST_ALARMS

    def _forget(self, now_s: float) -> None:
        """Drop what has been over for a day, or what everybody knows to be over and nobody waits to say again."""
        longest_s = max((policy.quiet_s for policy in self._policies.values()), default=0.0)
        for alarm in list(self._alarms.values()):
            if alarm.active or alarm.over_s is None:
                continue
            age_s = now_s - alarm.over_s
            done = not alarm.open and not self._owes(alarm) and age_s >= max(longest_s, OVER_S)
            if done or age_s >= FORGET_S:
                del self._alarms[alarm.name]
                self.changed = True
        for name in [name for name, until_s in self._silent.items() if now_s >= until_s]:
            del self._silent[name]
            self._end_silence(name, now_s)

    def _end_silence(self, name: str, now_s: float) -> None:
        """What is still there begins anew; what came and went meanwhile counts as seen."""
        alarm, self.changed = self._alarms.get(name), True
        if alarm is not None and alarm.active:
            self._unsee(alarm)
            alarm.began_s = now_s
            alarm.earlier = {}
            alarm.told.clear()
        elif alarm is not None:
            self._see(alarm, now_s)

    def _owes(self, alarm: Alarm) -> bool:
        """Whether some hook still has something to say of an alarm that is over."""
        return any(
            self._owes_recovery(policy, alarm)
            if name in alarm.told
            else policy.concerns(alarm) and self._is_wanted(policy, alarm)
            for name, policy in self._policies.items()
        )

    @staticmethod
    def _owes_recovery(policy: Policy, alarm: Alarm) -> bool:
        return policy.recovery and alarm.lasting and not alarm.told[policy.name].over

    def silent_until_s(self, name: str) -> float | None:
        """Until when a name is told by nobody."""
        return self._silent.get(name)

    def state(self) -> dict[str, Any]:
        """Give everything that outlives the process; `evapd.alarms.keeping` writes it."""
        return {"next_id": self._next_id, "alarms": self._alarms, "silent": self._silent,
                "sent": {name: list(line.sent_s) for name, line in self._lines.items()}}  # fmt: skip

    def restore(
        self, next_id: int, alarms: Iterable[Alarm], silent: dict[str, float], sent: dict[str, list[float]]
    ) -> None:
        """Go on from what was kept; what a hook had under way is said again."""
        self._next_id = next_id
        self._alarms = {alarm.name: alarm for alarm in alarms}
        self._silent = dict(silent)
        for name, line in self._lines.items():
            line.sent_s = deque(sent.get(name, ()))
