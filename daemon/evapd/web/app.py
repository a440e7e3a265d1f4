"""The routes of the display."""

import asyncio
import contextlib
import importlib.util
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from evapd.errors import StateError, StreamError
from evapd.web.access import Access, Refusal, Viewer, viewer_of
from evapd.web.alarms import ACKNOWLEDGE, AlarmDesk
from evapd.web.bodies import read_json
from evapd.web.commands import Commands, Forbidden, refusal
from evapd.web.headers import SafeHeaders
from evapd.web.hub import SEEN, Hub, Seat
from evapd.web.relay import Relay, envelope

STATIC = Path(__file__).parent / "static"
PROTOCOL = "evapd.1"
_AGAIN_S = 1.0
_ABORTS_AT_ONCE = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes work with."""

    access: Access
    hub: Hub
    relay: Relay
    commands: Commands
    max_clients: int
    title: str
    alarms: AlarmDesk
    routes: tuple[Route, ...] = ()  # of finished runs


def make_app(parts: Parts) -> Starlette:
    """Put the routes together."""
    here = _Routes(parts)
    app = Starlette(
        routes=[
            Route("/", here.page),
            Route("/plotly.min.js", here.plotly),
            Route("/api/session", here.session),
            Route("/api/points", here.points),
            Route("/api/command", here.command, methods=["POST"]),
            WebSocketRoute("/ws", here.socket),
            *parts.routes,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(SafeHeaders)],
        lifespan=here.lifespan,
    )
    app.router.redirect_slashes = False  # it would send on to whatever Host the request names
    return app


class _Routes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._plotly = _find_plotly()
        self._for_aborts = anyio.CapacityLimiter(_ABORTS_AT_ONCE)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._for_ever(run))
            for run in (self._parts.relay.run, self._parts.alarms.follow)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._parts.alarms.close()
            self._parts.commands.close()

    async def _for_ever(self, run: Callable[[], Awaitable[None]]) -> None:
        """Begin again after a fault: a page without data would look like a daemon that is silent."""
        while True:
            try:
                await run()
            except Exception:
                log.exception("the display lost the daemon's sockets by a fault; it subscribes again")
            await asyncio.sleep(_AGAIN_S)

    async def page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def plotly(self, _request: Request) -> Response:
        return FileResponse(
            self._plotly, media_type="text/javascript", headers={"Cache-Control": "max-age=86400"}
        )

    async def session(self, request: Request) -> Response:
        """Who the viewer is; the page asks this first."""
        viewer = viewer_of(request, self._parts.access)
        if isinstance(viewer, Refusal):
            return _refused(viewer)
        return JSONResponse(
            {"name": viewer.name, "role": str(viewer.role), "title": self._parts.title}, headers=_NOT_KEPT
        )

    async def points(self, request: Request) -> Response:
        """The last points of the 3-D view, for a page that was opened late."""
        viewer = viewer_of(request, self._parts.access)
        if isinstance(viewer, Refusal):
            return _refused(viewer)
        return Response(
            self._parts.relay.points.packed(), media_type="application/octet-stream", headers=_NOT_KEPT
        )

    async def command(self, request: Request) -> Response:
        viewer = viewer_of(request, self._parts.access)
        if isinstance(viewer, Refusal):
            return _refused(viewer)
        # A form of another site cannot send this type without the browser asking first.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused(Refusal(415, "send application/json"))
        asked = await read_json(request)
        if isinstance(asked, Refusal):
            return _refused(asked)
        command, args = asked.get("cmd"), asked.get("args", {})
        if not isinstance(command, str) or not isinstance(args, dict):
            return _refused(Refusal(400, "send cmd, a text, and args, an object"))
        try:
            result = await self._carry_out(viewer, command, args)
        except (Forbidden, StreamError) as error:
            status, why = refusal(error)
            return JSONResponse({"ok": False, "error": why}, status, headers=_NOT_KEPT)
        return JSONResponse({"ok": True, "result": result}, headers=_NOT_KEPT)

    async def _carry_out(self, viewer: Viewer, command: str, args: dict[str, Any]) -> dict[str, Any]:
        if command == ACKNOWLEDGE:
            return await self._parts.alarms.acknowledge(viewer, args)
        # Threads of its own: an abort never waits behind commands that nobody answers.
        limiter = self._for_aborts if command == "abort" else None
        return await anyio.to_thread.run_sync(
            self._parts.commands.carry_out, viewer, command, args, limiter=limiter
        )

    async def socket(self, websocket: WebSocket) -> None:
        viewer = viewer_of(websocket, self._parts.access)
        if isinstance(viewer, Refusal):
            await websocket.close(1008, viewer.why[:120])
            return
        if self._parts.hub.viewers >= self._parts.max_clients:
            await websocket.close(1013, "too many viewers")
            return
        offered = websocket.scope.get("subprotocols", [])
        await websocket.accept(PROTOCOL if PROTOCOL in offered else None)
        hello = {"name": viewer.name, "role": str(viewer.role), "title": self._parts.title}
        seat = self._parts.hub.join()
        try:
            await websocket.send_bytes(envelope("hello", json.dumps(hello).encode()))
            await _serve_seat(websocket, seat)
        finally:
            self._parts.hub.leave(seat)


async def _serve_seat(websocket: WebSocket, seat: Seat) -> None:
    """Send what waits; the page says here which pictures it has seen, and whatever else it says is forgotten."""

    async def send() -> None:
        while True:
            await websocket.send_bytes(await seat.next())

    sending = asyncio.create_task(send())
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") == SEEN:
                seat.seen()
    except (WebSocketDisconnect, RuntimeError):
        return
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, OSError):
            await sending


_NOT_KEPT = {"Cache-Control": "no-store"}


def _refused(refused: Refusal) -> Response:
    kind = {401: "Unauthorized", 403: "Forbidden"}.get(refused.status, "InvalidRequest")
    return JSONResponse(
        {"ok": False, "error": {"kind": kind, "message": refused.why}}, refused.status, headers=_NOT_KEPT
    )


def _find_plotly() -> Path:
    """Where the installed plotly keeps its library for browsers; the package itself, slow to import, is not imported."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise StateError("plotly is not installed: pip install plotly")
    path = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    if not path.is_file():
        raise StateError(f"{path} is missing: install plotly again")
    return path
