"""How everything stands, as displays need it five times a second; with what the live analysis adds, a page needs nothing else."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from evapd.acquire.counts import Counts
from evapd.acquire.herald import brief
from evapd.live.rates import RateWindow
from evapd.live.service import finite

_LOOP = (
    "v_dc_v", "v_dc_set_v", "v_p_v", "v_p_set_v", "i_a", "rate", "log_rate", "log_rate_sd", "target_rate", "sensitivity",
    "pulse_energy_pj", "pulse_energy_set_pj", "margin", "margin_rule",
)  # fmt: skip
_VALUES = {  # by role: field of the reading, key for all values, key for the first one
    "vacuum": ("pressure_pa", "pressures_pa", "pressure_pa"),
    "temperature": ("temperature_k", "temperatures_k", "temperature_k"),
}
_GUARD = ("margins", "explosive", "target_now", "pulse_rate_hz", "verified_down", "settings", "mode")


class Display:
    """Gathers it. Called by one thread."""

    def __init__(
        self,
        status: Callable[[], dict[str, Any]],
        loop: Callable[[], dict[str, float]],
        counts: Callable[[], Counts],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._status, self._loop, self._counts, self._clock = status, loop, counts, clock
        self._rate = RateWindow()
        self._since: dict[str, tuple[str, float]] = {}

    def present(self) -> dict[str, Any]:
        """Give the keys of a `live.` document that do not come of hits."""
        status, now_s, counts = self._status(), self._clock(), self._counts()
        guard = status["guard"] or {}
        content = brief(status)
        self._rate.add(now_s, counts.live_pulses, counts.hits_window, counts.hits)
        loop = self._loop() if guard else {}
        return (
            content
            | {
                "run_state_s": self._lasted_s("run", str(content["run_state"]), now_s),
                "energy_state_s": self._lasted_s("energy", str(content["energy_state"]), now_s),
                "rate": self._rate.document(finite(guard.get("target_rate"))),
                "loop": {name: finite(loop.get(name)) for name in _LOOP}
                | {"age_s": now_s - loop["t_mono_us"] / 1e6 if "t_mono_us" in loop else None},
            }
            | {key: guard.get(key) for key in _GUARD}
            | {"lease": status.get("lease")}
            | instruments(status["devices"])
        )

    def _lasted_s(self, what: str, state: str, now_s: float) -> float:
        before, since_s = self._since.get(what, ("", now_s))
        if before != state:
            since_s = now_s
            self._since[what] = (state, since_s)
        return now_s - since_s


def instruments(devices: dict[str, Any]) -> dict[str, Any]:
    """Give pressures, temperatures, stage and the state of every device; a value is null where its device is unknown.

    `pressure_pa` and `temperature_k` are those of the first gauge and sensor of the rig file.
    """
    found: dict[str, Any] = {"pressure_pa": None, "temperature_k": None}
    found |= {"pressures_pa": {}, "temperatures_k": {}, "stage": {}, "devices": {}}
    for name, device in devices.items():
        found["devices"][name] = {key: device.get(key) for key in ("role", "state", "age_s", "last_error")}
        reading = device.get("reading") or {}
        known = device.get("state") != "unknown"
        if device.get("role") in _VALUES:
            field, key, first = _VALUES[device["role"]]
            for place, value in (reading.get(field) or {}).items():
                told = finite(value) if known else None
                if not found[key]:
                    found[first] = told
                found[key][f"{name}.{place}"] = told
        for axis, one in (reading.get("axes") or {}).items():
            found["stage"][f"{name}.{axis}"] = {
                "position_mm": finite(one.get("position_mm")) if known else None,
                "moving": one.get("moving") if known else None,
                "referenced": one.get("referenced") if known else None,
            }
    return found


def histories_of(document: dict[str, Any]) -> dict[str, float | None]:
    """Pick the quantities whose histories are kept, by name with unit."""
    return dict(_picked(document))


def _picked(document: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    rate, loop = document["rate"], document["loop"]
    yield "rate_per_pulse", rate["per_pulse"]
    yield "rate_error", rate["error"]
    yield "target_rate", rate["target"]
    yield "target_error", rate["target_error"]
    yield "hits_per_s", rate["hits_per_s"]
    for key in ("v_dc_v", "v_dc_set_v", "v_p_v", "pulse_energy_pj", "margin"):
        yield key, loop[key]
    for key, places in (("pressure_pa", "pressures_pa"), ("temperature_k", "temperatures_k")):
        yield key, document[key]
        yield from ((f"{key}.{name}", value) for name, value in document[places].items())
    for axis, one in document["stage"].items():
        yield f"stage_mm.{axis}", one["position_mm"]
    if document["uncorrelated"]:
        yield "uncorrelated", document["uncorrelated"]["recent"]["fraction"]
    if document["multiplicity"]:
        yield "multi_fraction", document["multiplicity"]["recent"]["multi_fraction"]
    main = ((document["spectrum"] or {}).get("main") or {}).get("recent")
    if main:
        yield "m_dm50", main["m_dm50"]
