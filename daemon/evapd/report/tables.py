"""Lists and present states as text, for people at a terminal."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evapd.config.plugins import list_drivers
from evapd.record.run import RunEntry, list_runs

_WIDE = 200


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Lay rows out as a table, as wide as the terminal; into a pipe or file, as wide as it needs."""
    drawn = Table(box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold", no_wrap=column in {"name", "id", "state", "kind"})
    for row in rows:
        drawn.add_row(*(str(row.get(column, "")) for column in columns))
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get().rstrip()


def driver_rows() -> list[dict[str, str]]:
    """Describe every installed driver; one that cannot be loaded is listed with the reason."""
    return [
        {
            "name": driver.name,
            "kind": driver.protocol or "broken",
            "class": driver.target,
            "package": driver.package,
            "doc": driver.problem or driver.doc,
        }
        for driver in list_drivers()
    ]


def run_rows(runs: Path) -> list[dict[str, Any]]:
    """Describe the runs in a folder, oldest first; one that cannot be read is listed with its problem."""
    return [_run_row(entry) for entry in list_runs(runs)]


def _run_row(entry: RunEntry) -> dict[str, Any]:
    info = entry.info
    if info is None:
        return {"id": entry.folder.name, "state": "unreadable", "end": entry.problem}
    return {
        "id": info.id,
        "state": info.state,
        "flags": " ".join(info.conditions),
        "hits": info.counters.get("hits", ""),
        "pulses": info.counters.get("pulses", ""),
        "end": info.end_reason,
    }


def status_text(status: Mapping[str, Any]) -> str:
    """Describe the present state in a few lines."""
    run, guard = status.get("run"), status.get("guard")
    lines = [
        f"run state      {status['run_state']}" + (f", {run['id']}, {run['elapsed_s']:.1f} s" if run else "")
    ]
    if guard is None:
        lines.append("guard          does not answer")
    else:
        lines.append(
            f"energy         {guard['energy_state']}, law {guard['law']}, target {guard['target_rate']:g} hits per pulse"
        )
        lines.append(f"voltage        V_dc {_volts(guard.get('v_dc_v'))}, V_p {_volts(guard.get('v_p_v'))}")
        lines += closeness_lines(guard)
        lines += wiring_lines(guard.get("wiring") or {})
    lines.append(f"hits           {status['hits']:,d} in {status['pulses']:,d} pulses")
    losses = {key: value for key, value in status["losses"].items() if value}
    told = (f"{key} {' '.join(value) if isinstance(value, list) else value}" for key, value in losses.items())
    lines.append("losses         " + (", ".join(told) or "none"))
    if sums := status.get("time_sums"):
        lines.append(f"time sums      {time_sums_text(sums)}")
    for name, device in sorted(status["devices"].items()):
        age_s = device.get("age_s")
        age = "never read" if age_s is None else f"{age_s:.2f} s ago"
        lines.append(
            f"{name:14s} {device['state']}, {age}"
            + (f", {device['last_error']}" if device.get("last_error") else "")
        )
    lines += [f"ALARM          {alarm}" for alarm in status["alarms"]]
    return "\n".join(lines)


def closeness_lines(guard: Mapping[str, Any]) -> list[str]:
    """Describe how close the guard's rules are, the three closest first, and how explosive a transition would be."""
    known = {name: margin for name, margin in (guard.get("margins") or {}).items() if margin is not None}
    closest = sorted(known.items(), key=lambda item: item[1])[:3]
    lines = []
    if closest:
        lines.append("margins        " + ", ".join(f"{name} {margin:.2f}" for name, margin in closest))
    if explosive := guard.get("explosive"):
        lines.append(f"transitions    {explosive_text(explosive)}")
    return lines


def explosive_text(explosive: Mapping[str, Any]) -> str:
    """Describe the explosiveness in one line."""
    return (
        f"chi {explosive['chi']:.2f}, {explosive['word']}; "
        f"survivable from {explosive['smallest_transition_ions']:,.0f} ions at S {explosive['sensitivity']:.0f}"
    )


def wiring_lines(wiring: Mapping[str, Any]) -> list[str]:
    """Describe detector supplies, open contacts, crowbar, heartbeat, and what acts when the guard dies."""
    lines = []
    if detector := wiring.get("detector"):
        volts = ", ".join(f"{name} {_volts(one['v_v'])}" for name, one in detector["supplies"].items())
        waits = ", down after the specimen" if detector["waits_for_specimen"] else ""
        step = f" {detector['step']} of {detector['steps']}" if "ramping" in detector["state"] else ""
        lines.append(f"detector       {detector['state']}{step}{waits}: {volts}")
    if wiring.get("contacts"):
        bad = [contact["why"] for contact in wiring["contacts"].values() if not contact["well"]]
        lines.append("contacts       " + ("; ".join(bad) or "all are well"))
    if wiring.get("crowbar"):
        lines.append("crowbar        CLOSED, until it is acknowledged")
    if heartbeat := wiring.get("heartbeat"):
        lines.append(
            "heartbeat      " + ("beats" if heartbeat["beating"] else f"does not beat: {heartbeat['why']}")
        )
    if dead_man := wiring.get("dead_man"):
        lines.append("dead man       " + ("" if dead_man["exists"] else "WARNING: ") + dead_man["text"])
    return lines


def time_sums_text(sums: Mapping[str, Any]) -> str:
    """Describe how the time sums of the delay lines stand, in one line."""
    places = "".join(f", {name} {layer['position_ps']:+.0f} ps" for name, layer in sums["layers"].items())
    return f"{sums['state']}{places}, {100 * sums['fitting']:.0f} % of {sums['hits']:,d} lone pulses fit"


def _volts(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} V"
