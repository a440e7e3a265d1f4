"""The asking side on an event loop: any number of requests at a time on one socket, each with its own answer."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import zmq

from evapd.errors import StreamError
from evapd.rpc.envelope import MAX_REPLY_BYTES, reply_in, request_body, result_of, silence
from evapd.security.keys import ClientKeys
from evapd.stream.sockets import connect, open_socket

_HEARTBEAT_MS = 2000
_HWM = 100
_REPLIES_PER_TURN = 100


class AsyncRequester:
    """Asks one service; used by the tasks of one event loop.

    A reply is for the request whose id it carries and for no other, so that one that nobody awaits any more (its
    task was cancelled, or its time is over) is thrown away. After a time-out the connection is made anew, as soon as
    nobody else waits on the old one.

    Args:
        address: Address of the service.
        timeout_s: Deadline of a request in seconds, unless the call names another.
        client: What this program calls itself.
        keys: Who we are and whom we ask, where the service demands CURVE.
        context: ZeroMQ context.
    """

    def __init__(
        self,
        address: str,
        timeout_s: float,
        *,
        client: str,
        keys: ClientKeys | None,
        context: "zmq.Context[zmq.Socket[bytes]]",
    ) -> None:
        self.address, self.timeout_s, self.client = address, timeout_s, client
        self._keys, self._context = keys, context
        self._link: _Link | None = None
        self._links: set[_Link] = set()

    async def request(
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
        request_id = request_id or uuid.uuid4().hex
        body = request_body(self.client, request_id, command, args or {}, asked_by)
        link = self._link = self._link or self._connect()
        waiting = link.ask(request_id)
        reply: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(limit_s):
                await link.send(waiting, body)
                reply = await waiting.reply
        except TimeoutError:
            if self._link is link:
                self._link = None
        finally:
            link.forget(request_id)
            if link is not self._link and link.idle:
                self._disconnect(link)
        if reply is None:
            raise silence(command, self.address, limit_s, request_id, sent=waiting.sent)
        return result_of(reply)

    def close(self) -> None:
        """Close; a request under way ends with a StreamError."""
        for link in list(self._links):
            self._disconnect(link)
        self._link = None

    def _connect(self) -> "_Link":
        socket = open_socket(
            self._context, zmq.DEALER, max_message_bytes=MAX_REPLY_BYTES, send_hwm=_HWM, receive_hwm=_HWM
        )
        socket.immediate = True  # queue nothing for a service that is not there
        socket.heartbeat_ivl = _HEARTBEAT_MS
        connect(socket, self.address, self._keys)
        link = _Link(socket)
        self._links.add(link)
        return link

    def _disconnect(self, link: "_Link") -> None:
        self._links.discard(link)
        link.close()


class _Waiting:
    """One request under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reply: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.sent = False


class _Link:
    """One socket, watched by the running loop."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket, self._loop = socket, asyncio.get_running_loop()
        self._waiting: dict[str, _Waiting] = {}
        self._writable = asyncio.Event()
        self._fd = int(socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._fd, self._look)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for a reply."""
        return not self._waiting

    def ask(self, request_id: str) -> _Waiting:
        """Take note of a request that will be sent."""
        waiting = self._waiting[request_id] = _Waiting(self._loop)
        return waiting

    def forget(self, request_id: str) -> None:
        """Wait for its reply no longer."""
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None and not waiting.reply.cancel() and not waiting.reply.cancelled():
            waiting.reply.exception()  # seen: the loop need not complain of it

    async def send(self, waiting: _Waiting, body: bytes) -> None:
        """Send as soon as somebody is there to take it."""
        while not waiting.reply.done():
            self._writable.clear()
            try:
                self._socket.send(body, flags=zmq.NOBLOCK)
                waiting.sent = True
            except zmq.Again:
                pass  # nobody is there yet
            self._look()  # sending may have swallowed the edge that tells of something
            if waiting.sent:
                return
            await self._writable.wait()

    def close(self) -> None:
        """Close the socket."""
        if not self._socket.closed:
            self._loop.remove_reader(self._fd)
            self._socket.close(linger=0)
        for waiting in self._waiting.values():
            if not waiting.reply.done():
                waiting.reply.set_exception(
                    StreamError("the client was closed while a request was under way")
                )
        self._writable.set()

    def _look(self) -> None:
        """Take everything in. The descriptor tells of an edge only, so go on until nothing is there."""
        for _ in range(_REPLIES_PER_TURN):
            if self._socket.closed:
                return
            events = int(self._socket.getsockopt(zmq.EVENTS))
            if events & zmq.POLLOUT:
                self._writable.set()
            if not events & zmq.POLLIN:
                return
            found = reply_in(self._socket.recv_multipart(flags=zmq.NOBLOCK))
            waiting = self._waiting.get(found[0]) if found else None
            if found and waiting is not None and not waiting.reply.done():
                waiting.reply.set_result(found[1])
        self._loop.call_soon(self._look)  # others may have their turn first
