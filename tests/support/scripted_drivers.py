"""Drivers at a scripted peer: made with usual settings, opened, and closed at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.scripted_peer import Peer, SocketPeer


@contextmanager
def drivers_at(peer: Peer, folder: Path, driver: type[Any], **usual: object) -> Iterator[Callable[..., Any]]:
    """Give `make(*, opened=True, keywords={}, **settings)`, which makes a driver; what opening asked is not in `peer.heard`."""
    wire = SocketPeer(folder / "peer.sock", peer.feed)
    made: list[Any] = []

    def make(*, opened: bool = True, keywords: dict[str, Any] | None = None, **settings: object) -> Any:
        config = driver.Config(**{"connect": wire.connect, "timeout_s": 5.0} | usual | settings)
        made.append(driver(config, **keywords or {}))
        if opened:
            made[-1].open()
            peer.heard.clear()
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()
        wire.close()
