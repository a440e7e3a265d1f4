"""What finished runs still need: recovery, a whole second copy, the `.nxs` file; and what may go. One at a time, in idle hours."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evapd.acquire.chore import Chore
from evapd.acquire.finaliser import NO_SPACE, Finaliser
from evapd.config.record import Record
from evapd.record.recover import EXIT_BUSY, is_pending, written_by
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunEntry, RunStore, each_run, list_runs, read_entry
from evapd.record.runinfo import RunInfo
from evapd.record.secondcopy import copy_of

Kind = Literal["recover", "copy", "finalise"]
_LOOK_S = 0.005  # of a tick, for looking at runs: there may be thousands
_AGAIN_S = 600.0  # a copy whose disk was away
_BUSY_S = 5.0  # a run that the guard still writes
_PRUNE_S = 3600.0
_STEP_S = 3600.0  # a clock that was set by more says nothing of the age of a run


@dataclass(frozen=True, slots=True)
class Job:
    """One thing that one run needs."""

    kind: Kind
    folder: Path


class Backlog:
    """Works on finished runs in niced child processes while nothing else is to be done.

    Each job gets one attempt per start of the process; a second copy whose disk is away is tried again. A run that
    begins interrupts: the machine belongs to the run, and the interrupted job is done again afterwards. `tell` takes
    kind, severity and text of an event.
    """

    def __init__(
        self,
        runs: Path,
        tell: Callable[[str, str, str], None],
        record: Record | None = None,
        *,
        mono: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; the runs are looked at in `tick`, a few at a time."""
        self._runs, self._tell, self._record = runs, tell, record or Record()
        self._mono, self._utc = mono, utc
        self._began = (mono(), utc())
        self._looking: Iterator[RunEntry] | None = each_run(runs)
        self._waiting: deque[Job] = deque()
        self._tried: set[Job] = set()
        self._not_before: dict[Job, float] = {}
        self._present: tuple[Job | None, Chore] | None = None  # without a job: removing what rules allow
        self._prune_s = mono()  # when that is due
        self._prune_told = ""

    @property
    def progress(self) -> float | None:
        """Part done of the present job, 0 before it begins or while it is not known yet whether there is one, None when nothing is left."""
        if self._present is not None:
            return self._present[1].progress if self._present[0] is not None else None
        # A run that the guard still writes is recovered in seconds, and what follows from that is not listed yet.
        recovers = any(job.kind == "recover" for job in self._not_before)
        return 0.0 if self._waiting or self._looking is not None or recovers else None

    @property
    def pace(self) -> dict[str, Any] | None:
        """How fast the present finalising goes; None when there is none."""
        chore = self._present[1] if self._present is not None else None
        return chore.pace if isinstance(chore, Finaliser) else None

    def failed(self, finaliser: Finaliser) -> None:
        """Try a run's finalising again later, where a full disk was all that it failed for."""
        if finaliser.code == NO_SPACE:
            self._not_before[Job("finalise", finaliser.run_folder)] = self._mono() + _AGAIN_S

    @property
    def idle(self) -> bool:
        """Whether every run has been looked at and nothing is left to do now."""
        return self._looking is None and not self._waiting and self._present is None

    def tick(self) -> None:
        """Look at some runs, begin the next job, or see whether the present one is done."""
        if self._present is not None:
            self._watch(*self._present)
        elif self._looking is not None:
            self._look(self._looking)
        elif self._waiting:
            self._begin(self._waiting.popleft())
        elif due := [job for job, at_s in self._not_before.items() if self._mono() >= at_s]:
            del self._not_before[due[0]]
            self._waiting.append(due[0])
        elif self._record.retention.active and self._mono() >= self._prune_s:
            self._begin_pruning()

    def pause(self) -> None:
        """End the present job at once; it is done again from its beginning. Afterwards all runs are looked at anew."""
        if self._present is not None:
            job, chore = self._present
            chore.kill()
            self._present = None
            if job is not None:
                self._waiting.appendleft(job)
                self._tried.discard(job)
        self._looking = each_run(self._runs)

    def _look(self, entries: Iterator[RunEntry]) -> None:
        until_s = self._mono() + _LOOK_S
        for entry in entries:
            self._enlist(entry.folder, entry.info)
            if self._mono() >= until_s:
                return
        self._looking = None

    def _enlist(self, folder: Path, info: RunInfo | None) -> None:
        for kind in needs(info):
            job = Job(kind, folder)
            if job not in self._tried and job not in self._waiting and job not in self._not_before:
                self._waiting.append(job)

    def _begin(self, job: Job) -> None:
        if job.kind == "recover" and _is_written(job.folder):
            self._not_before[job] = self._mono() + _BUSY_S
            return
        self._tried.add(job)
        name, left = job.folder.name, f", {len(self._waiting)} more are waiting" if self._waiting else ""
        try:
            if job.kind == "finalise":
                self._tell("run", "info", f"finalising {name}, which an earlier process has left{left}")
                self._present = job, Finaliser(job.folder)
            elif job.kind == "recover":
                self._tell("run", "info", f"counting what the journals of {name} hold{left}")
                self._present = job, Chore("evapd.record.recover", job.folder, *self._second())
            else:
                self._present = job, Chore("evapd.record.secondcopy", job.folder)
        except OSError as error:
            self._failed(job, str(error))

    def _second(self) -> tuple[str, ...]:
        return ("--second", str(self._record.second_copy)) if self._record.second_copy is not None else ()

    def _watch(self, job: Job | None, chore: Chore) -> None:
        done = chore.poll()
        if done is None:
            return
        self._present = None
        if job is None:
            self._pruned(chore)
        elif done:
            self._done(job, chore)
        elif job.kind == "recover" and chore.code == EXIT_BUSY:
            self._not_before[job] = self._mono() + _BUSY_S
        elif isinstance(chore, Finaliser):
            self.failed(chore)
            self._tell("finalise", "alarm", chore.failure)
        else:
            self._failed(job, chore.error)

    def _done(self, job: Job, chore: Chore) -> None:
        if job.kind == "finalise":
            self._tell("run", "info", f"finalised in {job.folder}, which an earlier process had left")
        elif job.kind == "recover":
            lost = "; ".join(chore.result.get("lost", [])) or "nothing that was written is missing"
            self._tell("recovery", "info", f"{job.folder.name}: {lost}; see recovery.txt")
        else:
            mended = len(chore.result.get("mended", []))
            self._tell(
                "second copy", "info", f"{job.folder.name}: whole and compared, {mended} files copied anew"
            )
        # What is now known may ask for more: after the recovery a copy, after that the .nxs file.
        if job.kind != "finalise":
            self._tried.discard(Job("finalise", job.folder))
        self._looking = self._looking or iter([read_entry(job.folder)])

    def _failed(self, job: Job, why: str) -> None:
        if job.kind == "copy":
            self._not_before[job] = self._mono() + _AGAIN_S
            self._tell(
                "second copy", "alarm", f"{job.folder.name}: {why}; it is tried again every {_AGAIN_S:.0f} s"
            )
        elif job.kind == "recover":
            self._tell("recovery", "alarm", f"{job.folder.name}: {why}; run `evapd recover {job.folder}`")
        else:
            self._tell("finalise", "alarm", f"finalising failed: {why}; run `evapd export {job.folder}`")

    def _begin_pruning(self) -> None:
        self._prune_s = self._mono() + _PRUNE_S
        step_s = (self._utc() - self._began[1]) - (self._mono() - self._began[0])
        if abs(step_s) > _STEP_S:
            self._tell_once(
                f"the clock was set by {step_s / 3600:+.1f} h since the start: no journal is removed by rule until the "
                "daemon is started anew"
            )
            return
        rules = [
            f"--{name.replace('_', '-')}={value}"
            for name, value in self._record.retention.model_dump().items()
            if value is not None
        ]
        try:
            self._present = None, Chore("evapd.record.retention", self._runs, *rules, on_line=self._removed)
        except OSError as error:
            self._tell_once(str(error))

    def _removed(self, line: dict[str, object]) -> None:
        if line.get("what"):
            self._tell(
                "retention", "info", f"{line.get('run')}: {line.get('what')} removed: {line.get('why')}"
            )

    def _pruned(self, chore: Chore) -> None:
        if chore.code:
            self._tell_once(chore.error)

    def _tell_once(self, problem: str) -> None:
        if problem != self._prune_told:
            self._tell("retention", "warning", problem)
        self._prune_told = problem


def _is_written(folder: Path) -> bool:
    return any(written_by(RunStore(folder), prefix) for prefix in (ACQUIRE_PREFIX, GUARD_PREFIX))


def needs(info: RunInfo | None) -> Iterator[Kind]:
    """Give what a run still needs, in the order in which it is to be done."""
    if info is None:
        return
    if not info.finished or is_pending(info):
        yield "recover"
        return  # the rest follows from what it finds
    copied = info.second_copy is not None and info.second_copy.state == "whole"
    if copy_of(info) is not None and not copied and not info.pruned:
        yield "copy"
    if (
        info.nexus is None
        and not info.pruned
        and (info.configuration.get("record") or {}).get("finalise", True)
    ):
        yield "finalise"


def unfinalised(runs: Path) -> list[Path]:
    """List the runs that are closed, were to be finalised, and have no file; oldest first."""
    return [entry.folder for entry in list_runs(runs) if "finalise" in needs(entry.info)]
