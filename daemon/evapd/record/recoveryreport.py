"""What recovery found in a run: for run.json, for programs, and in words for people."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from evapd.record.run import utc_text
from evapd.units import US_PER_S

_MOST_LINES = 200  # of missing ranges in the text; run.json names more


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What recovery found in one run folder."""

    run: str
    changed: bool  # False: the run had been closed before
    state: str  # the state in which the run was found
    acquire: dict[str, Any] = field(default_factory=dict)  # JournalReport.as_dict of acquire's journal
    guard: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    ends: dict[str, dict[str, int]] = field(default_factory=dict)  # by process: its last time and pulse
    regained: int = 0  # frames that the second copy gave back
    pending: bool = False  # closed in haste: the frames are still to be counted
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
            "regained": self.regained,
            "pending": self.pending,
            "problem": self.problem,
            "ends": self.ends,
            "acquire": self.acquire,
            "guard": self.guard,
        }

    def __str__(self) -> str:
        if self.problem:
            return f"run {self.run} was not recovered: {self.problem}"
        if not self.changed:
            return f"run {self.run} had been closed before ({self.state}); nothing was changed"
        if self.pending:
            return f"run {self.run} closed; its frames are counted when the machine has time"
        lost = "; ".join(self.lost) or "nothing that was written is missing"
        frames = self.acquire.get("frames", 0) + self.guard.get("frames", 0)
        back = f", {self.regained} of them from the second copy" if self.regained else ""
        return f"run {self.run} recovered: {frames} frames{back}, {self.counters.get('hits', 0)} hits; {lost}"

    def text(self) -> str:
        """Give the whole report for people."""
        return "\n".join([str(self), "", *self._counts(), "", *self._missing(), "", *self._behind()]) + "\n"

    def _counts(self) -> Iterator[str]:
        for name, report in (("acquire", self.acquire), ("guard", self.guard)):
            topics = ", ".join(f"{count} {topic}" for topic, count in report.get("per_topic", {}).items())
            yield (
                f"{name}: {report.get('segments', 0)} segments, {report.get('frames', 0)} whole frames, "
                f"{report.get('bytes', 0)} bytes ({topics or 'nothing'})"
            )
            if end := self.ends.get(name):
                yield f"{name}: the last frame is of {utc_text(end['t_utc'])}, pulse {end['pulse']}"
            yield from (f"{name}: {problem}" for problem in report.get("problems", [])[:_MOST_LINES])
        yield f"hits {self.counters.get('hits', 0)}, words {self.counters.get('words', 0)}, pulses {self.counters.get('pulses', 0)}"

    def _missing(self) -> Iterator[str]:
        ranges = [
            f"{name}: {one['topic']} of instance {one['instance']}: frames {one['first']} to {one['last']} are missing"
            for name, report in (("acquire", self.acquire), ("guard", self.guard))
            for one in report.get("missing", [])
        ]
        yield from ranges[:_MOST_LINES] or ["no frame is missing between two that are there"]
        if len(ranges) > _MOST_LINES:
            yield f"and {len(ranges) - _MOST_LINES} ranges more, in run.json"

    def _behind(self) -> Iterator[str]:
        acquire, guard = self.ends.get("acquire", {}), self.ends.get("guard", {})
        if acquire.get("t_mono_us") and guard.get("t_mono_us"):
            behind_s = (guard["t_mono_us"] - acquire["t_mono_us"]) / US_PER_S
            yield f"the guard's record ends {behind_s:+.3f} s after acquire's"
        yield "frames that were on their way to the disk when the process died are not counted here: no number tells of them"
