"""Everything that may be set or watched in one rig: type, unit, limits as this rig has them, present value, who sets it how."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_args

from evapd.config.model import Rig
from evapd.device.readings import HighVoltageReading, LaserReading, PulseAmplitudeReading, PulserReading
from evapd.rpc.arguments import RANGES, Law
from evapd.rpc.replies import EnergyStateName, RunStateName
from evapd.security.roles import Role

_UNITS = (  # of a reading, by the end of its name; the first that fits
    ("_v_per_s", "V/s"), ("_percent", "%"), ("_v", "V"), ("_a", "A"), ("_pa", "Pa"), ("_k", "K"), ("_hz", "Hz"),
    ("_pj", "pJ"), ("_mm", "mm"), ("_s", "s"),
)  # fmt: skip
_MOST = 500
_YES_OR_NO = frozenset(
    one.name
    for kind in (HighVoltageReading, PulserReading, PulseAmplitudeReading, LaserReading)
    for one in fields(kind)
    if one.type in (bool, bool | None)
)
Parameter = dict[str, Any]


def parameters(
    rig: Rig, guard: Mapping[str, Any] | None, acquire: Mapping[str, Any] | None
) -> list[Parameter]:
    """List the parameters of a rig.

    Args:
        rig: its configuration.
        guard: status of the guard; None while it does not answer, values are then null.
        acquire: status of acquire; None in the guard, which does not know it.
    """
    listed = [
        *_settings(rig, guard or {}),
        *_stage(rig, guard or {}),
        *_energy(rig, guard or {}),
        *(_run(acquire) if acquire is not None else ()),
        *_limits(rig),
        *_readings(guard or {}),
    ]
    return listed[:_MOST]


def _settings(rig: Rig, guard: Mapping[str, Any]) -> Iterator[Parameter]:
    settings = guard.get("settings", {})
    docs = {
        "target_rate": "the rate that the law holds",
        "pulse_fraction": "pulse amplitude as a part of V_dc; the amplitude keeps within what its supply can put out",
        "pulse_rate_hz": "pulses per second",
        "energy_pj": "energy of a laser pulse, at the specimen",
        "v_ceiling_v": "V_dc is not raised above, within what the rig file allows; a lower one brings the voltage down",
        "energy_ceiling_pj": "the energy of a laser pulse does not go above, within what the rig file allows",
    }
    laser = rig.pulse.mode == "laser"
    energies = (rig.pulse.energy_min_pj or 0.0, rig.pulse.energy_max_pj or math.inf)
    narrower = {
        "energy_pj": energies,
        "energy_ceiling_pj": energies,
        "v_ceiling_v": (0.0, rig.v_dc_highest_v),
    }
    for name, (least, most, unit) in RANGES.items():
        if name.startswith("energy_") and not laser:
            continue
        low, high = narrower.get(name, (least, most))
        yield _entry(
            name,
            "number",
            unit,
            docs[name],
            settings.get(name),
            low=max(low, least),
            high=min(high, most),
            sets=("set", name),
        )
    laws = [law for law in get_args(Law) if law != "ramp" or rig.control.ramp_v_per_s is not None]
    yield _entry(
        "law", "string", "", "control law; to or from `monitor` only while nothing is energised", settings.get("law"),
        choices=laws, sets=("set", "law"),
    )  # fmt: skip
    state = guard.get("energy_state")
    for name, doc in (
        ("hold", "pulses stopped, voltage lowered once and kept"),
        ("inhibit", "pulses stopped, voltage kept"),
    ):
        value = None if state is None else state == {"hold": "holding", "inhibit": "inhibited"}[name]
        yield _entry(name, "boolean", "", doc, value, sets=(name, "on"))


def _stage(rig: Rig, guard: Mapping[str, Any]) -> Iterator[Parameter]:
    axes: dict[str, Any] = {}
    for device in guard.get("devices", {}).values():
        if device.get("role") == "stage":
            axes |= (device.get("reading") or {}).get("axes", {})
    for axis in dict.fromkeys([*axes, *rig.stage.limits]):
        low, high = rig.stage.limits.get(axis, (None, None))
        place = axes.get(axis) or {}
        yield _entry(
            f"stage.{axis}_mm", "number", "mm", "position of an axis; in standby and safe, by small steps while aligning",
            place.get("position_mm"), low=low, high=high, sets=("stage_move", "mm"),
        )  # fmt: skip


def _energy(rig: Rig, guard: Mapping[str, Any]) -> Iterator[Parameter]:
    yield _entry(
        "energy_state", "string", "", "where the specimen's energy stands", guard.get("energy_state"),
        choices=list(get_args(EnergyStateName)),
    )  # fmt: skip
    for name, doc, high in (
        ("v_dc_v", "standing voltage, measured", rig.v_dc_highest_v),
        ("v_dc_set_v", "standing voltage, commanded", rig.v_dc_highest_v),
        ("v_p_v", "pulse amplitude at the specimen, measured", None),
        ("v_p_set_v", "pulse amplitude at the specimen, commanded", None),
    ):
        low = None if high is None else 0.0
        yield _entry(name, "number", "V", doc, guard.get(name), low=low, high=high)
    yield _entry(
        "target_now", "number", RANGES["target_rate"].unit, "the target as it is now, smaller for a while after a resume",
        guard.get("target_now"),
    )  # fmt: skip
    yield _entry("clamped", "boolean", "", "the amplitude is at its floor or ceiling", guard.get("clamped"))


def _run(acquire: Mapping[str, Any]) -> Iterator[Parameter]:
    run = acquire.get("run") or {}
    yield _entry(
        "run_state",
        "string",
        "",
        "what acquire is doing",
        acquire.get("run_state"),
        choices=list(get_args(RunStateName)),
    )
    yield _entry("run", "string", "", "name of the run's folder", run.get("id"))
    yield _entry("segment", "integer", "", "number of the present segment", run.get("segment"))
    yield _entry(
        "rate_per_pulse",
        "number",
        "hits per live pulse",
        "rate as the law sees it",
        acquire.get("rate_per_pulse"),
    )
    for name in ("hits", "pulses", "words"):
        yield _entry(name, "integer", "", "counted since arming", acquire.get(name), low=0)


def _limits(rig: Rig) -> Iterator[Parameter]:
    """Limits that only the rig file changes."""
    for section, name, unit, doc in (
        ("specimen", "v_dc_max_v", "V", "V_dc never stands above"),
        ("specimen", "v_tot_max_v", "V", "V_dc + V_p never stands above"),
        ("control", "v_start_v", "V", "the law begins here"),
        ("control", "v_min_v", "V", "the law never goes below"),
        ("control", "v_max_v", "V", "the law never goes above"),
        ("control", "max_slew_up", "1/s", "steepest rise of V_dc, relative"),
        ("control", "max_slew_down", "1/s", "steepest fall under the law, relative"),
        ("guard", "start_ramp_v_per_s", "V/s", "rise to v_start_v"),
        ("guard", "ramp_down_v_per_s", "V/s", "fall at the end of a run"),
        ("guard", "pressure_max_pa", "Pa", "above it the voltage comes down"),
        ("guard", "current_max_a", "A", "above it the voltage comes down at once"),
    ):
        value = getattr(getattr(rig, section), name)
        yield _entry(f"{section}.{name}", "number", unit, f"{doc}; set in the rig file", value)


def _readings(guard: Mapping[str, Any]) -> Iterator[Parameter]:
    for name, device in guard.get("devices", {}).items():
        doc = f"reading of the {device.get('role', '')}"
        yield _entry(f"devices.{name}.state", "string", "", "`online`, or why it is not", device.get("state"))
        for field, value in _flat(device.get("reading") or {}):
            unit = next(
                (unit for end, unit in _UNITS if field.split(".")[0].endswith(end) or field.endswith(end)), ""
            )
            yield _entry(f"devices.{name}.{field}", _type(field, value), unit, doc, value)


def _flat(reading: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in reading.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        elif key != "t_mono_s" and not isinstance(value, list | tuple):
            yield f"{before}{key}", value


def _type(field: str, value: object) -> str:
    if isinstance(value, bool) or (value is None and field in _YES_OR_NO):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _entry(
    name: str,
    kind: str,
    unit: str,
    doc: str,
    value: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: list[str] | None = None,
    sets: tuple[str, str] | None = None,
) -> Parameter:
    return {
        "name": name,
        "type": kind,
        "unit": unit,
        "doc": doc,
        "settable": sets is not None,
        "value": value,
        "min": low,
        "max": high if high is not None and math.isfinite(high) else None,
        "choices": choices,
        "command": sets[0] if sets else None,
        "argument": sets[1] if sets else None,
        "who": str(Role.OPERATE if sets else Role.READ),
    }
