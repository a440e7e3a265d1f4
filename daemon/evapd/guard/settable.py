"""What a person may change in a run, and between which values; the socket and the core hold to the same table."""

import math
from collections.abc import Mapping
from typing import Any

from evapd.control import LAWS
from evapd.errors import LimitError, StateError
from evapd.rpc.arguments import RANGES


def check(changes: Mapping[str, Any]) -> None:
    """Look at new settings before anything is changed.

    Raises:
        StateError: when a name or a law is not known.
        LimitError: when a value is no number or outside its range; the message gives the range.
    """
    for name, value in changes.items():
        if name == "law":
            if value not in LAWS:
                raise StateError(
                    f"there is no law '{value}', allowed are {', '.join(LAWS)}; nothing was changed"
                )
        elif name not in RANGES:
            known = ", ".join((*RANGES, "law"))
            raise StateError(f"there is no setting '{name}', allowed are {known}; nothing was changed")
        elif value is not None or not name.startswith("energy_"):
            _check_number(name, value)


def check_lower(changes: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    """Refuse changes that were to be lower and are not.

    Raises:
        LimitError: when one of them would raise a value, or is no number.
    """
    for name, value in changes.items():
        now = present.get(name)
        if isinstance(value, str) or value is None or (now is not None and value > now):
            raise LimitError(
                f"{name} is {now}, and {value} was asked for as a lower one; nothing was changed: look again"
            )


def _check_number(name: str, value: Any) -> None:
    low, high, unit = RANGES[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise LimitError(f"{name} is {value}, allowed is {low:g} to {high:g} {unit}; nothing was changed")
