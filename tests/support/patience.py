"""How much a test of the whole daemon forgives a machine that does other work; the wall-clock suite forgives nothing."""

import os
from typing import Any

STRICT = os.environ.get("EVAPD_WALL_CLOCK") == "1"
ANSWER_S = 20.0  # for the answer to a command
_TIMES = 30.0
# A process that gets no core for a second is no silent instrument: with the shipped limits the run under test would end.
GUARD: dict[str, Any] = {} if STRICT else {"energy_timeout_s": 5.0, "device_timeout_s": 8.0}


def allowed_s(goal_s: float) -> float:
    """The goal itself in the wall-clock suite, much more elsewhere."""
    return goal_s if STRICT else _TIMES * goal_s
