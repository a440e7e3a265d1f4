"""The Unix socket that listens for libzmq, on which we keep a hand: who came in is known, and the door can be shut.

libzmq accepts without limit and ends the process when no descriptor is left (see `descriptors`). A listening Unix
socket cannot be shut as a TCP one can: no filter is asked before a connection, and its queue never becomes zero. So the
socket's file takes another name for a moment.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from evapd.security.descriptors import DESCRIPTORS

BACKLOG = 32
_MODE = 0o660  # the folder's group, whatever the umask
_PEER = struct.Struct("3i")  # process, user, group: unix(7), SO_PEERCRED


class Connection(NamedTuple):
    """One connection at a Unix socket of this process; `number` is the kernel's, and grows."""

    number: int
    descriptor: int
    program: int


class UnixListener:
    """A listening Unix socket in the place of whatever lay at `path`.

    Raises:
        OSError: when it cannot be made there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._away = path.with_name(f".{path.name}.shut")
        for left_over in (path, self._away):  # by a process that was killed
            left_over.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(str(path))
            path.chmod(_MODE)
            self._socket.listen(BACKLOG)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Give our own descriptor: readable when a connection waits."""
        return self._socket.fileno()

    def duplicate(self) -> int:
        """Give a descriptor for libzmq, which closes it."""
        return os.dup(self._socket.fileno())

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Let no new connection in meanwhile; clients of libzmq try again by themselves."""
        try:
            self.path.rename(self._away)
        except OSError:  # a disk that is gone: what was to be done behind the door is done all the same
            yield
            return
        try:
            yield
        finally:
            self._away.rename(self.path)

    def connections(self) -> list[Connection]:
        """List the connections that came in here; nothing when no descriptor is left to look with."""
        try:
            names = os.listdir(DESCRIPTORS)  # noqa: PTH208 - names are enough
        except OSError:
            return []
        found = (self._connection(int(name)) for name in names)
        return [one for one in found if one is not None]

    def hang_up(self, descriptor: int) -> None:
        """End a connection, which libzmq then closes.

        It is looked at again through a descriptor of our own: the number may be another file's by now.
        """
        try:
            own = os.dup(descriptor)
        except OSError:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=own) as link:
            try:
                if link.getsockname() == str(self.path):
                    link.getpeername()  # not the socket that listens
                    link.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended meanwhile

    def close(self) -> None:
        """Take the file away; who is connected stays until libzmq has closed its own side."""
        if self._socket.fileno() >= 0:
            self._socket.close()
            self.path.unlink(missing_ok=True)

    def _connection(self, descriptor: int) -> Connection | None:
        try:
            borrowed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=descriptor)
        except OSError:
            return None  # it was closed meanwhile
        try:
            if borrowed.getsockname() != str(self.path):
                return None
            borrowed.getpeername()  # not the socket that listens
            peer = borrowed.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            return Connection(os.fstat(descriptor).st_ino, descriptor, _PEER.unpack(peer)[0])
        except OSError:
            return None
        finally:
            borrowed.detach()
