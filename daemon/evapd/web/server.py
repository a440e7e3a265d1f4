"""The HTTP server, every limit set."""

import asyncio
import socket
import time
from typing import ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from evapd.errors import StreamError

_CLOSE_S = 2
_MOST_READ_BYTES = 4096  # of one WebSocket message: the page says a word
_MOST_SAID_BYTES = 16 * 1024.0  # by one viewer at once
_SAID_BYTES_PER_S = 256.0  # five times what a page says
_BACKLOG = 64
REQUEST_S = 5.0  # from the connection to a whole request's head


class _Punctual(H11Protocol):
    """Ends a connection whose request does not come: half a head, byte by byte, would hold it for ever.

    When there are too many, the one that is there longest makes room: whoever holds connections, silent, slow or not reading,
    keeps nobody's abort out. Viewers' feeds are not among them.
    """

    there: ClassVar[dict["_Punctual", None]]  # the oldest first
    most: ClassVar[int]
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.there[self] = None
        if len(self.there) > self.most:
            next(iter(self.there)).make_room()
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self.there.pop(self, None)
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering:
            self._expect_nothing()
        elif self._late is None and self in self.there:  # a part of the next request
            self._expect_request()

    def handle_websocket_upgrade(self, event: object) -> None:
        self.there.pop(self, None)
        self._expect_nothing()
        super().handle_websocket_upgrade(event)  # type: ignore[arg-type]  # h11's own event

    def make_room(self) -> None:
        """End at once."""
        self.there.pop(self, None)
        self.transport.abort()

    @property
    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _expect_request(self) -> None:
        self._late = self.loop.call_later(REQUEST_S, self._end_if_late)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end_if_late(self) -> None:
        self._late = None
        if not self._is_answering:
            self.transport.close()


class _Quiet(WebSocketsSansIOProtocol):
    """Ends a viewer who says much: a page answers pings and says five times a second which picture it has seen.

    Pings, which are all answered, and empty fragments, which are all kept, never become a message that somebody could count.
    """

    _left: float | None = None
    _at_s = 0.0

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        if self._left is None:  # the request itself
            self._left = _MOST_SAID_BYTES
        else:
            self._left = min(_MOST_SAID_BYTES, self._left + (now_s - self._at_s) * _SAID_BYTES_PER_S) - len(
                data
            )
        self._at_s = now_s
        if self._left < 0:
            self.transport.abort()
            return
        super().data_received(data)


def make_server(app: ASGIApp, max_clients: int) -> uvicorn.Server:
    """Make the server of an application for so many viewers."""
    most = max_clients * 4 + 16
    mine = type("_PunctualHere", (_Punctual,), {"there": {}, "most": most})
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            http=mine,
            ws=_Quiet,
            ws_max_size=_MOST_READ_BYTES,
            ws_per_message_deflate=False,  # loopback is faster than any compression
            timeout_graceful_shutdown=_CLOSE_S,
            proxy_headers=False,  # access.py looks at them itself
            limit_concurrency=2 * most,  # viewers' feeds among them
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """Bind before readiness is told.

    Raises:
        StreamError: when the address cannot be had, with what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise StreamError(
            f"the display cannot listen on {host}:{port}: {error.strerror}; is another evapd running? web.address names another port"
        ) from None
    return listening
