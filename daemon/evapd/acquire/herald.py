"""Tells everybody how things stand, on a thread of its own: beat twice a second, state at changes and once a second."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from evapd.acquire.bus import Bus

_log = logging.getLogger(__name__)
LOOK_S = 0.2
BEAT_S = 0.5
STATE_S = 1.0


class Herald:
    """Publishes beats and states until it is stopped."""

    def __init__(self, bus: Bus, status: Callable[[], dict[str, Any]]) -> None:
        self._bus, self._status = bus, status
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="herald", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after a last state and two beats: the second one shows who lacks what the first one announced."""
        self._ending.set()
        self._thread.join(2.0)
        self._bus.state(brief(self._status()))
        self._bus.beat()
        self._bus.beat()

    def _run(self) -> None:
        told: object = None
        due_beat_s = due_state_s = 0.0
        while not self._ending.wait(LOOK_S):
            now_s = time.monotonic()
            content = brief(self._status())
            key = (content["run_state"], content["energy_state"], tuple(content["alarms"]))
            if key != told or now_s >= due_state_s:
                self._bus.state(content)
                told, due_state_s = key, now_s + STATE_S
            if now_s >= due_beat_s:
                self._bus.beat()
                due_beat_s = now_s + BEAT_S


def brief(status: dict[str, Any]) -> dict[str, Any]:
    """The part of the status that displays need all the time."""
    guard = status["guard"] or {}
    keep = (
        "instance",
        "run_state",
        "run",
        "finalising",
        "hits",
        "pulses",
        "words",
        "rate_per_pulse",
        "losses",
        "time_sums",
        "alarms",
    )
    from_guard = ("v_dc_v", "v_dc_set_v", "v_p_v", "law", "target_rate", "pulse_fraction", "clamped")
    return (
        {key: status[key] for key in keep}
        | {key: guard.get(key) for key in from_guard}
        | {"energy_state": guard.get("energy_state", "unknown")}
    )
