"""Headers that every answer carries, and that keep foreign code out of the page."""

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evapd.web.access import is_forwarded

# plotly sets inline styles and builds its 3-D view and its downloads from blob: and data: addresses; no script is inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A report carries its pictures with it and needs no script at all.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
)
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


_ENDS_CONNECTION = frozenset({400, 408, 413})


class SafeHeaders:
    """Adds them to every HTTP answer that has not set its own; one connection of a proxy carries one request.

    A second request on it could be one that somebody has hidden in the first (request smuggling): the proxy has not seen it, and
    has not marked it as coming from elsewhere.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        names = {name.decode("latin-1").lower() for name, _ in scope["headers"]}
        closes = is_forwarded(names)

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                if closes or message["status"] in _ENDS_CONNECTION:
                    headers["Connection"] = "close"
            await send(message)

        if {"content-length", "transfer-encoding"} <= names:
            refused = PlainTextResponse("both Content-Length and Transfer-Encoding: where does it end?", 400)
            await refused(scope, receive, send_with)
            return
        await self._app(scope, receive, send_with)
