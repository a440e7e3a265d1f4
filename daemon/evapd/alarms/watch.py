"""From what the daemon says, and from its silence, to alarms. Pure: it is told the time and everything else."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evapd.alarms.catalogue import name_of
from evapd.alarms.escalation import Escalation
from evapd.alarms.model import Report
from evapd.config.alarms import Severity
from evapd.guard.rules.table import RULES

START_S = 30.0  # for a daemon that is being started
BEATS_S = 1.5  # three beats: a stream that said something within it is alive
OLD_S = 20.0  # events of before are told again when acquire begins anew
_EVENTS = 2_000
_QUIET = ("off", "standby", "safe")
_MOMENTARY = frozenset(rule.name for rule in RULES if rule.momentary)
_LATCHED = frozenset(rule.name for rule in RULES if rule.latch)
_RULES = frozenset(rule.name for rule in RULES)
_COMMAND = "command"
_GOOD = "GOOD"  # the flag of a run without a doubt


@dataclass(slots=True)
class _Peer:
    """What is known of acquire, or of the guard."""

    status: Mapping[str, Any] | None = None  # the newest, also when it is old
    heard_s: float | None = None
    instance: str = ""

    def silent_s(self, now_s: float, started_s: float, allowed_s: float) -> float | None:
        """For how long it has been silent for too long; None while it is not."""
        if self.heard_s is None:
            return now_s - started_s if now_s - started_s > max(allowed_s, START_S) else None
        return now_s - self.heard_s if now_s - self.heard_s > allowed_s else None


class Watch:
    """Feeds an escalation. For one thread; times are monotonic seconds."""

    def __init__(self, escalation: Escalation, silent_s: float, now_s: float) -> None:
        self._escalation, self._allowed_s, self._started_s = escalation, silent_s, now_s
        self.acquire, self.guard = _Peer(), _Peer()
        self._beat_s: float | None = None
        self._lasting: dict[
            str, tuple[str, float, bool]
        ] = {}  # by name: source, when last noted, whether it waits
        self._seen: OrderedDict[tuple[Any, ...], None] = OrderedDict()
        self._now_s = self._utc_s = now_s
        for alarm in escalation.alarms:
            if alarm.active or (alarm.lasting and alarm.waits):
                self._lasting[alarm.name] = (alarm.source, now_s, alarm.waits)

    # What is heard.

    def hear_acquire(self, status: Mapping[str, Any], asked_s: float, now_s: float, utc_s: float) -> None:
        """Take in acquire's status, which was asked for at `asked_s`."""
        self._at(now_s, utc_s)
        before, self.acquire.status, self.acquire.heard_s = self.acquire.status, status, now_s
        instance = str(status.get("instance", ""))
        if self.acquire.instance and instance != self.acquire.instance:
            run = _run_of(before)
            what = f"acquire has died and another has taken its place; {_what_of_run(before)}"
            self._note("acquire-restarted", "alarm" if run else "warning", what)
        elif before is not None:
            self._look_for_an_end(before, status)
        self.acquire.instance = instance
        self._level("acquire", status, asked_s, seen=False)

    def hear_guard(self, status: Mapping[str, Any], asked_s: float, now_s: float, utc_s: float) -> None:
        """Take in the guard's status, which was asked for at `asked_s`."""
        self._at(now_s, utc_s)
        before, self.guard.status, self.guard.heard_s = self.guard.status, status, now_s
        instance = str(status.get("instance", ""))
        if self.guard.instance and instance != self.guard.instance:
            was = str((before or {}).get("energy_state", "unknown"))
            what = f"the guard has died and another has taken its place; the energy state was {was}, it is {status.get('energy_state')}"
            self._note("guard-restarted", "warning" if was in _QUIET else "alarm", what)
        successor, self.guard.instance = self.guard.instance not in {"", instance}, instance
        self._level("guard", status, asked_s, seen=not successor)

    def hear_beat(self, alive_s: float | None) -> None:
        """Take in when the stream said something last."""
        self._beat_s = alive_s

    def hear_event(self, header: Mapping[str, Any], content: Any, now_s: float, utc_s: float) -> None:
        """Take in an event of the stream; what is old or was heard before changes nothing."""
        self._at(now_s, utc_s)
        if not isinstance(content, Mapping) or not self._is_new(header, content, now_s):
            return
        kind, severity, what = (str(content.get(key, "")) for key in ("kind", "severity", "what"))
        if kind == _COMMAND:
            self._hear_command(content)
            return
        rule = str(content.get("rule", ""))
        name = rule or name_of(kind)
        if severity in {"warning", "alarm"}:
            grave: Severity = "alarm" if severity == "alarm" else "warning"
            effect = str(content.get("effect", ""))
            source = str(content.get("source", "")) or "acquire"
            lasting = rule in _RULES and rule not in _MOMENTARY
            self._note(
                name, grave, what, source=source, effect=effect, lasting=lasting, waits=rule in _LATCHED
            )
        elif rule and what.startswith("over:"):
            if self._lasting.get(name, ("", 0.0, False))[2]:
                self._escalation.over(name, now_s)  # the guard lists it until somebody acknowledges
            else:
                self._over(name, seen=False)

    def hear_disk(self, free_bytes: float, reserve_bytes: float, now_s: float, utc_s: float) -> None:
        """Take in how much may still be written to the disk of the runs."""
        self._at(now_s, utc_s)
        room = f"{free_bytes / 1e9:.2f} GB are free on the disk of the runs, {reserve_bytes / 1e9:.2f} GB are its reserve"
        if free_bytes < reserve_bytes:
            self._note("disk-low", "alarm", room, lasting=True)
        elif free_bytes < 2.0 * reserve_bytes:
            self._note("disk-low", "warning", room, lasting=True)
        else:
            self._over("disk-low", seen=False)

    # What is not heard.

    def tick(self, now_s: float, utc_s: float) -> None:
        """Look for silence."""
        self._at(now_s, utc_s)
        silent_s = self.guard.silent_s(now_s, self._started_s, self._allowed_s)
        was = (self.guard.status or {}).get("energy_state", "not known")
        what = f"the guard has not answered for {silent_s or 0.0:.0f} s; the energy state was {was}"
        self._silence("guard-gone", silent_s is not None, what, waits=was not in _QUIET)
        silent_s = self.acquire.silent_s(now_s, self._started_s, self._allowed_s)
        beats = self._beat_s is not None and now_s - self._beat_s <= min(BEATS_S, self._allowed_s)
        gone = f"acquire has not answered for {silent_s or 0.0:.0f} s; {_what_of_run(self.acquire.status)}"
        run = bool(_run_of(self.acquire.status))
        self._silence("acquire-gone", silent_s is not None and not beats, gone, waits=run)
        self._silence("control-silent", silent_s is not None and beats, gone, waits=False)
        heard_s = max(self._beat_s or self._started_s, self._started_s)
        deaf = (
            silent_s is None
            and self.acquire.heard_s is not None
            and now_s - heard_s > max(self._allowed_s, 5.0)
        )
        self._silence(
            "stream-silent", deaf, "acquire answers, but its stream has been silent for seconds", waits=False
        )

    def failing(self, hook: str, why: str, now_s: float, utc_s: float) -> None:
        """Take in that a hook does not work."""
        self._at(now_s, utc_s)
        self._note("hook-failing", "alarm", f"the hook '{hook}' does not work: {why}", lasting=True)

    def working(self) -> None:
        """Take in that every hook works."""
        self._over("hook-failing", seen=False)

    # Within.

    def _at(self, now_s: float, utc_s: float) -> None:
        self._now_s, self._utc_s = now_s, utc_s

    def _note(
        self, name: str, severity: Severity, what: str, *, source: str = "alarms", effect: str = "", lasting: bool = False, waits: bool = False,
    ) -> None:  # fmt: skip
        report = Report(
            name=name,
            severity=severity,
            what=what,
            source=source,
            effect=effect,
            lasting=lasting,
            waits=waits,
        )
        self._escalation.note(report, self._now_s, self._utc_s)
        if lasting:
            self._lasting[name] = (source, self._now_s, waits)
        else:
            self._lasting.pop(name, None)

    def _over(self, name: str, *, seen: bool) -> None:
        if self._lasting.pop(name, None) is not None:
            self._escalation.over(name, self._now_s, seen=seen)

    def _silence(self, name: str, is_silent: bool, what: str, *, waits: bool) -> None:  # noqa: FBT001 - the condition is what is told
        if not is_silent:
            self._over(name, seen=False)
        elif name not in self._lasting:  # told once: its age says the rest
            self._note(
                name,
                "alarm",
                what,
                lasting=True,
                waits=waits,
                effect=self._guards_answer() if name == "acquire-gone" else "",
            )

    def _guards_answer(self) -> str:
        """What the guard does about an acquire that is gone."""
        state = str((self.guard.status or {}).get("energy_state", ""))
        return (
            "ramp_down"
            if state in {"ramping_down", "safe", "standby", "off"}
            else "inhibit"
            if state == "inhibited"
            else ""
        )

    def _level(self, source: str, status: Mapping[str, Any], asked_s: float, *, seen: bool) -> None:
        """Bring what is believed to be there into line with what the process says is there.

        A latched alarm leaves the list because a person has acknowledged it (`seen`), or because the process is another.
        """
        listed: set[str] = set()
        given = status.get("alarm_list")
        for one in given if isinstance(given, list) else ():
            if not isinstance(one, Mapping) or str(one.get("source", source)) != source:
                continue
            name, what = name_of(str(one.get("name", ""))), str(one.get("what", ""))
            severity: Severity = "warning" if one.get("severity") == "warning" else "alarm"
            waits = bool(one.get("latch"))
            listed.add(name)
            effect, active = str(one.get("effect", "")), bool(one.get("active", True))
            if active or name not in self._lasting:  # what came and went between two looks waits all the same
                self._note(name, severity, what, source=source, effect=effect, lasting=True, waits=waits)
            if not active:  # its cause is over, it waits for a person: the process still lists it
                self._escalation.over(name, self._now_s)
        for name, (whose, noted_s, waits) in list(self._lasting.items()):
            if whose == source and name not in listed and noted_s < asked_s:
                self._over(name, seen=waits and seen)

    def _look_for_an_end(self, before: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        ended = status.get("last_run")
        if not isinstance(ended, Mapping) or ended == before.get("last_run"):
            return
        given = ended.get("conditions")
        conditions = [str(one) for one in given if one != _GOOD] if isinstance(given, list) else []
        severity: Severity = "alarm" if "ABORTED" in conditions else "warning" if conditions else "info"
        what = f"run {ended.get('id')} has ended: {ended.get('end_reason')}"
        self._note("run-ended", severity, what + (f" ({', '.join(conditions)})" if conditions else ""))

    def _hear_command(self, content: Mapping[str, Any]) -> None:
        """A person who acknowledges at the guard has seen what is over."""
        if content.get("cmd") == "acknowledge" and content.get("ok") is True:
            by = f"{str(content.get('client') or 'somebody')[:64]}, at the guard"
            self._escalation.acknowledge(None, self._now_s, over_only=True, by=by)

    def _is_new(self, header: Mapping[str, Any], content: Mapping[str, Any], now_s: float) -> bool:
        at_us = header.get("t_mono_us")
        if not isinstance(at_us, int) or now_s - at_us / 1e6 > OLD_S:
            return False
        key = (at_us, *(str(content.get(name))[:200] for name in ("kind", "rule", "what")))
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _EVENTS:
            self._seen.popitem(last=False)
        return True


def _run_of(status: Mapping[str, Any] | None) -> str:
    """Name of the run that was under way, "" when there was none."""
    run = (status or {}).get("run")
    return (
        str(run.get("id", ""))
        if isinstance(run, Mapping) and (status or {}).get("run_state") != "finalising"
        else ""
    )


def _what_of_run(status: Mapping[str, Any] | None) -> str:
    run = _run_of(status)
    if status is None:
        return "it was never heard since this process was started"
    if not run:
        return "no run was under way"
    hits = status.get("hits")
    counted = f" ({hits:,d} hits)" if isinstance(hits, int) else ""
    return f"run {run} was under way{counted}: it is over, what was written is kept"
