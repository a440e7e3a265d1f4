"""Where a simulated instrument listens: sockets here, pseudo-terminals in their own file."""

import ipaddress
import socket
import stat
from pathlib import Path
from typing import Protocol

from evapd.config.descriptor import (
    PtyDescriptor,
    SerialDescriptor,
    TcpDescriptor,
    UnixDescriptor,
    parse_descriptor,
)
from evapd.errors import ConfigError

_READ_BYTES = 65_536


class Endpoint(Protocol):
    """One side of a cable. All calls come from the server's thread, but `open` may come from the one that makes it."""

    @property
    def address(self) -> str:
        """Descriptor to connect to, with the real port."""
        ...

    def open(self) -> None:
        """Begin to listen; raises OSError."""
        ...

    def close(self) -> None:
        """Cut the cable and remove every trace; idempotent."""
        ...

    def listening(self) -> list[int]:
        """File descriptors that tell when there is something to read."""
        ...

    def writing(self) -> int:
        """File descriptor to write to, -1 while nobody is connected."""
        ...

    def read(self) -> tuple[bytes, bool]:
        """Give what has come, and whether the client left. Never blocks."""
        ...

    def write(self, data: memoryview) -> int:
        """Write what fits now and give how much that was, all of it where it is lost anyway. Never blocks."""
        ...

    def understands(self) -> bool:
        """Whether both sides of the cable are set to the same speed."""
        ...


class SocketEndpoint:
    """A stream socket for one client; a second one is refused by closing its connection."""

    def __init__(self, target: TcpDescriptor | UnixDescriptor) -> None:
        self._target = target
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None
        self._waiting: socket.socket | None = None  # accepted; whether the line is free is not certain yet

    @property
    def address(self) -> str:
        """Descriptor to connect to."""
        return str(self._target)

    def open(self) -> None:
        """Begin to listen; a port 0 becomes a real one and is kept when opened again."""
        if isinstance(self._target, TcpDescriptor):
            self._listener = socket.create_server((self._target.host, self._target.port))
            self._target = TcpDescriptor(self._target.host, self._listener.getsockname()[1])
        else:
            self._listener = unix_listener(Path(self._target.path))
        self._listener.setblocking(False)

    def close(self) -> None:
        """Close client and listener; idempotent."""
        self._drop()
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            if isinstance(self._target, UnixDescriptor):
                Path(self._target.path).unlink(missing_ok=True)

    def listening(self) -> list[int]:
        """Listener and client."""
        return [each.fileno() for each in (self._listener, self._client) if each is not None]

    def writing(self) -> int:
        """Give the client's file descriptor."""
        return -1 if self._client is None else self._client.fileno()

    def read(self) -> tuple[bytes, bool]:
        """Read from the client, and let another one in or refuse it.

        A client that reconnects is one whose old connection has ended, but that end may stand behind data that were not read yet.
        So a newcomer is taken before the client is read, and refused only when the client has nothing more to say and is still there.
        """
        if self._waiting is None:
            self._waiting = self._accept()
        data, left = self._hear()
        if self._waiting is not None and self._client is None:
            self._client, self._waiting = self._waiting, None
        elif self._waiting is not None and not data:
            self._waiting.close()
            self._waiting = None
        return data, left

    def _hear(self) -> tuple[bytes, bool]:
        data, left = b"", False
        if self._client is not None:
            try:
                data = self._client.recv(_READ_BYTES)
                left = not data
            except BlockingIOError:
                pass
            except OSError:
                left = True  # reset by the client
            if left:
                self._drop()
        return data, left

    def write(self, data: memoryview) -> int:
        """Write what fits; to a client that has gone everything fits, `read` tells that it left."""
        if self._client is None:
            return len(data)
        try:
            return self._client.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)

    def understands(self) -> bool:
        """Sockets have no speed."""
        return True

    def _accept(self) -> socket.socket | None:
        if self._listener is None:
            return None
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        client.setblocking(False)
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def unix_listener(path: Path) -> socket.socket:
    """Listen at `path`; a socket that nobody serves any more is replaced, anything else is not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() or path.is_symlink():
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} exists and is not a socket")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise FileExistsError(f"another program serves {path}")
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def parse_endpoint(text: str) -> TcpDescriptor | UnixDescriptor | PtyDescriptor | SerialDescriptor:
    """Read where to listen: `tcp:127.0.0.1:PORT` (port 0 = any), `unix:PATH`, `pty:PATH`, or `serial:PATH:BAUD-8N1`.

    The last is a pseudo-terminal whose instrument is set to that speed: the descriptor that its reader has.

    Raises:
        ConfigError: when it is none of these, or an address that others can reach.
    """
    any_port = text.startswith("tcp:") and text.endswith(":0")
    target = parse_descriptor(text[:-1] + "1" if any_port else text)
    if isinstance(target, TcpDescriptor):
        if not _is_loopback(target.host):
            raise ConfigError(
                f"'{text}' can be reached by others; a simulated instrument listens on 127.0.0.1 or ::1"
            )
        return TcpDescriptor(target.host, 0) if any_port else target
    if isinstance(target, UnixDescriptor | PtyDescriptor | SerialDescriptor):
        return target
    raise ConfigError(f"cannot listen on '{text}', allowed is tcp:127.0.0.1:PORT, unix:PATH or pty:PATH")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
