"""The gate before the sockets of one ZeroMQ context: a thread that judges who may connect, and how many.

It is the ZAP handler (ZeroMQ RFC 27) of its context. ZAP requests come from libzmq inside this process (inproc), never
from outside, so their form is known. Every TCP socket behind the gate enforces its answer: when this thread is gone,
libzmq lets nobody in. A Unix socket is guarded by the folder that it lies in, and never waits for this thread: how many
connect there is seen to by another one (`crowd`).
"""

import logging
import threading
import time
from pathlib import Path

import zmq

from evapd.errors import StateError
from evapd.security.access import Access
from evapd.security.crowd import Crowd
from evapd.security.descriptors import descriptors, most_connections
from evapd.security.listener import Listener, connections_by_port
from evapd.security.roles import LOCAL, Peer
from evapd.security.unix_listener import UnixListener

ZAP_DOMAIN = b"evapd"
_ENDPOINT = "inproc://zeromq.zap.01"
_TURN_MS = 50
_AGAIN_S = 0.2
_REFRESH_S = 0.2
_SAY_EVERY_S = 10.0

log = logging.getLogger(__name__)


class Door:
    """A bound socket: who is behind a message, and the way to make everybody come in anew."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", endpoint: str, access: Access, listener: Listener | None
    ) -> None:
        self.endpoint = endpoint
        self.keyed = listener is not None and access.keys is not None
        """Whether clients prove who they are."""
        self._socket, self._access, self._listener = socket, access, listener
        self._revoked = access.revoked

    def peer(self, frame: zmq.Frame) -> Peer | None:
        """Say who sent a frame, received with `copy=False`; None when the key is not on the list any more."""
        if not self.keyed:
            return LOCAL
        try:
            return self._access.peer(str(frame.get("User-Id")))
        except zmq.ZMQError:
            return None  # no connection comes through the gate without a user id

    def renew(self) -> bool:
        """End every connection when keys were revoked, so that clients come in anew; on the socket's own thread.

        For sockets that only send: what is revoked is then cut off, everybody else is back after a tenth of a second.
        """
        if not self.keyed or self._revoked == self._access.revoked or self._listener is None:
            return False
        self._revoked = self._access.revoked
        self._socket.unbind(self._socket.getsockopt_string(zmq.LAST_ENDPOINT))
        self._listen()
        return True

    def _listen(self) -> None:
        assert self._listener is not None  # noqa: S101 - only doors with one come here
        self._socket.setsockopt(zmq.USE_FD, self._listener.duplicate())
        self._socket.bind(self._listener.bound)


class Gate:
    """Judges connections to the sockets of one context.

    Args:
        context: The context; it has one gate.
        access: Who is let in.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", access: Access) -> None:
        self._context, self.access = context, access
        self._listeners: list[Listener] = []
        self._crowd = Crowd(access.max_connections)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._said_s = -_SAY_EVERY_S

    @property
    def alive(self) -> bool:
        """Whether new TCP connections are judged; without a TCP socket there is nothing to judge."""
        return self._thread is None or self._thread.is_alive()

    def bind(self, socket: "zmq.Socket[bytes]", address: str) -> Door:
        """Bind a socket; `address` was checked before.

        Raises:
            StreamError: when a TCP address cannot be had.
            zmq.ZMQError: when another one cannot.
        """
        if not address.startswith("tcp://"):
            if address.startswith("ipc://"):
                listener = UnixListener(Path(address.removeprefix("ipc://")))
                self._crowd.watch(listener)
                socket.setsockopt(zmq.USE_FD, listener.duplicate())
            socket.bind(address)
            return Door(socket, address, self.access, None)
        self._start()
        far = Listener(address, int(socket.get(zmq.SNDBUF)))
        self._listeners.append(far)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        keys = self.access.keys
        if keys is not None:
            socket.curve_server = True
            socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret.reveal()
        door = Door(socket, far.endpoint, self.access, far)
        door._listen()  # noqa: SLF001 - a door is this module's own
        return door

    def close(self) -> None:
        """End the thread and give the ports back; the sockets are closed by now."""
        self._stop.set()
        self._crowd.close()
        if self._thread is not None:
            self._thread.join()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def _start(self) -> None:
        if self._thread is not None:
            return
        if self._stop.is_set():
            raise StateError("this gate was closed")
        handler = self._handler()
        self._thread = threading.Thread(target=self._run, args=(handler,), name="gate", daemon=True)
        self._thread.start()

    def _handler(self) -> "zmq.Socket[bytes]":
        handler = self._context.socket(zmq.ROUTER)
        handler.linger = 0
        handler.bind(_ENDPOINT)
        return handler

    def _run(self, handler: "zmq.Socket[bytes]") -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._serve(handler)
                except zmq.ContextTerminated:
                    raise
                except Exception:
                    # Whatever it was: the gate is opened anew, because without its handler libzmq refuses every new
                    # connection for ever. Those that stand go on meanwhile.
                    log.critical("the gate failed, no new TCP connection is let in meanwhile", exc_info=True)
                    handler.close(linger=0)
                    handler = self._again()
        except zmq.ContextTerminated:
            log.warning("the ZeroMQ context was ended before its gate was closed")
        finally:
            handler.close(linger=0)

    def _again(self) -> "zmq.Socket[bytes]":
        """Open the handler anew, as soon as that is possible."""
        while True:
            self._stop.wait(_AGAIN_S)
            try:
                return self._handler()
            except zmq.ContextTerminated:
                raise
            except zmq.ZMQError as error:
                if self._stop.is_set():
                    raise
                self._say("the gate cannot be opened again: %s", error)

    def _serve(self, handler: "zmq.Socket[bytes]") -> None:
        refreshed_s = time.monotonic()
        while not self._stop.is_set():
            self._await(handler)
            while handler.poll(0):
                self._answer(handler)
            self._limit()
            now_s = time.monotonic()
            if now_s - refreshed_s >= _REFRESH_S:
                refreshed_s = now_s
                self._refresh()

    def _await(self, handler: "zmq.Socket[bytes]") -> None:
        """Wait for a request, or for a connection: a flood is seen when it begins, not a turn later."""
        poller = zmq.Poller()
        poller.register(handler, zmq.POLLIN)
        for listener in tuple(self._listeners):
            if not listener.is_shut:  # one that is shut may be readable for as long as no descriptor is left
                poller.register(listener.fileno(), zmq.POLLIN)
        poller.poll(_TURN_MS)

    def _answer(self, handler: "zmq.Socket[bytes]") -> None:
        """Answer one request: [route, "", "1.0", id, domain, address, identity, mechanism, credentials...]."""
        route, empty, version, request_id, _, address, _, mechanism, *credentials = handler.recv_multipart()
        user_id = None
        try:
            user_id = self.access.judge(mechanism.decode(), address.decode(), credentials)
        except Exception:
            # A fault in judging must let nobody in, and must not end the gate for everybody else.
            self.access.counts.faults += 1
            log.exception("a connection could not be judged, it is refused")
        if user_id is None:
            self.access.counts.refused += 1
            self._say(
                "a connection from %r with %r was refused: its key is not on the list", address, mechanism
            )
            # 300, not 400: libzmq then hangs up when the time for the handshake is over, and a client that is allowed
            # later gets in by itself. After 400 its socket would never try again.
            status = [b"300", b"not on the list", b""]
        else:
            self.access.counts.admitted += 1
            status = [b"200", b"OK", user_id.encode()]
        handler.send_multipart([route, empty, version, request_id, *status, b""])

    def _refresh(self) -> None:
        if self.access.refresh():
            allowed = self.access.allowed
            problems = () if allowed is None else allowed.problems
            log.info("the allow-list was read again: %d clients", len(allowed.peers) if allowed else 0)
            for problem in problems:
                log.warning("%s", problem)

    def _limit(self) -> None:
        """Shut the listeners that have their number of connections, and all when descriptors run out."""
        left, used = descriptors()
        limit = most_connections(self.access.max_connections, left + used)
        scarce = left < used // 3
        if used < limit and not any(listener.is_shut for listener in self._listeners):
            return  # nobody can have reached it
        counts = connections_by_port()
        for listener in self._listeners:
            here = counts.get(listener.port, 0)
            full = scarce or here >= limit
            if full and not listener.is_shut:
                self._say(
                    "%s has %d connections of at most %d%s: new connections wait",
                    listener.endpoint, here, limit, ", and few files may still be opened" if scarce else "",
                )  # fmt: skip
            listener.shut(shut=full)

    def _say(self, text: str, *values: object) -> None:
        """Log what a stranger can cause as often as it likes, but not as often."""
        now_s = time.monotonic()
        if now_s - self._said_s >= _SAY_EVERY_S:
            self._said_s = now_s
            log.warning(text, *values)
