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
    lines.append(f"hits           {status['hits']:,d} in {status['pulses']:,d} pulses")
    losses = {key: value for key, value in status["losses"].items() if value and value != "0"}
    lines.append("losses         " + (", ".join(f"{key} {value}" for key, value in losses.items()) or "none"))
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


def time_sums_text(sums: Mapping[str, Any]) -> str:
    """Describe how the time sums of the delay lines stand, in one line."""
    places = "".join(f", {name} {layer['position_ps']:+.0f} ps" for name, layer in sums["layers"].items())
    return f"{sums['state']}{places}, {100 * sums['fitting']:.0f} % of {sums['hits']:,d} lone pulses fit"


def _volts(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} V"
