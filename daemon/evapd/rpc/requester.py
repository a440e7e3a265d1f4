"""The asking side: synchronous, one socket per thread, a fresh socket after a time-out."""

import threading
import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import zmq

from evapd.rpc.envelope import MAX_REPLY_BYTES, reply_in, request_body, result_of, silence
from evapd.security.keys import ClientKeys
from evapd.stream.sockets import check_address, connect, open_socket


class Requester:
    """Asks one service. Any thread may call `request`; each has a socket of its own.

    Nothing is queued for a service that is not there: a request that timed out before it could be sent is never
    executed later. A request that was sent and timed out may or may not have been executed; asking again with the
    same `request_id` gives the reply without executing it twice.

    Args:
        address: ZeroMQ address of the service; one that is not local needs `keys`.
        timeout_s: Deadline of a request in seconds, unless the call names another.
        client: What this program calls itself, at most 64 characters, the same over reconnects and alone in using it.
        keys: Who we are and whom we ask, where the service demands CURVE.
        context: ZeroMQ context; without one the requester makes its own.
    """

    def __init__(
        self,
        address: str,
        timeout_s: float = 2.0,
        *,
        keys: ClientKeys | None = None,
        client: str | None = None,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
    ) -> None:
        self.address = check_address(address, keyed=keys is not None)
        self._keys = keys
        self.timeout_s = timeout_s
        self.client = client or uuid.uuid4().hex
        self._own_context = context is None
        self._context: zmq.Context[zmq.Socket[bytes]] = context or zmq.Context()
        self._sockets: dict[threading.Thread, zmq.Socket[bytes]] = {}
        self._lock = threading.Lock()

    def request(
        self,
        command: str,
        args: dict[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        request_id: str | None = None,
        asked_by: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a command and wait for its result; `asked_by` tells for whom this program asks.

        Raises:
            RequestError: when the service answers with an error; Forbidden, LeaseHeld, RateLimited are kinds of it.
            RequestTimeout: when it does not answer in time; `sent` tells whether it may have been executed.
            StreamError: when it answers with something else.
        """
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        request_id = request_id or uuid.uuid4().hex
        body = request_body(self.client, request_id, command, args or {}, asked_by)
        socket = self._socket()
        try:
            sent, reply = _exchange(socket, request_id, body, deadline)
        except (
            BaseException
        ):  # also KeyboardInterrupt: a reply may still come and must not answer the next question
            self._drop()
            raise
        if reply is None:
            self._drop()
            raise silence(command, self.address, limit_s, request_id, sent=sent)
        return result_of(reply)

    def close(self) -> None:
        """Close the sockets of all threads; no call may be under way."""
        with self._lock:
            for socket in self._sockets.values():
                socket.close(linger=0)
            self._sockets.clear()
        if self._own_context:
            self._context.destroy(linger=0)

    def _socket(self) -> "zmq.Socket[bytes]":
        thread = threading.current_thread()
        with self._lock:
            for other in [other for other in self._sockets if not other.is_alive()]:
                self._sockets.pop(other).close(linger=0)
            if thread not in self._sockets:
                socket = open_socket(
                    self._context, zmq.DEALER, max_message_bytes=MAX_REPLY_BYTES, send_hwm=8, receive_hwm=8
                )
                socket.immediate = True  # queue nothing for a service that is not there
                connect(socket, self.address, self._keys)
                self._sockets[thread] = socket
            return self._sockets[thread]

    def _drop(self) -> None:
        with self._lock:
            socket = self._sockets.pop(threading.current_thread(), None)
        if socket is not None:
            socket.close(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _wait(socket: "zmq.Socket[bytes]", event: int, deadline: float) -> bool:
    left_ms = max(0, round((deadline - time.monotonic()) * 1000))
    return bool(socket.poll(left_ms, event))


def _exchange(
    socket: "zmq.Socket[bytes]", request_id: str, body: bytes, deadline: float
) -> tuple[bool, dict[str, Any] | None]:
    """Send and wait; gives whether the request left, and the reply."""
    if not _wait(socket, zmq.POLLOUT, deadline):
        return False, None
    try:
        socket.send(body, flags=zmq.NOBLOCK)
    except zmq.Again:
        return False, None  # the service went between the poll and the send
    while _wait(socket, zmq.POLLIN, deadline):
        found = reply_in(socket.recv_multipart(flags=zmq.NOBLOCK))
        if found is not None and found[0] == request_id:  # else not for us to judge: the deadline stands
            return True, found[1]
    return True, None
