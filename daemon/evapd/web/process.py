"""The web process: configuration, then the server until somebody asks it to end."""

import asyncio
import logging
import socket
import sys
from pathlib import Path

import uvicorn

from evapd.config import LoadedRig, load_rig
from evapd.errors import ConfigError, EvapdError, StreamError
from evapd.logging import setup
from evapd.notify import Notifier
from evapd.security.roles import Role
from evapd.web.access import Access, is_loopback
from evapd.web.app import Parts, make_app
from evapd.web.commands import Commands
from evapd.web.hub import Hub
from evapd.web.relay import Relay
from evapd.web.runs import run_routes
from evapd.web.tokens import Tokens

EXIT_CONFIG = 78
_CLOSE_S = 2
_MOST_READ_BYTES = 4096  # of one WebSocket message: the page sends none
_BACKLOG = 64

log = logging.getLogger(__name__)


def main(config: Path, folder: Path | None) -> int:
    """Run the web process; gives its exit code: 0 done, 1 failed, 78 invalid configuration."""
    stop_logging = setup("web")
    try:
        return _serve(load_rig(config, folder))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    except (EvapdError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - said on purpose: a message, not a traceback
        return 1
    finally:
        stop_logging()


def _serve(loaded: LoadedRig) -> int:
    web = loaded.rig.web
    host, _, port = web.address.rpartition(":")
    tokens = Tokens(loaded.path.parent / web.tokens) if web.tokens is not None else None
    if not is_loopback(host) and tokens is None:
        raise ConfigError(
            f"{loaded.path}: web.address {web.address} can be reached from other machines: name a file of tokens in "
            "web.tokens (evapd web-token makes it), or stay on 127.0.0.1 and put a reverse proxy in front"
        )
    hub = Hub()
    sockets = loaded.rig.sockets
    access = Access(web.address, tokens, web.hosts, Role(web.local_role))
    parts = Parts(
        access=access,
        hub=hub,
        relay=Relay(sockets.stream, sockets.live, hub),
        commands=Commands(sockets.control, loaded.layout.guard_ipc),
        max_clients=web.max_clients,
        title=loaded.rig.name,
        routes=tuple(run_routes(loaded.layout.runs, loaded.layout.folder / "cache" / "reports", access)),
    )
    listening = _listen(host.strip("[]"), int(port))
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(parts),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=_MOST_READ_BYTES,
            ws_per_message_deflate=False,  # loopback is faster than any compression
            timeout_graceful_shutdown=_CLOSE_S,
            proxy_headers=False,  # access.py looks at them itself
            limit_concurrency=web.max_clients * 4 + 16,
        )
    )
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


def _listen(host: str, port: int) -> socket.socket:
    """Bind before readiness is told, with an error that says what to do."""
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
    listening.set_inheritable(False)
    return listening
