"""What a metric is, and what it is read from: a snapshot of what the process knows anyway."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NAN = math.nan
Sample = tuple[tuple[str, ...], float]
"""Values of the labels, and the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything of one instant. What is missing is not known.

    Attributes:
        status: the reply of the command `status`; its `guard` is None while the guard is silent.
        counts: what the pipeline has counted since arming, by name.
        loop: the guard's newest row of the loop, by column; empty before the first.
        stream: what the publisher has counted.
        requests: control requests since the start by command and result.
        build: labels of the build.
        uptime_s: seconds since the process was made.
        scrape: what the endpoint counts of itself.
    """

    status: Mapping[str, Any]
    counts: Mapping[str, float] = field(default_factory=dict)
    loop: Mapping[str, float] = field(default_factory=dict)
    stream: Mapping[str, Any] = field(default_factory=dict)
    requests: Mapping[tuple[str, str], int] = field(default_factory=dict)
    build: Mapping[str, str] = field(default_factory=dict)
    uptime_s: float = NAN
    scrape: Mapping[str, float] = field(default_factory=dict)

    @property
    def guard(self) -> Mapping[str, Any]:
        """What the guard says; empty while it is silent."""
        return self.status.get("guard") or {}


Reader = Callable[[Snapshot], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: a row of docs/metrics.md.

    `absent` says what becomes of labels that were seen before and are no longer: `nan` they are not known now, `zero` it is
    over, `gone` they never come back.
    """

    name: str
    kind: Literal["gauge", "counter"]
    doc: str
    read: Reader
    labels: tuple[str, ...] = ()
    absent: Literal["nan", "zero", "gone"] = "nan"


def number(value: Any, scale: float = 1.0) -> float:
    """Give a number; what is none is not known, and never 0."""
    if isinstance(value, bool | int | float):
        return float(value) * scale
    return NAN


def within(content: Any, *path: str) -> Any:
    """Follow keys into nested mappings; None where they end."""
    for key in path:
        if not isinstance(content, Mapping):
            return None
        content = content.get(key)
    return content


def status(*path: str, scale: float = 1.0) -> Reader:
    """Read one number of the status."""
    return lambda snapshot: [((), number(within(snapshot.status, *path), scale))]


def guard(*path: str, scale: float = 1.0) -> Reader:
    """Read one number of what the guard says."""
    return lambda snapshot: [((), number(within(snapshot.guard, *path), scale))]


def count(name: str) -> Reader:
    """Read one number that the pipeline has counted."""
    return lambda snapshot: [((), number(snapshot.counts.get(name)))]


def loop(name: str, scale: float = 1.0) -> Reader:
    """Read one column of the guard's loop, where the guard answers."""
    return lambda snapshot: [((), number(snapshot.loop.get(name), scale) if snapshot.guard else NAN)]


def stream(name: str) -> Reader:
    """Read one number of the publisher."""
    return lambda snapshot: [((), number(snapshot.stream.get(name)))]


def by_key(take: Callable[[Snapshot], Any]) -> Reader:
    """Read a mapping of numbers: its keys are the label."""
    return lambda snapshot: [
        ((str(key),), number(value)) for key, value in dict(take(snapshot) or {}).items()
    ]


def one_of(states: tuple[str, ...], take: Callable[[Snapshot], Any]) -> Reader:
    """Read a state: 1 for the present one, 0 for the others, NaN for all when it is not known."""

    def read(snapshot: Snapshot) -> list[Sample]:
        present = take(snapshot)
        known = present in states
        return [((state,), float(state == present) if known else NAN) for state in states]

    return read
