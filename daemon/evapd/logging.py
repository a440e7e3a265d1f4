"""Set-up of the standard library's logging: one line per record, to standard error, off the caller's thread.

For people a line carries UTC time and the process. For programs (under journald, or where `EVAPD_LOG=json` or
`--log-format json` asks for it) each line is one JSON object; under journald its level stands before it as `<n>`
(sd-daemon(3)). Records pass through a queue, so that a terminal that does not read cannot hold a control loop.
"""

import json
import logging
import logging.handlers
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from evapd.logtext import cut, hidden, plain, printable
from evapd.repeats import Repeats

Form = Literal["text", "json"]
ENVIRONMENT = "EVAPD_LOG"
QUEUE_RECORDS = 2_000
STOP_S = 2.0
_TURN_S = 1.0
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
}
_MOST_FIELDS = 20
_MOST_FIELD = 500
_present: dict[str, str] = {}


def present_run(run: str) -> None:
    """Name the run that this process works for; "" when there is none. Every JSON line from now on carries it."""
    _present["run"] = run


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
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            text += " | " + record.exc_text
        text = " | ".join(part.strip() for part in text.splitlines() if part.strip())
        text = printable(cut(hidden(text)))
        if self._journal:
            return f"<{_PRIORITY.get(record.levelno, 6)}>{printable(record.name)}: {text}"
        moment = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}Z"
        return f"{moment} {self._process} {record.levelname.lower()} {printable(record.name)}: {text}"


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, process, pid, logger, message; run, exception and further fields where there are any."""

    def __init__(self, process: str, *, journal: bool) -> None:
        """Name the process; under the journal the level stands before the object."""
        super().__init__()
        self._process, self._journal = process, journal

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        content: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "logger": plain(record.name),
            "message": plain(cut(hidden(record.getMessage()))),
        }
        if _present.get("run"):
            content["run"] = plain(_present["run"])
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            content["exception"] = plain(cut(hidden(record.exc_text)))
        further = [name for name in vars(record) if name not in _STANDARD and name not in content]
        for name in further[:_MOST_FIELDS]:
            content[plain(name[:60])] = _field(vars(record)[name])
        line = json.dumps(content, ensure_ascii=False, allow_nan=False)
        return f"<{_PRIORITY.get(record.levelno, 6)}>{line}" if self._journal else line


def _field(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1 << 53):
        return value
    if isinstance(value, float) and abs(value) < float("inf"):
        return value
    return plain(cut(hidden(str(value)), _MOST_FIELD))


class _Enqueue(logging.handlers.QueueHandler):
    """Hands records over as short texts, so that a full queue is small; what finds it full is counted, and nobody waits."""

    def __init__(self, where: "queue.Queue[logging.LogRecord]") -> None:
        super().__init__(where)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        try:
            text = record.getMessage()
        except Exception as error:  # noqa: BLE001 - a message that cannot be made is still a message
            text = f"{record.msg!r} with {record.args!r}: {type(error).__name__}: {error}"
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else record.exc_text
        record = logging.makeLogRecord(vars(record))  # other handlers still have the first one
        record.msg, record.args, record.exc_info = cut(text), (), None
        record.exc_text = cut(trace) if trace else None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Writer:
    """Writes the records of a queue on a thread of its own; what repeats itself is counted instead of written."""

    def __init__(
        self, records: "queue.Queue[logging.LogRecord]", stream: TextIO, formatter: logging.Formatter
    ) -> None:
        self._records, self._stream, self._formatter = records, stream, formatter
        self._repeats = Repeats(time.monotonic)
        self.failed = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Write what is left; False when nobody read it in time."""
        self._ending.set()
        self._thread.join(STOP_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                # Looked at before: what is queued up to the call of `stop` is written.
                ending = self._ending.is_set()
                record = self._records.get(timeout=0.02 if ending else min(_TURN_S, 0.1))
            except queue.Empty:
                self._write(self._repeats.due(everything=ending))
                if ending:
                    return
                continue
            self._write(self._repeats.pass_on(record))

    def _write(self, records: list[logging.LogRecord]) -> None:
        for record in records:
            try:
                self._stream.write(self._formatter.format(record) + "\n")
                self._stream.flush()
            except Exception:  # noqa: BLE001 - there is nowhere left to say so: a log that cannot be written stops nothing
                self.failed += 1


def under_journald(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether `stream` goes to journald, by `$JOURNAL_STREAM` (device and inode of the stream)."""
    named = (os.environ if environ is None else environ).get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def form_of(environ: Mapping[str, str], *, journal: bool) -> Form:
    """Choose the form: what `EVAPD_LOG` names, else JSON for journald and text for people."""
    match environ.get(ENVIRONMENT, "").lower():
        case "json":
            return "json"
        case "text":
            return "text"
    return "json" if journal else "text"


def setup(
    process: str, level: int = logging.INFO, stream: TextIO | None = None, *, form: Form | None = None
) -> Callable[[], None]:
    """Send all records of this process to standard error; gives the call that writes out what is left and stops.

    Args:
        process: its name, as it stands in each line.
        level: of the least important records that are written.
        stream: instead of standard error.
        form: instead of what environment and stream ask for.
    """
    stream = sys.stderr if stream is None else stream
    journal = under_journald(stream)
    form = form or form_of(os.environ, journal=journal)
    formatter = JsonFormatter if form == "json" else LineFormatter
    records: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_RECORDS)
    handler = _Enqueue(records)
    writer = _Writer(records, stream, formatter(process, journal=journal))
    root = logging.getLogger()
    root.setLevel(level)
    root.addHandler(handler)

    def stop() -> None:
        root.removeHandler(handler)
        if writer.stop() and handler.dropped:
            text = f"{handler.dropped} log lines were dropped: they came faster than they were read"
            last = logging.makeLogRecord(
                {"name": "evapd", "levelno": logging.WARNING, "levelname": "WARNING"}
            )
            last.msg = text
            stream.write(formatter(process, journal=journal).format(last) + "\n")

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
