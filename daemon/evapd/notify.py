"""Readiness, state and watchdog pings for a service manager (the protocol of sd_notify(3)).

Never blocks: with a receiver that does not read, a blocking send would hang after a dozen datagrams, and the
guard's loop with it. A message that does not fit is dropped; the next ping follows soon.
"""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends `KEY=value` lines to `$NOTIFY_SOCKET`; without one, every call does nothing."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of the abstract name space.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_us = _watchdog_us(environ)
        self._status = ""
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self.dropped = 0

    @property
    def watchdog_s(self) -> float | None:
        """Time in s within which the manager awaits a ping, or None when it awaits none."""
        return None if self._watchdog_us is None else self._watchdog_us * 1e-6

    def ready(self, status: str = "") -> None:
        """Say that the service is up."""
        self._send("READY=1", *([f"STATUS={status}"] if status else []))

    def watchdog(self) -> None:
        """Say that the loop is alive."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Give one line for `systemctl status`; sent only when it changes."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + text.replace("\n", " "))

    def extend(self, seconds: float) -> None:
        """Say that the start is still going on and needs at most so many seconds more."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def stopping(self) -> None:
        """Say that the service is on its way down."""
        self._send("STOPPING=1")

    def main_pid(self, pid: int) -> None:
        """Name the process that counts."""
        self._send(f"MAINPID={pid}")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            self.dropped += 1  # full, or the manager is being restarted: neither may stop the service


def _watchdog_us(environ: Mapping[str, str]) -> int | None:
    text, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(text) or None
