"""The ROUTER socket of a control service, on a thread of its own or polled by its owner's loop."""

import logging
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import zmq

from evapd.errors import StateError
from evapd.rpc.command import Command
from evapd.rpc.dispatch import Dispatcher
from evapd.rpc.request import MAX_REQUEST_BYTES
from evapd.security.access import Access
from evapd.security.gate import Door, Gate
from evapd.security.roles import LOCAL
from evapd.stream.sockets import Waker, bind, open_socket

log = logging.getLogger(__name__)
_MAX_PARTS = 2  # behind the routing id: an optional empty delimiter (REQ) and the request
_HWM = 100


class Service:
    """Answers requests at one address.

    Either `start()` and `stop()` (own thread), or `open()`, `poll_once()` from one loop, and `close()`. The
    descriptor `fd` becomes readable at an edge only: after it fires, call `poll_once` until it returns 0, or simply
    call it once per tick.

    Args:
        address: ZeroMQ address; one that is not local needs `access` with keys.
        commands: What is served, or who answers; `describe` is added.
        access: Who is let in; without it, programs on this machine.
        context: ZeroMQ context; without one the service makes its own.
    """

    def __init__(
        self,
        address: str,
        commands: Iterable[Command] | Dispatcher,
        *,
        access: Access | None = None,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
    ) -> None:
        self.address = address
        self._access = access or Access()
        self._gate: Gate | None = None
        self._door: Door | None = None
        self._dispatcher = commands if isinstance(commands, Dispatcher) else Dispatcher(commands)
        self._given_context = context
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None
        self._stop = threading.Event()
        self._malformed = 0

    @property
    def rejected(self) -> int:
        """Messages that got no reply: wrong number of parts, no readable id, or a key that was revoked."""
        return self._malformed + self._dispatcher.rejected

    @property
    def requests(self) -> dict[tuple[str, str], int]:
        """Requests so far by command and result; from any thread."""
        return dict(self._dispatcher.requests)

    @property
    def fd(self) -> int:
        """Descriptor for the owner's poller (edge-triggered)."""
        return int(self._opened().getsockopt(zmq.FD))

    @property
    def alive(self) -> bool:
        """Whether the service's own thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def describe(self) -> dict[str, Any]:
        """List the commands with the JSON schema of their arguments."""
        return self._dispatcher.describe()

    def open(self) -> str:
        """Bind; gives the endpoint, which is also `address` from now on.

        Raises:
            ConfigError: when the address is not local.
            StreamError: when somebody else has it.
        """
        if self._socket is not None:
            raise StateError(f"the service at {self.address} is open already")
        self._context = self._given_context or zmq.Context()
        self._gate = Gate(self._context, self._access)
        try:
            socket = open_socket(
                self._context,
                zmq.ROUTER,
                max_message_bytes=2 * MAX_REQUEST_BYTES,  # so that a request just too long still gets a reply
                send_hwm=_HWM,
                receive_hwm=_HWM,
            )
            self._door = bind(socket, self.address, self._gate)
        except BaseException:
            self._end_context()
            raise
        self._socket, self.address = socket, self._door.endpoint
        return self.address

    def poll_once(self, limit: int = 32) -> int:
        """Answer at most `limit` requests that wait; never blocks, never raises for what a client sends."""
        socket, door = self._opened(), self._door
        for handled in range(limit):
            try:
                parts, last, overlong = _receive(socket, keyed=door is not None and door.keyed)
            except zmq.Again:
                return handled
            peer, envelope, body = parts[0], parts[1:-1], parts[-1]
            who = LOCAL if door is None or last is None else door.peer(last)
            if overlong or len(parts) < 2 or envelope not in ([], [b""]) or who is None:
                self._malformed += 1
                continue
            reply = self._dispatcher.answer(peer, body, who)
            if reply is not None:
                # ROUTER drops what a vanished or stalled client does not take: it never blocks here.
                socket.send_multipart([peer, *envelope, reply], flags=zmq.NOBLOCK)
        return limit

    def close(self) -> None:
        """Close the socket; replies under way get a moment to leave."""
        if self._socket is not None:
            self._socket.close(linger=100)
            self._socket = None
        self._end_context()

    def start(self) -> str:
        """Open and serve on a thread of its own; gives the endpoint."""
        endpoint = self.open()
        self._stop.clear()
        self._waker = Waker()
        self._thread = threading.Thread(
            target=self._serve, args=(self._waker,), name=f"service {endpoint}", daemon=True
        )
        self._thread.start()
        return endpoint

    def stop(self) -> None:
        """End the thread and close."""
        self._stop.set()
        if self._thread is not None and self._waker is not None:
            self._waker.wake()
            self._thread.join()
            self._waker.close()
            self._thread = self._waker = None
        self.close()

    def _serve(self, waker: Waker) -> None:
        poller = zmq.Poller()
        poller.register(self._opened(), zmq.POLLIN)
        poller.register(waker.fd, zmq.POLLIN)
        try:
            while not self._stop.is_set():
                poller.poll()
                self.poll_once()
        except zmq.ContextTerminated:
            log.warning("the ZeroMQ context of %s was ended before the service was stopped", self.address)

    def _opened(self) -> "zmq.Socket[bytes]":
        if self._socket is None:
            raise StateError(f"the service at {self.address} is not open: call open() or start() first")
        return self._socket

    def _end_context(self) -> None:
        if self._gate is not None:
            self._gate.close()
            self._gate = self._door = None
        if self._context is not None and self._given_context is None:
            self._context.destroy(linger=100)
        self._context = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _receive(socket: "zmq.Socket[bytes]", *, keyed: bool) -> tuple[list[bytes], zmq.Frame | None, bool]:
    """Read one message; parts beyond the protocol's are thrown away one by one, never gathered.

    Where peers have keys the last frame comes along, which knows its peer; looking that up costs 0.6 us.
    """
    parts, last = [socket.recv(flags=zmq.NOBLOCK)], None
    overlong = False
    while socket.rcvmore:
        if keyed:
            last = socket.recv(flags=zmq.NOBLOCK, copy=False, track=False)
            part = last.bytes
        else:
            part = socket.recv(flags=zmq.NOBLOCK)
        if len(parts) <= _MAX_PARTS:
            parts.append(part)
        else:
            overlong = True
    return parts, last, overlong
