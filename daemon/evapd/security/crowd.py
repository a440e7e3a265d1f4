"""Keeps the connections at Unix sockets within bounds: the program that has most of them is hung up on.

Programs are told apart by their process id, as the kernel proves it: one that opens thousands of connections takes no
place from one that opens a single one, to abort.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from evapd.security.descriptors import descriptors, most_connections
from evapd.security.unix_listener import Connection, UnixListener

_OPEN_S = 0.01  # a client of libzmq that found the door shut tries again after 0.1 s
_CLOSING_S, _LONGEST_S = 0.001, 0.5  # what libzmq is given to close what was hung up on
_SAY_EVERY_S = 10.0

log = logging.getLogger(__name__)


class Crowd:
    """Watches the Unix sockets of one context, on a thread of its own, which sleeps while nobody connects.

    Args:
        max_connections: At most so many connections at one socket.
    """

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._listeners: list[UnixListener] = []
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._said_s = -_SAY_EVERY_S

    def watch(self, listener: UnixListener) -> None:
        """Watch one more socket, and close it in the end."""
        self._listeners.append(listener)
        if self._thread is None:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)
            self._thread.start()
        os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """End the thread and take the sockets' files away."""
        self._stopping = True
        if self._thread is not None:
            os.eventfd_write(self._bell, 1)
            self._thread.join()
            self._thread = None
            os.close(self._bell)
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._await()
                self._look()
            except Exception:
                # Whatever it was: without this thread nothing stands between a flood and the end of the process.
                log.critical("connections at Unix sockets could not be counted", exc_info=True)
                time.sleep(_LONGEST_S)

    def _await(self) -> None:
        """Wait until somebody connects; then let come who comes for a moment."""
        poller = select.poll()
        for descriptor in (self._bell, *(listener.fileno() for listener in self._listeners)):
            poller.register(descriptor, select.POLLIN)
        poller.poll()
        if not self._stopping:
            time.sleep(_OPEN_S)
            _silence(self._bell)

    def _look(self) -> None:
        """End what is too much."""
        left, used = descriptors()
        most = most_connections(self._max_connections, left + used)
        if used < most:
            return  # no socket can have more
        for listener in self._listeners:
            if surplus(listener.connections(), most):
                self._say(listener, most)
                _end_surplus(listener, most)

    def _say(self, listener: UnixListener, most: int) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s >= _SAY_EVERY_S:
            self._said_s = now_s
            log.warning(
                "more than %d connections at %s: the programs that have most of them are hung up on",
                most, listener.path,
            )  # fmt: skip


def surplus(connections: Iterable[Connection], most: int) -> list[Connection]:
    """Choose what must end so that `most` are left: the newest of whoever has most; everybody keeps one."""
    by_program: dict[int, list[Connection]] = {}
    for one in sorted(connections):
        by_program.setdefault(one.program, []).append(one)
    share = _share(by_program, most)
    return [one for held in by_program.values() for one in held[share:]]


def _share(by_program: Mapping[int, Sequence[Connection]], most: int) -> int:
    """Give how many each program may keep at most, so that together they keep `most` at most."""
    left, programs = most, len(by_program)
    for count in sorted(len(held) for held in by_program.values()):
        if count * programs > left:
            return max(1, left // programs)
        left, programs = left - count, programs - 1
    return max(1, most)


def _end_surplus(listener: UnixListener, most: int) -> None:
    until_s = time.monotonic() + _LONGEST_S
    with listener.shut():  # nobody comes in more quickly than others go
        while (gone := surplus(listener.connections(), most)) and time.monotonic() < until_s:
            for one in gone:
                listener.hang_up(one.descriptor)
            time.sleep(_CLOSING_S)


def _silence(bell: int) -> None:
    try:
        os.eventfd_read(bell)
    except BlockingIOError:
        return  # it had not rung
