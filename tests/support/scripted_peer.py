"""A peer that answers over a real socket or pseudo-terminal, from a function, with faults laid over it by the test."""

import contextlib
import os
import pty
import re
import select
import socket
import threading
import tty
from collections.abc import Callable
from pathlib import Path

LINES = re.compile(rb"[^\r\n]+[\r\n]+")  # commands of instruments that talk in lines
LINES_AND_ENQ = re.compile(rb"\x05|[^\r\n\x05]+[\r\n]+")
SILENCE_S = 2.0  # how long a test waits that expects silence on a real socket; what is due must come within it on a busy machine too

Answer = Callable[[bytes], bytes]


class Peer:
    """Answers each command with `faults[command]` where the test has put one, else with `answer(command)`.

    A fault is the whole reply; `b""` is silence. `heard` holds every command as it came, without its line end.
    """

    def __init__(self, answer: Answer, commands: re.Pattern[bytes] = LINES) -> None:
        self.answer = answer
        self.faults: dict[bytes, bytes] = {}
        self.heard: list[bytes] = []
        self._commands = commands
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take what came, give what is due."""
        self._rest += data
        reply = b""
        while match := self._commands.match(self._rest):
            self._rest = self._rest[match.end() :]
            command = match.group().rstrip(b"\r\n")
            self.heard.append(command)
            reply += self.faults[command] if command in self.faults else self.answer(command)
        return reply


class SocketPeer:
    """Serves one connection after the other on a unix socket, or on a TCP port of the loopback, each with the same `feed`."""

    def __init__(self, path: Path | None, feed: Callable[[bytes], bytes]) -> None:
        self._feed = feed
        self._connection: socket.socket | None = None
        if path is None:
            self._listener = socket.socket(socket.AF_INET)
            self._listener.bind(("127.0.0.1", 0))
            self.connect = f"visa:TCPIP0::127.0.0.1::{self._listener.getsockname()[1]}::SOCKET"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self.connect = f"unix:{path}"
        self._listener.listen(4)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                self._connection, _ = self._listener.accept()
            except OSError:
                return
            with self._connection as connection:
                try:
                    while data := connection.recv(1 << 16):
                        connection.sendall(self._feed(data))
                except OSError:
                    continue

    def hang_up(self) -> None:
        """Close the connection under way, as an instrument that loses power."""
        if self._connection is not None:
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop serving."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(OSError):  # the client was first
            self.hang_up()
        self._thread.join(5)


class PtyPeer:
    """Serves a pseudo-terminal; what is written while nobody has it open waits there, as in a serial port."""

    def __init__(self, path: Path, feed: Callable[[bytes], bytes]) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        path.symlink_to(os.ttyname(self._slave))
        self.connect = f"serial:{path}:115200-8N1"
        self._feed = feed
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            self.push(self._feed(os.read(self._master, 4096)))

    def push(self, data: bytes) -> None:
        """Send bytes that nobody asked for."""
        os.write(self._master, data)

    def close(self) -> None:
        """Stop serving."""
        os.write(self._stop_write, b"x")
        self._thread.join(5)
        for fd in (self._master, self._slave, self._stop_read, self._stop_write):
            os.close(fd)
