"""The message that a person is woken with: what, since when, what the daemon does about it, what to do, how to acknowledge."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from evapd.alarms.catalogue import entry
from evapd.alarms.model import Alarm

TITLE_CHARACTERS = 79
TEXT_CHARACTERS = 6_000
_NAMED = 8
_DOES = {
    "no_rise": "voltage and pulse energy do not rise",
    "freeze": "the voltage is kept, the law is not asked",
    "inhibit": "pulses are stopped, the voltage is kept",
    "cut": "pulses are stopped and the voltage is drawn down by a part",
    "hold": "pulses are stopped, the voltage is lowered and waits for a person",
    "ramp_down": "pulses are stopped, the specimen is ramped down",
    "safe": "pulses are stopped, everything goes down by its quickest way and stays there until somebody acknowledges",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How things stand when the message is written. None is not known."""

    rig: str
    folder: str
    control: str  # address of the control socket, as it is reached from this machine
    energy_state: str | None = None
    v_dc_v: float | None = None
    energy_age_s: float | None = None
    run: str | None = None
    run_state: str | None = None
    hits: int | None = None

    @property
    def where(self) -> str:
        """This daemon and no other, as options of a command."""
        return f"--control {self.control} --folder {self.folder}"

    def energy(self) -> str:
        """In words."""
        if self.energy_state is None:
            return "not known: the guard does not answer"
        known = self.v_dc_v is not None and math.isfinite(self.v_dc_v)
        voltage = f"V_dc {self.v_dc_v:.0f} V" if known else "V_dc not known"
        age = (
            f", {self.energy_age_s:.0f} s ago"
            if self.energy_age_s is not None and self.energy_age_s >= 2
            else ""
        )
        return f"{self.energy_state}, {voltage}{age}"

    def running(self) -> str:
        """In words."""
        if self.run_state is None:
            return "not known: acquire does not answer" + (
                f"; the last one heard of was {self.run}" if self.run else ""
            )
        hits = "" if self.hits is None else f", {self.hits:,d} hits"
        return f"{self.run} ({self.run_state}{hits})" if self.run else f"none ({self.run_state})"


@dataclass(frozen=True, slots=True)
class Message:
    """Ready to be sent; `document` is what programs get."""

    title: str
    text: str
    document: dict[str, Any] = field(default_factory=dict)


def compose(kind: str, alarms: Sequence[Alarm], situation: Situation, now_s: float) -> Message:
    """Write the message about some alarms, the first in full; `kind` is alarm, over or test."""
    first, others = alarms[0], alarms[1:]
    about = entry(first.name)
    word = {"alarm": first.severity.upper(), "over": "OVER", "test": "TEST"}.get(kind, kind.upper())
    more = f" and {len(others)} more" if others else ""
    title = _shortened(f"[{situation.rig}] {word} {first.name}{more}: {first.what}", TITLE_CHARACTERS)
    names = ", ".join(alarm.name for alarm in others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
    lines = [
        f"{word} on {situation.rig}: {first.name}{more}",
        "",
        f"What:    {first.what}",
        f"Means:   {about.meaning}",
        f"Since:   {_utc(first.began_utc_s)}, {_duration(now_s - first.began_s)} ago{_times(first)}",
        f"Now:     {_present(first, now_s)}",
        f"Daemon:  {_DOES.get(first.effect) or 'has done nothing about it by itself'}",
        f"Energy:  {situation.energy()}",
        f"Run:     {situation.running()}",
        f"Do:      {about.advice}",
    ]
    if others:
        lines.append(f"Also:    {len(others)} more: {names}")
    if kind == "alarm":
        lines += [
            "",
            f"Acknowledge, so that nobody else is woken:  evapd alarms ack {first.id} --folder {situation.folder}",
            f"All of them, and silence for two hours:     evapd alarms ack all --for 2h --folder {situation.folder}",
            f"Bring everything down:                      evapd abort {situation.where}",
        ]
    text = _shortened("\n".join(lines), TEXT_CHARACTERS, keep="\n") + "\n"
    document = {
        "v": 1,
        "kind": kind,
        "title": title,
        "text": text,
        "severity": first.severity,
        "rig": situation.rig,
        "energy_state": situation.energy_state,
        "v_dc_v": situation.v_dc_v
        if situation.v_dc_v is not None and math.isfinite(situation.v_dc_v)
        else None,
        "run": situation.run,
        "run_state": situation.run_state,
        "alarms": [alarm.document(now_s) for alarm in alarms[:50]],
        "count": len(alarms),
    }
    return Message(title, text, document)


def _shortened(text: str, most: int, keep: str = "") -> str:
    """Make a text short and free of what could steer a terminal or a mail's header."""
    text = "".join(one if one.isprintable() or one in keep else " " for one in text[: 4 * most])
    return text if len(text) <= most else text[: most - 3] + "..."


def _present(alarm: Alarm, now_s: float) -> str:
    if alarm.active:
        return "it is still so"
    if not alarm.lasting:
        return "it has happened"
    ago = "" if alarm.over_s is None else f" since {_duration(now_s - alarm.over_s)}"
    return f"its cause is over{ago}" + (", it waits for a person who has seen it" if alarm.open else "")


def _times(alarm: Alarm) -> str:
    return "" if alarm.times == 1 else f", {alarm.times} times"


def _utc(utc_s: float) -> str:
    try:
        return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"


def _duration(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
