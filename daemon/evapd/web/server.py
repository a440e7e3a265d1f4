"""The HTTP server, every limit set."""

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from evapd.errors import StreamError

_CLOSE_S = 2
_MOST_READ_BYTES = 4096  # of one WebSocket message: the page sends none
_BACKLOG = 64
REQUEST_S = 5.0  # from the connection to a whole request's head


class _Punctual(H11Protocol):
    """Ends a connection whose first request does not come: half a head, byte by byte, would hold it for ever."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._late = self.loop.call_later(REQUEST_S, self._end_if_late)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: object) -> None:
        if self._late is not None:
            self._late.cancel()
        super().handle_websocket_upgrade(event)  # type: ignore[arg-type]  # h11's own event

    def _end_if_late(self) -> None:
        if not self.cycle:
            self.transport.close()


def make_server(app: ASGIApp, max_clients: int) -> uvicorn.Server:
    """Make the server of an application for so many viewers."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            http=_Punctual,
            ws="websockets-sansio",
            ws_max_size=_MOST_READ_BYTES,
            ws_per_message_deflate=False,  # loopback is faster than any compression
            timeout_graceful_shutdown=_CLOSE_S,
            proxy_headers=False,  # access.py looks at them itself
            limit_concurrency=max_clients * 4 + 16,
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
