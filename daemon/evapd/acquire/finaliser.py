"""Finalising in a niced child process; its progress is read line by line."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO


class Finaliser:
    """One child process that turns a run folder into its `.nxs` file."""

    def __init__(self, run_folder: Path) -> None:
        self.run_folder = run_folder
        self.progress = 0.0
        self.error = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evapd.record.finalise", "--json", str(run_folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read_progress, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def poll(self) -> bool | None:
        """None while it works, then whether it succeeded."""
        code = self._process.poll()
        if code is None:
            return None
        for reader in self._readers:
            reader.join(1.0)
        return code == 0

    def kill(self) -> None:
        """End it; finalising can be done again later, the journal is untouched."""
        self._process.kill()
        self._process.wait(5.0)
        self.poll()

    def _read_progress(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                try:
                    self.progress = float(json.loads(line).get("progress", self.progress))
                except (ValueError, AttributeError, TypeError):
                    self.error = f"unexpected output: {line.strip()[:200]}"

    def _read_errors(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self.error = line.strip() or self.error  # the last line of a traceback says what it was
