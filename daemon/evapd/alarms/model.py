"""What an alarm is, and how a hook wants to be told. Pure; times are monotonic seconds, UTC is a label only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evapd.config.alarms import Hook, Severity

RANK: Mapping[str, int] = {"info": 0, "warning": 1, "alarm": 2}
NAME_CHARACTERS = 60
WHAT_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Somebody says that something is wrong, or was.

    `lasting` alarms go on until they are said to be over; others have happened. `waits`: also when it is over it stays until a
    person has seen it.
    """

    name: str
    severity: Severity
    what: str
    source: str = "alarms"
    effect: str = ""  # what the guard does about it, by the name of the effect
    lasting: bool = False
    waits: bool = False

    def tidy(self) -> "Report":
        """The same with bounded, printable texts."""
        return Report(
            name=_clean(self.name, NAME_CHARACTERS) or "unnamed",
            severity=self.severity if self.severity in RANK else "alarm",
            what=_clean(self.what, WHAT_CHARACTERS),
            source=_clean(self.source, NAME_CHARACTERS),
            effect=_clean(self.effect, NAME_CHARACTERS),
            lasting=self.lasting,
            waits=self.waits or not self.lasting,
        )


def _clean(text: str, most: int) -> str:
    text = text if len(text) <= most else text[: most - 3] + "..."
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)


@dataclass(slots=True)
class Told:
    """What one hook has said of one alarm."""

    last_s: float  # when it said last that something is wrong
    times: int  # how often the alarm had come then
    rank: int  # how severe it was then
    over: bool = False  # that it is over was said, or need not be


@dataclass(slots=True, kw_only=True)
class Alarm:
    """One alarm from its first coming until it is forgotten."""

    id: int
    name: str
    severity: Severity
    what: str
    source: str
    effect: str
    lasting: bool
    waits: bool
    began_s: float
    began_utc_s: float
    active: bool  # its cause is there
    times: int = 1
    over_s: float | None = None
    acknowledged_s: float | None = None
    acknowledged_by: str = ""  # as who asked called itself: noted, never believed
    told: dict[str, Told] = field(default_factory=dict)  # by hook
    earlier: dict[str, float] = field(
        default_factory=dict
    )  # when hooks spoke last of the same name, before this one

    @property
    def open(self) -> bool:
        """Whether it asks for a person: its cause is there, or nobody has seen that it was."""
        return self.acknowledged_s is None and (self.active or self.waits)

    def document(self, now_s: float) -> dict[str, Any]:
        """For programs."""
        return {
            "id": self.id,
            "name": self.name,
            "severity": self.severity,
            "what": self.what,
            "source": self.source,
            "effect": self.effect,
            "active": self.active,
            "times": self.times,
            "age_s": round(now_s - self.began_s, 3),
            "since_utc": self.began_utc_s,
            "over_for_s": None if self.over_s is None else round(now_s - self.over_s, 3),
            "open": self.open,
            "acknowledged": self.acknowledged_s is not None,
            "acknowledged_by": self.acknowledged_by,
            "acknowledged_for_s": None
            if self.acknowledged_s is None
            else round(now_s - self.acknowledged_s, 3),
            "told": sorted(self.told),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When one hook speaks."""

    name: str
    severity_min: Severity = "alarm"
    only: frozenset[str] = frozenset()
    delay_s: float = 0.0
    repeat_s: float | None = None
    quiet_s: float = 300.0
    max_per_hour: int = 20
    recovery: bool = True

    @staticmethod
    def of(name: str, hook: Hook) -> "Policy":
        """Read it from the configuration."""
        return Policy(
            name=name,
            severity_min=hook.severity_min,
            only=frozenset(hook.only),
            delay_s=hook.delay_s,
            repeat_s=hook.repeat_s,
            quiet_s=hook.quiet_s,
            max_per_hour=hook.max_per_hour,
            recovery=hook.recovery,
        )

    def concerns(self, alarm: Alarm) -> bool:
        """Whether this hook is for such an alarm."""
        return RANK[alarm.severity] >= RANK[self.severity_min] and (not self.only or alarm.name in self.only)


@dataclass(frozen=True, slots=True)
class Order:
    """What one hook is to say now: the first alarm in full, the others by name."""

    hook: str
    kind: Literal["alarm", "over"]
    alarms: tuple[int, ...]
