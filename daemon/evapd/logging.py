"""Set-up of the standard library's logging: one line per record, to standard error, off the caller's thread.

Under journald each line begins with its level as `<n>` (sd-daemon(3)) and the journal adds the time; elsewhere the
line carries UTC time and the process. Records pass through a queue, so that a terminal that does not read
cannot hold a control loop.
"""

import logging
import logging.handlers
import os
import queue
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class LineFormatter(logging.Formatter):
    """One line per record; a traceback follows on the same line, its lines joined by ` | `."""

    def __init__(self, process: str, *, journal: bool) -> None:
        """Name the process; `journal` chooses the form for journald."""
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self._process = process
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        text = record.getMessage()
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info)
        text = " | ".join(part.strip() for part in text.splitlines() if part.strip())
        if self._journal:
            return f"<{_PRIORITY.get(record.levelno, 6)}>{record.name}: {text}"
        moment = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}Z"
        return f"{moment} {self._process} {record.levelname.lower()} {record.name}: {text}"


class _Enqueue(logging.handlers.QueueHandler):
    """Hands records over as they are; a full queue drops and counts instead of blocking."""

    def __init__(self, where: "queue.Queue[logging.LogRecord]") -> None:
        super().__init__(where)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # same process: the listener formats

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


def under_journald(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether `stream` goes to journald, by `$JOURNAL_STREAM` (device and inode of the stream)."""
    named = (os.environ if environ is None else environ).get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def setup(process: str, level: int = logging.INFO, stream: TextIO | None = None) -> Callable[[], None]:
    """Send all records of this process to standard error; gives the call that writes out what is left and stops."""
    stream = sys.stderr if stream is None else stream
    writer = logging.StreamHandler(stream)
    writer.setFormatter(LineFormatter(process, journal=under_journald(stream)))
    handler = _Enqueue(queue.Queue(10_000))
    listener = logging.handlers.QueueListener(handler.queue, writer)
    root = logging.getLogger()
    root.setLevel(level)
    root.addHandler(handler)
    listener.start()

    def stop() -> None:
        root.removeHandler(handler)
        listener.stop()
        if handler.dropped:
            print(f"{process}: {handler.dropped} log lines were dropped", file=stream)

    return stop


class OnChange:
    """Logs a condition once until it changes, and once when it is over."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: dict[str, str] = {}

    def error(self, key: str, text: str, level: int = logging.ERROR) -> bool:
        """Log `text` unless it was the last one said for `key`; True when it was logged."""
        if self._said.get(key) == text:
            return False
        self._said[key] = text
        self._logger.log(level, "%s", text)
        return True

    def over(self, key: str, text: str) -> bool:
        """Log once that the condition of `key` is over; True when there was one."""
        if self._said.pop(key, None) is None:
            return False
        self._logger.info("%s", text)
        return True
