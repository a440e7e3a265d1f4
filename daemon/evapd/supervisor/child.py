"""One child process: in a process group of its own, with a readiness socket and a log file."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from evapd.errors import EvapdError

SLOW_S = 5.0


@dataclass(slots=True)
class Child:
    """A process that tells its readiness as a systemd service would.

    Ctrl-C reaches only the supervisor, because every child has a session of its own.
    """

    name: str
    command: list[str]
    sockets: Path
    logs: Path
    restarts: int = 0
    started_s: float = 0.0
    ready_after_s: float | None = None
    extended_until_s: float = 0.0  # how long its start may take, by its own word
    status: str = ""
    process: subprocess.Popen[bytes] | None = None
    _notify: socket.socket | None = field(default=None, repr=False)
    _told: bool = field(default=False, repr=False)

    @property
    def log_path(self) -> Path:
        """Where its messages go."""
        return self.logs / f"{self.name}.log"

    @property
    def ready(self) -> bool:
        """Whether it has said so."""
        return self.ready_after_s is not None

    def start(self) -> None:
        """Start it; it is ready when `poll()` has heard so."""
        path = self.sockets / f"notify-{self.name}.sock"
        path.unlink(missing_ok=True)
        self._close_notify()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(path))
        self._notify.setblocking(False)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.started_s, self.ready_after_s = time.monotonic(), None
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "NOTIFY_SOCKET": str(path)},
            )

    def is_slow(self) -> bool:
        """Whether it has said what it is doing for so long; true only once."""
        slow = bool(self.status) and not self._told and time.monotonic() - self.started_s > SLOW_S
        self._told = self._told or slow
        return slow

    def poll(self) -> int | None:
        """Read what it told; give its exit code once it has ended."""
        if self._notify is not None:
            self._hear(self._notify)
        return None if self.process is None else self.process.poll()

    def _hear(self, notify: socket.socket) -> None:
        while True:
            try:
                told = notify.recv(4096)
            except BlockingIOError:
                return
            for line in told.decode(errors="replace").splitlines():
                if line == "READY=1" and not self.ready:
                    self.ready_after_s = time.monotonic() - self.started_s
                elif line.startswith("EXTEND_TIMEOUT_USEC="):
                    self.extended_until_s = time.monotonic() + 1e-6 * int(line.partition("=")[2])
                elif line.startswith("STATUS="):
                    self.status = line.removeprefix("STATUS=")

    def terminate(self, timeout_s: float) -> int | None:
        """Ask it to end, and wait; None when it has not ended in time."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self._close_notify()

    def kill(self) -> None:
        """End it now, with all it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5.0)
        self._close_notify()

    def _close_notify(self) -> None:
        if self._notify is not None:
            self._notify.close()
            (self.sockets / f"notify-{self.name}.sock").unlink(missing_ok=True)
            self._notify = None

    def last_words(self, lines: int = 5) -> str:
        """Give the end of its log, for the message about its death."""
        try:
            text = self.log_path.read_bytes()[-4000:].decode(errors="replace")
        except OSError as error:
            return f"(its log cannot be read: {error})"
        return "\n".join(text.splitlines()[-lines:])


class StartFailed(EvapdError):
    """A child ended before it was ready, with exit code `code`, or was not ready in time (None)."""

    def __init__(self, child: Child, code: int | None) -> None:
        what = (
            f"{child.name} was not ready in time"
            if code is None
            else f"{child.name} ended with exit code {code} before it was ready"
        )
        super().__init__(f"{what}; the end of {child.log_path}:\n{child.last_words(12)}")
        self.code = code
