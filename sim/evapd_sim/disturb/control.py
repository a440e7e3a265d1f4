"""The control socket of a running twin: JSON objects, one per line, each answered by one.

A request with `do` is an event, as in a script; any other asks for the state. An answer has `ok`, and `error` where it is false.
"""

import json
import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evapd.errors import ConfigError, DeviceError, EvapdError
from evapd_sim.wire.endpoint import unix_listener

CONTROL_SOCKET = "do.sock"  # below the twin's folder
_log = logging.getLogger("evapd_sim")
_LONGEST_LINE = 65_536
_PATIENCE_S = 10.0
Command = Callable[[Mapping[str, Any]], dict[str, Any]]


class ControlSocket:
    """Serves commands on a unix socket by a thread of its own; readable and writable by the owner only.

    Args:
        path: of the socket.
        command: called by that thread for each request.
    """

    def __init__(self, path: Path, command: Command) -> None:
        self._path = path
        self._command = command
        self._stop_fd = -1
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Descriptor for `evapd-sim do`."""
        return f"unix:{self._path}"

    def open(self) -> None:
        """Begin to listen.

        Raises:
            ConfigError: when that is not possible there.
        """
        try:
            self._listener = unix_listener(self._path)
            self._path.chmod(0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot take events at {self._path}: {error}; choose another (shorter) `folder`"
            ) from error
        self._listener.setblocking(False)
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="twin control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up and remove the socket; idempotent."""
        if self._thread is None:
            return
        os.eventfd_write(self._stop_fd, 1)
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            raise RuntimeError(f"the control socket {self._path} does not end")
        self._thread = None
        os.close(self._stop_fd)

    def _run(self) -> None:
        listener = self._listener
        assert listener is not None  # noqa: S101 - set before the thread starts
        talks: dict[socket.socket, bytearray] = {}
        with listener, selectors.DefaultSelector() as selector:
            selector.register(self._stop_fd, selectors.EVENT_READ)
            selector.register(listener, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._stop_fd in ready:
                    break
                for each in ready:
                    if each is listener:
                        client = _accepted(listener)
                        if client is not None:
                            talks[client] = bytearray()
                            selector.register(client, selectors.EVENT_READ)
                    elif isinstance(each, socket.socket) and not self._hear(each, talks[each]):
                        selector.unregister(each)
                        del talks[each]
                        each.close()
            for client in talks:
                client.close()
            self._path.unlink(missing_ok=True)

    def _hear(self, client: socket.socket, line: bytearray) -> bool:
        """Take what has come and answer whole lines; False = the client is to be left."""
        try:
            data = client.recv(4096)
            line += data
            while (end := line.find(b"\n")) >= 0:
                text, line[: end + 1] = bytes(line[:end]), b""
                client.sendall(json.dumps(self._answer(text)).encode() + b"\n")
        except OSError:
            return False  # it hung up, or does not read its answers
        return bool(data) and len(line) <= _LONGEST_LINE

    def _answer(self, text: bytes) -> dict[str, Any]:
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            return {"ok": False, "error": "not JSON: send one object per line"}
        if not isinstance(request, dict):
            return {"ok": False, "error": 'not an object: send {"do": ...} or {}'}
        try:
            return {"ok": True, **self._command(request)}
        except (EvapdError, OSError, RuntimeError) as error:
            # Whoever asked is told; the twin goes on as it was.
            _log.warning("refused: %s: %s", request, error)
            return {"ok": False, "error": str(error)}


def _accepted(listener: socket.socket) -> socket.socket | None:
    try:
        client, _ = listener.accept()
    except OSError:
        return None  # it left before it was let in
    client.settimeout(_PATIENCE_S)
    return client


def ask(path: Path, request: Mapping[str, Any], timeout_s: float = _PATIENCE_S) -> dict[str, Any]:
    """Send one request to a twin and give its answer.

    Raises:
        DeviceError: when no twin listens there, or it does not answer in time.
    """
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(timeout_s)
            link.connect(str(path))
            link.sendall(json.dumps(request).encode() + b"\n")
            with link.makefile("rb") as lines:
                answer = json.loads(lines.readline())
    except (OSError, ValueError) as error:
        raise DeviceError(f"no twin answers at {path}: {error}; does it run, and in this folder?") from error
    if not isinstance(answer, dict):
        raise DeviceError(f"what answers at {path} is no twin: {answer!r}")
    return answer
