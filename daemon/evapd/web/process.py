"""The web process: configuration, then the server until somebody asks it to end."""

import asyncio
import logging
import socket
from pathlib import Path

import uvicorn

from evapd.config import LoadedRig, load_rig
from evapd.errors import ConfigError
from evapd.notify import Notifier
from evapd.process import run_process
from evapd.security.access import Access as DoorKeys
from evapd.security.roles import Role
from evapd.stream.sockets import reachable
from evapd.web.access import Access
from evapd.web.alarms import AlarmDesk
from evapd.web.app import Parts, make_app
from evapd.web.commands import Commands
from evapd.web.hub import Hub
from evapd.web.relay import Relay
from evapd.web.runs import run_routes
from evapd.web.server import listen, make_server
from evapd.web.tokens import Tokens
from evapd.webaddress import is_loopback

log = logging.getLogger(__name__)


def main(config: Path, folder: Path | None) -> int:
    """Run the web process; gives its exit code: 0 done, 1 failed, 78 invalid configuration."""
    return run_process("web", lambda: _serve(load_rig(config, folder)))


def _serve(loaded: LoadedRig) -> int:
    web = loaded.rig.web
    host, _, port = web.address.rpartition(":")
    tokens = Tokens(loaded.path.parent / web.tokens) if web.tokens is not None else None
    if not is_loopback(host.strip("[]")) and tokens is None:
        raise ConfigError(
            f"{loaded.path}: web.address {web.address} can be reached from other machines: name a file of tokens in "
            "web.tokens (evapd web-token makes it), or stay on 127.0.0.1 and put a reverse proxy in front"
        )
    hub = Hub()
    sockets = loaded.rig.sockets
    own = DoorKeys.load(sockets.keys).own
    access = Access(web.address, tokens, web.hosts, Role(web.local_role))
    parts = Parts(
        access=access,
        hub=hub,
        relay=Relay(reachable(sockets.stream), reachable(sockets.live), hub, keys=own),
        commands=Commands(reachable(sockets.control), loaded.layout.guard_ipc, keys=own),
        max_clients=web.max_clients,
        title=loaded.rig.name,
        alarms=AlarmDesk(loaded.layout.alarms_ipc, hub, expected=bool(loaded.rig.alarms.hooks)),
        routes=tuple(run_routes(loaded.layout.runs, loaded.layout.folder / "cache" / "reports", access)),
    )
    listening = listen(host.strip("[]"), int(port))
    server = make_server(make_app(parts), web.max_clients)
    notifier = Notifier()
    notifier.ready(f"http://{web.address}/")
    log.info("the display is at http://%s/", web.address)
    asyncio.run(_until_ended(server, listening, notifier))
    return 0


async def _until_ended(server: uvicorn.Server, listening: socket.socket, notifier: Notifier) -> None:
    async def tend() -> None:
        while True:
            notifier.watchdog()
            await asyncio.sleep(0.5)

    tending = asyncio.create_task(tend())
    try:
        await server.serve([listening])
    finally:
        tending.cancel()
        notifier.stopping()
