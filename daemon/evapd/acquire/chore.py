"""Work on finished runs in a niced child process; its progress is read line by line."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


class Chore:
    """One child process: a module of ours that takes a folder, prints a JSON object per line, and may be killed at any time.

    It ends by itself when this process does, however that comes about: see `evapd.record.chorechild`.
    """

    def __init__(
        self,
        module: str,
        run_folder: Path,
        *arguments: str,
        on_line: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        """Start it; `on_line` gets every object, on another thread.

        Raises:
            OSError: when no process can be made.
        """
        self.run_folder, self._on_line = run_folder, on_line
        self.progress = 0.0
        self.error = ""
        self.result: dict[str, Any] = {}  # the last object
        self.code: int | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evapd.record.chorechild", module, "--json", *arguments, str(run_folder)],
            stdin=subprocess.PIPE,
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
        self.code = self._process.poll()
        if self.code is None:
            return None
        for reader in self._readers:
            reader.join(1.0)
        if self._process.stdin is not None:
            self._process.stdin.close()
        return self.code == 0

    def kill(self) -> None:
        """End it; it can be done again later, the journal is untouched."""
        self._process.kill()
        self._process.wait(5.0)
        self.poll()

    def _read_progress(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                try:
                    self.result = dict(json.loads(line))
                    self.progress = float(self.result.get("progress", self.progress))
                    self._on_line(self.result)
                except (ValueError, AttributeError, TypeError):
                    self.error = f"unexpected output: {line.strip()[:200]}"

    def _read_errors(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self.error = line.strip() or self.error  # the last line of a traceback says what it was
