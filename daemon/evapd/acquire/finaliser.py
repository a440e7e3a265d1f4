"""Finalising in a niced child process."""

import logging
import time
from pathlib import Path
from typing import Any

from evapd.acquire.chore import Chore

_log = logging.getLogger(__name__)
_LOG_S = 10.0
NO_SPACE = 75  # exit code of finalising: the disk is full, and it goes on where it stood when there is room


class Finaliser(Chore):
    """One child process that turns a run folder into its `.nxs` file; killed, the next one goes on where it stood."""

    def __init__(self, run_folder: Path) -> None:
        self._logged_s = time.monotonic()
        super().__init__("evapd.record.finalise", run_folder, on_line=self._note)

    @property
    def pace(self) -> dict[str, Any]:
        """Hits so far, hits per second and seconds that remain; None where it is too early to say."""
        return {key: self.result.get(key) for key in ("hits", "hits_per_s", "remaining_s")}

    @property
    def failure(self) -> str:
        """Why it failed and what comes next, in words."""
        if self.code == NO_SPACE:
            return f"finalising waits for room on the disk and is tried again by itself: {self.error}"
        return f"finalising failed: {self.error}; run `evapd export {self.run_folder}`"

    def _note(self, line: dict[str, Any]) -> None:
        now_s = time.monotonic()
        if now_s - self._logged_s < _LOG_S or line.get("remaining_s") is None:
            return
        self._logged_s = now_s
        _log.info(
            "finalising %s: %.0f %%, %.2f Mhit/s, %.0f s left",
            self.run_folder.name,
            100 * self.progress,
            (line.get("hits_per_s") or 0) / 1e6,
            line["remaining_s"],
        )
