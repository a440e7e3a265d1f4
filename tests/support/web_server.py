"""The display's server in front of a daemon without instruments, on a thread of the test's process."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evapd.security.roles import Role
from evapd.web.access import Access
from evapd.web.alarms import AlarmDesk
from evapd.web.app import Parts, make_app
from evapd.web.commands import Commands
from evapd.web.hub import Hub
from evapd.web.relay import Relay
from evapd.web.runs import run_routes
from evapd.web.server import listen, make_server
from evapd.web.tokens import Tokens
from support.stream_daemon import Daemon
from support.wait import wait_for


class WebServer:
    """Serves the page for a `Daemon`, until the end of the `with`."""

    def __init__(
        self,
        daemon: Daemon,
        runs: Path,
        *,
        role: Role = Role.OPERATE,
        tokens: Tokens | None = None,
        max_clients: int = 8,
        alarms_ipc: str | None = None,
    ) -> None:
        self._listening = listen("127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        access = Access(self.address, tokens, (), role)
        self.hub = Hub()
        self._relay = Relay(daemon.publisher.address, daemon.publisher.live_address, self.hub)
        parts = Parts(
            access=access,
            hub=self.hub,
            relay=self._relay,
            commands=Commands(daemon.service.address, None),
            max_clients=max_clients,
            title="test rig",
            alarms=AlarmDesk(
                alarms_ipc or f"ipc://{runs}/alarms.ipc", self.hub, expected=alarms_ipc is not None
            ),
            routes=tuple(run_routes(runs, runs / "cache", access)),
        )
        self._server = make_server(make_app(parts), max_clients)
        self._thread = threading.Thread(target=self._serve, name="web server")

    def _serve(self) -> None:
        asyncio.run(self._server.serve([self._listening]))

    def relay_has_heard(self) -> bool:
        """Whether a live frame has come."""
        return self._relay.last_live_s is not None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def ask(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Give status, headers (lower case) and body of one request."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        usual = {"Content-Type": "application/json"} if data is not None else {}
        request = urllib.request.Request(f"{self.url}{path}", data, usual | (headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def command(
        self, cmd: str, args: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        status, _, body = self.ask("/api/command", {"cmd": cmd, "args": args or {}}, headers)
        return status, json.loads(body)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self._server.started, "the display's server", 30.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(20.0)
        self._listening.close()
