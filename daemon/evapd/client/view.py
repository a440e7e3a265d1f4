"""The terminal view as a pure function: from what is known to what is shown.

What is old is shown as STALE, what is unknown as "unknown"; neither ever looks like a good value.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evapd.client.status import DeviceStatus, GuardStatus, Status

STALE_S = 2.0
_BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN = "unknown"
_GOOD = {"online", "running", "controlling", "holding", "ok", "idle"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the terminal shows of one moment; ages in seconds, rates in hits per live pulse."""

    control_address: str
    status: Status | None = None
    status_age_s: float = 0.0
    stream_age_s: float | None = None  # of the last beat; None before the first
    lost_frames: int = 0
    restarts: int = 0
    rates: tuple[float, ...] = ()
    events: tuple[str, ...] = ()
    waited_s: float = 0.0

    @property
    def stale(self) -> bool:
        """Whether the daemon has not answered for too long."""
        return self.status is not None and self.status_age_s > STALE_S


def render(view: View) -> RenderableType:
    """Draw a view."""
    if view.status is None:
        text = (
            f"waiting for evapd at {view.control_address} ({view.waited_s:.0f} s)\n"
            "is it running? start it with: evapd run CONFIG"
        )
        return Panel(Text(text), title="evapd", border_style="yellow")
    status = view.status
    parts: list[RenderableType] = []
    if view.stale:
        warning = f" STALE: no answer for {view.status_age_s:.0f} s; the values below are old "
        parts.append(Text(warning, style="bold white on red"))
    parts += [Text(plain(str(alarm)), style="bold red") for alarm in status.alarms]
    parts.append(_values(view, status))
    if status.devices:
        parts.append(_devices(status.devices, view.status_age_s))
    parts += [Text(plain(event), style="dim", no_wrap=True, overflow="ellipsis") for event in view.events]
    border = "red" if view.stale or status.alarms else "green"
    return Panel(Group(*parts), title=f"evapd · {plain(status.run_state)}", border_style=border)


def plain(text: str) -> str:
    """Replace what could steer a terminal; instruments and other programs may say anything."""
    return "".join(character if character.isprintable() else "?" for character in text)


def number(value: float | None, unit: str, digits: int = 1) -> str:
    """Write a value with its unit, or that it is unknown."""
    return _UNKNOWN if value is None else f"{value:,.{digits}f} {unit}".rstrip()


def sparkline(values: tuple[float, ...], top: float) -> str:
    """Draw values from 0 to `top` as a row of bars."""
    if top <= 0:
        return ""
    return "".join(_BARS[min(len(_BARS) - 1, max(0, int(value / top * len(_BARS))))] for value in values)


def _values(view: View, status: Status) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=8, style="cyan")
    table.add_column(ratio=1)
    style = "dim" if view.stale else ""
    for name, value in _lines(view, status):
        table.add_row(name, Text(plain(value), style=style))
    return table


def _lines(view: View, status: Status) -> Iterator[tuple[str, str]]:
    run, guard = status.run, status.guard
    if run is None:
        yield "run", "none"
    else:
        elapsed = _UNKNOWN if run.elapsed_s is None else clock(run.elapsed_s)
        yield "run", f"{run.id}  {elapsed}  segment {run.segment if run.segment is not None else _UNKNOWN}"
    if status.lease is not None:
        yield "lease", f"{status.lease.holder} ({status.lease.client}) commands"
    if guard is None:
        yield "energy", "unknown: the guard does not answer"
    else:
        yield "energy", f"{guard.energy_state}  law {guard.law or _UNKNOWN}"
        yield (
            "V_dc",
            f"{number(guard.v_dc_v, 'V')}  set {number(guard.v_dc_set_v, 'V')}  V_p {number(guard.v_p_v, 'V')}",
        )
    target = guard.target_rate if guard else None
    rate = _UNKNOWN if status.rate_per_pulse is None else f"{100 * status.rate_per_pulse:.3f} %"
    goal = "" if target is None else f" of {100 * target:.3f} % wanted"
    bars = sparkline(view.rates, 2 * target if target else max(view.rates, default=0.0))
    yield "rate", f"{rate}{goal}  {bars}"
    yield "counts", f"{status.hits:,d} hits  {status.pulses:,d} pulses  {status.words:,d} words"
    if guard is not None and (closeness := _closeness(guard)):
        yield "margins", closeness
    yield "losses", _losses(status.losses)
    yield "stream", _stream(view)


def _closeness(guard: GuardStatus) -> str:
    known = [(margin, name) for name, margin in guard.margins.items() if margin is not None]
    parts = [f"{name} {margin:.2f}" for margin, name in sorted(known)[:3]]
    chi = (guard.explosive or {}).get("chi")
    if isinstance(chi, int | float):
        ions = guard.explosive.get("smallest_transition_ions") if guard.explosive else None
        smallest = f", from {ions:,.0f} ions" if isinstance(ions, int | float) else ""
        parts.append(f"chi {chi:.2f}{smallest}")
    return "  ".join(parts)


def _losses(losses: dict[str, Any]) -> str:
    found = [
        f"{name} {' '.join(value) if isinstance(value, list) else value}"
        for name, value in losses.items()
        if value
    ]
    return ", ".join(found) or "none"


def _stream(view: View) -> str:
    if view.stream_age_s is None:
        alive = "no beat yet"
    elif view.stream_age_s > STALE_S:
        alive = f"STALE, last beat {view.stream_age_s:.0f} s ago"
    else:
        alive = "alive"
    lost = f"  {view.lost_frames:,d} frames lost on the way here" if view.lost_frames else ""
    restarts = f"  {view.restarts} restarts" if view.restarts else ""
    return alive + lost + restarts


def _devices(devices: dict[str, DeviceStatus], status_age_s: float) -> Table:
    table = Table(expand=True, box=None, header_style="cyan", padding=(0, 1))
    for name, width in (("device", 18), ("role", 11), ("state", 11), ("age", 10), ("last error", None)):
        table.add_column(name, no_wrap=True, width=width, ratio=None if width else 1)
    for name, device in devices.items():
        style = "" if device.state in _GOOD else "red"
        age = _UNKNOWN
        if device.age_s is not None:
            age_s = device.age_s + status_age_s
            age = f"{age_s:.1f} s" if age_s <= STALE_S else f"STALE {age_s:.0f} s"
        cells = (name, device.role, device.state, age, device.last_error or "")
        table.add_row(*(Text(plain(cell), style=style, overflow="ellipsis") for cell in cells))
    return table


def clock(seconds: float) -> str:
    """Write a duration as hours, minutes, seconds."""
    minutes, s = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{s:02d}"
