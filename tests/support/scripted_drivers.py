"""Drivers at a scripted peer: made with usual settings, opened, and closed at the end."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from support.scripted_line import ScriptedLine


class Scripted(Protocol):
    """What answers; `heard` holds every command as it came."""

    heard: list[Any]

    def feed(self, data: bytes) -> bytes:
        """Take what came, give what is due."""
        ...


@contextmanager
def drivers_at(
    peer: Scripted, folder: Path, driver: type[Any], **usual: object
) -> Iterator[Callable[..., Any]]:
    """Give `make(*, opened=True, keywords={}, **settings)`, which makes a driver; what opening asked is not in `peer.heard`.

    Its cable is `make.line`: silence and pauses take no time.
    """
    line = ScriptedLine(peer.feed)
    own = {"transport_factory": line.open, "clock": line.clock, "sleep": line.clock.sleep}
    own = {name: own[name] for name in own if name in inspect.signature(driver).parameters}
    made: list[Any] = []

    def make(*, opened: bool = True, keywords: dict[str, Any] | None = None, **settings: object) -> Any:
        config = driver.Config(**{"connect": f"unix:{folder / 'peer.sock'}"} | usual | settings)
        made.append(driver(config, **own | (keywords or {})))
        if opened:
            made[-1].open()
            peer.heard.clear()
        return made[-1]

    make.line = line  # type: ignore[attr-defined] # beside the drivers, for faults of the cable
    try:
        yield make
    finally:
        for one in made:
            one.close()
