"""The endpoint: HTTP on one thread, bounded in connections, bytes and time whatever the peers do.

The server that comes with prometheus_client makes a thread per connection without any limit and waits for slow peers for ever.
Here one thread serves all; a connection has two seconds and 8 KiB for its request, and when there are too many the oldest goes.
Gathering is done at most five times a second; who asks more often gets the text of before.
"""

import contextlib
import gzip
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from evapd.config.metrics import host_and_port
from evapd.stream.sockets import Waker

_log = logging.getLogger(__name__)
MOST_CONNECTIONS = 32
REQUEST_BYTES = 8 * 1024
PATIENCE_S = 2.0
FRESH_S = 0.2
_AGAIN_S = 10.0  # until a taken port is tried once more
_BACKLOG = 128


@dataclass(slots=True)
class _Peer:
    sock: socket.socket
    until_s: float
    received: bytearray = field(default_factory=bytearray)
    reply: memoryview | None = None
    lingers: bool = False


class Endpoint:
    """Serves a registry on `address` until it is stopped; a port that is taken is tried again and stops nobody."""

    def __init__(
        self, address: str, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address, self._registry, self._clock = host_and_port(address), registry, clock
        self.port = 0  # once it listens
        self.counts = {"renders": 0.0, "seconds": float("nan"), "refused": 0.0}
        self._texts: dict[str, tuple[float, bytes]] = {}
        self._listener: socket.socket | None = None
        self._due_s = 0.0
        self._told = ""
        self._selector = selectors.DefaultSelector()
        self._peers: dict[int, _Peer] = {}
        self._ending = threading.Event()
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._listen()
        self._thread.start()

    def stop(self) -> None:
        """End; connections are closed."""
        self._ending.set()
        self._waker.wake()
        self._thread.join(5.0)
        self._waker.close()

    def _listen(self) -> None:
        host, port = self._address
        self._due_s = self._clock() + _AGAIN_S
        try:
            listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((host, port))
                listener.listen(_BACKLOG)
                listener.setblocking(False)
            except OSError:
                listener.close()
                raise
        except OSError as error:
            if str(error) != self._told:
                _log.warning(
                    "metrics cannot be served on %s port %d: %s; everything else works. Give metrics.address in the rig file "
                    "another port, or write off", host, port, error.strerror,
                )  # fmt: skip
            self._told = str(error)
            return
        self._listener, self.port, self._told = listener, int(listener.getsockname()[1]), ""
        self._selector.register(listener, selectors.EVENT_READ)

    def _run(self) -> None:
        self._selector.register(self._waker.fd, selectors.EVENT_READ)
        try:
            while not self._ending.is_set():
                self._turn()
        except Exception:  # noqa: BLE001 - whatever it was, recording goes on without metrics
            _log.exception("metrics are no longer served; everything else works")
        finally:
            for peer in list(self._peers.values()):
                self._close(peer)
            if self._listener is not None:
                self._listener.close()
            self._selector.close()

    def _turn(self) -> None:
        if self._listener is None and self._clock() >= self._due_s:
            self._listen()
        for key, mask in self._selector.select(0.5 if self._peers or self._listener is None else 5.0):
            if key.fd == self._waker.fd:
                self._waker.clear()
            elif self._listener is not None and key.fileobj is self._listener:
                self._accept(self._listener)
            elif key.fd in self._peers:
                self._serve(self._peers[key.fd], mask)
        now_s = self._clock()
        for peer in [peer for peer in self._peers.values() if now_s >= peer.until_s]:
            self.counts["refused"] += not peer.lingers
            self._close(peer)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:  # it went again, or the process has no descriptors left: the others are served
            self._free_one()
            return
        if len(self._peers) >= MOST_CONNECTIONS:
            self._free_one()
        sock.setblocking(False)
        self._peers[sock.fileno()] = _Peer(sock, self._clock() + PATIENCE_S)
        self._selector.register(sock, selectors.EVENT_READ)

    def _free_one(self) -> None:
        if self._peers:
            self.counts["refused"] += 1
            self._close(next(iter(self._peers.values())))  # the oldest

    def _serve(self, peer: _Peer, mask: int) -> None:
        try:
            if mask & selectors.EVENT_READ:
                self._read(peer)
            elif peer.reply is not None:
                self._write(peer)
        except OSError:  # the peer is gone
            self._close(peer)

    def _read(self, peer: _Peer) -> None:
        data = peer.sock.recv(REQUEST_BYTES)
        if not data:
            self._close(peer)
            return
        if peer.lingers:
            return  # what comes behind a request is thrown away, so that the close is not a reset
        peer.received += data
        if b"\r\n\r\n" in peer.received or b"\n\n" in peer.received:
            peer.reply = memoryview(self._answer(bytes(peer.received)))
        elif len(peer.received) > REQUEST_BYTES:
            peer.reply = memoryview(_page("431 Request Header Fields Too Large", b"too long\n"))
        if peer.reply is not None:
            self._write(peer)

    def _write(self, peer: _Peer) -> None:
        assert peer.reply is not None  # noqa: S101 - called with one only
        with contextlib.suppress(BlockingIOError):
            peer.reply = peer.reply[peer.sock.send(peer.reply) :]
        if peer.reply:
            self._selector.modify(peer.sock, selectors.EVENT_WRITE)
            return
        peer.sock.shutdown(socket.SHUT_WR)
        peer.lingers, peer.until_s = True, min(peer.until_s, self._clock() + 0.5)
        self._selector.modify(peer.sock, selectors.EVENT_READ)

    def _close(self, peer: _Peer) -> None:
        self._peers.pop(peer.sock.fileno(), None)
        self._selector.unregister(peer.sock)
        peer.sock.close()

    def _answer(self, request: bytes) -> bytes:
        lines = request.decode("latin-1").splitlines()
        words = (lines or [""])[0].split()
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _page("400 Bad Request", b"this is an HTTP server for Prometheus\n")
        method, path = words[0], words[1].partition("?")[0]
        if method not in {"GET", "HEAD"}:
            return _page("405 Method Not Allowed", b"only GET and HEAD\n", "Allow: GET, HEAD")
        if path not in {"/metrics", "/"}:
            return _page("404 Not Found", b"the metrics are at /metrics\n")
        headers = dict(_header(line) for line in lines[1:] if ":" in line)
        try:
            body, kind = self._text(headers.get("accept", ""))
        except Exception:  # noqa: BLE001 - a fault in one metric must not end the endpoint
            _log.exception("metrics cannot be gathered")
            return _page(
                "500 Internal Server Error", b"the metrics could not be gathered: see the daemon's log\n"
            )
        further = [f"Content-Type: {kind}"]
        if "gzip" in headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            further.append("Content-Encoding: gzip")
        return _page("200 OK", body, *further, head=method == "HEAD")

    def _text(self, accept: str) -> tuple[bytes, str]:
        wanted = "application/openmetrics-text" in accept
        kind = openmetrics.CONTENT_TYPE_LATEST if wanted else CONTENT_TYPE_LATEST
        before = self._texts.get(kind)
        began_s = self._clock()
        if before is not None and began_s - before[0] < FRESH_S:
            return before[1], kind
        encode: Callable[[CollectorRegistry], bytes] = (
            openmetrics.generate_latest if wanted else generate_latest
        )
        text = encode(self._registry)
        self.counts["renders"] += 1
        self.counts["seconds"] = self._clock() - began_s
        self._texts[kind] = (self._clock(), text)
        return text, kind


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _page(status: str, body: bytes, *headers: str, head: bool = False) -> bytes:
    if not any(one.startswith("Content-Type") for one in headers):
        headers = (*headers, "Content-Type: text/plain; charset=utf-8")
    lines = (
        f"HTTP/1.1 {status}",
        *headers,
        f"Content-Length: {len(body)}",
        "Connection: close",
        "Cache-Control: no-store",
    )
    return "\r\n".join((*lines, "", "")).encode("latin-1", "replace") + (b"" if head else body)
