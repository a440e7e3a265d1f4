"""The table of rules for people and programs; docs/safety.md holds it word for word, and a test compares."""

from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from evapd.config.model import Rig
from evapd.guard.rules.base import LASTING, Effect, Rule
from evapd.guard.rules.table import RULES

BEGIN = "<!-- evapd rules --markdown: begin -->"
END = "<!-- evapd rules --markdown: end -->"

_ACTIONS = {
    Effect.NOTE: "note",
    Effect.NO_RISE: "no rise",
    Effect.FREEZE: "freeze",
    Effect.INHIBIT: "inhibit",
    Effect.CUT: "cut",
    Effect.HOLD: "hold",
    Effect.RAMP_DOWN: "ramp down",
    Effect.SAFE: "make safe, latched",
}


def rows(rules: Iterable[type[Rule]] = RULES) -> list[dict[str, Any]]:
    """Give every rule in words: name, trigger, action, latch, release, thresholds with their defaults, meaning, advice."""
    return [
        {
            "name": rule.name,
            "trigger": rule.trigger,
            "action": rule.action or _ACTIONS[rule.effect],
            "latch": rule.latch,
            "release": rule.release,
            "lasts_s": _lasts_s(rule),
            "thresholds": {key: default_of(key) for key in rule.keys},
            "meaning": (rule.__doc__ or "").splitlines()[0],
            "advice": rule.advice,
        }
        for rule in rules
    ]


def markdown(rules: Iterable[type[Rule]] = RULES) -> str:
    """Give both tables of docs/safety.md: what each rule does, and what a person shall do."""
    lines = [
        "| rule | trigger | action | latch | release | thresholds and defaults |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    known = rows(rules)
    for row in known:
        thresholds = ", ".join(f"`{key}` {_written(value)}" for key, value in row["thresholds"].items())
        latch = "yes" if row["latch"] else ""
        release = row["release"] + (f"; alarm {row['lasts_s']:g} s longer" if row["lasts_s"] else "")
        lines.append(
            f"| `{row['name']}` | {row['trigger']} | {row['action']} | {latch} | {release} | {thresholds} |"
        )
    lines += ["", "| alarm | what it means | what to do |", "| --- | --- | --- |"]
    lines += [f"| `{row['name']}` | {row['meaning']} | {row['advice']} |" for row in known]
    return "\n".join(lines)


def default_of(key: str) -> Any:
    """Give the default of a key of `guard`, or of `section.key`; None where the rig must name it or it is off.

    Raises:
        KeyError: when there is no such key.
    """
    section, _, name = key.rpartition(".")
    annotation = Rig.model_fields[section or "guard"].annotation
    models = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type)]
    model = next(one for one in models if issubclass(one, BaseModel))
    default = model.model_fields[name].get_default(call_default_factory=True)
    return None if default is PydanticUndefined else default


def _lasts_s(rule: type[Rule]) -> float:
    return rule.lasts_s if rule.effect <= LASTING and not rule.momentary else 0.0


def _written(value: Any) -> str:
    if value is None:
        return "(set in the rig)"
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
