"""Runs that an earlier process left without their `.nxs` file: finalised one at a time, while nothing else is to be done."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

from evapd.acquire.finaliser import Finaliser
from evapd.record.run import list_runs


class Backlog:
    """Each run that is waiting gets one attempt per start of the process, in the niced child that every run gets.

    A run that begins interrupts it: the machine belongs to the run, and the interrupted one is done again afterwards.
    `tell` takes kind, severity and text of an event.
    """

    def __init__(self, runs: Path, tell: Callable[[str, str, str], None]) -> None:
        self._waiting = deque(unfinalised(runs))
        self._tell = tell
        self._present: Finaliser | None = None

    @property
    def progress(self) -> float | None:
        """Part done of the present one, 0 before it begins, None when nothing is left."""
        if self._present is not None:
            return self._present.progress
        return 0.0 if self._waiting else None

    def tick(self) -> None:
        """Begin the next one, or see whether the present one is done."""
        if self._present is None:
            self._begin()
            return
        done = self._present.poll()
        if done is None:
            return
        present, self._present = self._present, None
        if done:
            self._tell("run", "info", f"finalised in {present.run_folder}, which an earlier process had left")
        else:
            self._failed(present.run_folder, present.error)

    def pause(self) -> None:
        """End the present one at once; it is done again from its beginning."""
        if self._present is not None:
            self._present.kill()
            self._waiting.appendleft(self._present.run_folder)
            self._present = None

    def _begin(self) -> None:
        if not self._waiting:
            return
        folder = self._waiting.popleft()
        left = f", {len(self._waiting)} more are waiting" if self._waiting else ""
        self._tell("run", "info", f"finalising {folder.name}, which an earlier process has left{left}")
        try:
            self._present = Finaliser(folder)
        except OSError as error:
            self._failed(folder, str(error))

    def _failed(self, folder: Path, why: str) -> None:
        self._tell("finalise", "alarm", f"finalising failed: {why}; run `evapd export {folder}`")


def unfinalised(runs: Path) -> list[Path]:
    """List the runs that are closed, were to be finalised, and have no file; oldest first."""
    found = []
    for entry in list_runs(runs):
        info = entry.info
        if info is None or not info.finished or info.nexus is not None:
            continue
        if (info.configuration.get("record") or {}).get("finalise", True):
            found.append(entry.folder)
    return found
