"""Recovery: read what a process that died left behind, say to the frame what is missing, and close the run.

The journals are never altered. Recovering twice changes nothing.
"""

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evapd.errors import RecordError, StateError
from evapd.record.journal import JournalReport, read_journal, segments
from evapd.record.journal.sink import is_being_written
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, Condition, RunInfo, RunStore
from evapd.stream.frame import HITS, WORDS, Message

_log = logging.getLogger(__name__)
_FRAMES_PER_SIGN = 1000


@dataclass(slots=True)
class _Totals:
    """What the messages of a run add up to, and where they end."""

    hits: int = 0
    words: int = 0
    pulses: int = 0
    lossy_blocks: int = 0
    first_t_utc: int | None = None
    first_t_mono_us: int = 0
    last_t_utc: int | None = None
    last_t_mono_us: int = 0
    instance: str = ""

    def count(self, message: Message) -> None:
        header = message.header
        t_utc, t_mono_us = int(header.get("t_utc", 0)), int(header.get("t_mono_us", 0))
        if self.first_t_utc is None:
            self.first_t_utc, self.first_t_mono_us = t_utc, t_mono_us
        if self.last_t_utc is None or t_mono_us >= self.last_t_mono_us:
            self.last_t_utc, self.last_t_mono_us = t_utc, t_mono_us
        if message.topic == HITS:
            self.hits += int(header["n"])
            self.pulses += int(header["last_pulse"]) - int(header["first_pulse"]) + 1
            self.lossy_blocks += bool(header["loss"])
            self.instance = self.instance or str(header.get("instance", ""))
        elif message.topic == WORDS:
            self.words += int(header["n"])

    def counters(self) -> dict[str, int]:
        return {
            "hits": self.hits,
            "words": self.words,
            "pulses": self.pulses,
            "lossy_blocks": self.lossy_blocks,
        }


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What recovery found in one run folder."""

    run: str
    changed: bool  # False: the run had been closed before
    state: str  # the state in which the run was found
    acquire: dict[str, Any] = field(default_factory=dict)  # JournalReport.as_dict of acquire's journal
    guard: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    problem: str = ""  # why the run could not be recovered, where it could not

    @property
    def lost(self) -> list[str]:
        """Say in words what is known to be missing; empty when nothing is."""
        found = []
        for name, report in (("acquire", self.acquire), ("guard", self.guard)):
            if report.get("torn_bytes"):
                found.append(f"{name}: a torn frame of {report['torn_bytes']} bytes at the end of a segment")
            if report.get("damaged_bytes"):
                found.append(f"{name}: {report['damaged_bytes']} damaged bytes between whole frames")
            if report.get("missing_segments"):
                found.append(f"{name}: {report['missing_segments']} segments are missing")
            if report.get("undecodable"):
                found.append(f"{name}: {report['undecodable']} frames that this program cannot read")
            found += [
                f"{name}: {count} frames of {topic} missing"
                for topic, count in report.get("gaps", {}).items()
            ]
        return found

    def as_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "run": self.run,
            "changed": self.changed,
            "state": self.state,
            "counters": self.counters,
            "lost": self.lost,
            "problem": self.problem,
            "acquire": self.acquire,
            "guard": self.guard,
        }

    def __str__(self) -> str:
        if self.problem:
            return f"run {self.run} was not recovered: {self.problem}"
        if not self.changed:
            return f"run {self.run} had been closed before ({self.state}); nothing was changed"
        lost = "; ".join(self.lost) or "nothing that was written is missing"
        frames = self.acquire.get("frames", 0) + self.guard.get("frames", 0)
        return f"run {self.run} recovered: {frames} frames, {self.counters.get('hits', 0)} hits; {lost}"


def recover_run(run_folder: Path, alive: Callable[[], None] = lambda: None) -> RecoveryReport:
    """Close a run whose process died: count every frame, mark run.json, leave the journals as they are.

    A run.json that is missing or damaged is made anew from what the frames say; the damaged one is kept.
    `alive` is called every thousand frames: a journal of a day takes minutes to read.

    Raises:
        StateError: when a living process still writes the run.
        RecordError: when the folder is no run folder, or cannot be read or written.
    """
    store = RunStore(run_folder)
    if not run_folder.is_dir():
        raise RecordError(f"{run_folder} is not a run folder; `evapd runs` lists them")
    for segment in segments(store.journal, ACQUIRE_PREFIX)[-1:]:
        if is_being_written(segment):
            raise StateError(f"run {run_folder.name} is still being recorded; stop it before recovering it")
    info, damage = _load(store)
    if info is not None and info.finished:
        kept = info.recovery or {}
        return RecoveryReport(
            run=info.id,
            changed=False,
            state=info.state,
            acquire=kept.get("acquire", {}),
            guard=kept.get("guard", {}),
            counters=kept.get("counters", {}),
        )
    totals, acquire, guard = _Totals(), JournalReport(), JournalReport()
    messages = itertools.chain(
        read_journal(store.guard_journal, GUARD_PREFIX, guard),
        read_journal(store.journal, ACQUIRE_PREFIX, acquire),
    )
    for number, message in enumerate(messages):
        totals.count(message)
        if number % _FRAMES_PER_SIGN == 0:
            alive()
    report = RecoveryReport(
        run=run_folder.name,
        changed=True,
        state=info.state if info else damage,
        acquire=acquire.as_dict(),
        guard=guard.as_dict(),
        counters=totals.counters(),
    )
    if info is None:
        store.replace(_rebuilt(run_folder.name, totals))
    whole = acquire.whole and guard.whole and totals.lossy_blocks == 0
    store.change(lambda present: _closed(present, totals, report, whole=whole, rebuilt=info is None))
    _log.warning("%s", report)
    return report


def _load(store: RunStore) -> tuple[RunInfo | None, str]:
    try:
        return store.load(), ""
    except RecordError as error:
        if "newer evapd" in str(error):
            raise
        return None, str(error)


def _rebuilt(run: str, totals: _Totals) -> RunInfo:
    name = run.split("-", 1)[-1]
    return RunInfo(
        id=run,
        name=name,
        state="running",
        instance=totals.instance,
        t_start_utc=totals.first_t_utc or 0,
        t_start_mono_us=totals.first_t_mono_us,
    )


def _closed(
    info: RunInfo, totals: _Totals, report: RecoveryReport, *, whole: bool, rebuilt: bool
) -> dict[str, Any]:
    flags = [Condition.RECOVERED]
    # A run that died while it was being finalised had been closed in good order: its data are whole.
    if info.state != "finalising":
        flags.append(Condition.INTERRUPTED)
    if not whole or rebuilt:
        flags.append(Condition.INCOMPLETE)
    t_utc = totals.last_t_utc if totals.last_t_utc is not None else info.t_start_utc
    t_mono_us = totals.last_t_mono_us if totals.last_t_utc is not None else info.t_start_mono_us
    reason = info.end_reason or "the recording process ended before the run did"
    return {
        "state": "recovered",
        "conditions": info.with_conditions(*flags),
        "end_reason": reason,
        "t_end_utc": info.t_end_utc if info.t_end_utc is not None else t_utc,
        "t_end_mono_us": info.t_end_mono_us if info.t_end_mono_us is not None else t_mono_us,
        "counters": {**info.counters, "journal": report.counters},
        "states": (
            *info.states,
            {"state": "recovered", "t_mono_us": t_mono_us, "t_utc": t_utc, "reason": reason},
        ),
        "recovery": report.as_dict(),
    }


def recover_unfinished(runs: Path, alive: Callable[[], None] = lambda: None) -> list[RecoveryReport]:
    """Recover every run below `runs` that nobody closed and nobody is writing; a problem with one stops no other."""
    reports = []
    for folder in sorted(path for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []:
        try:
            report = recover_run(folder, alive)
        except StateError:
            continue  # alive: not ours to touch
        except (RecordError, OSError) as error:
            report = RecoveryReport(run=folder.name, changed=False, state="unknown", problem=str(error))
        if report.changed or report.problem:
            reports.append(report)
    return reports
