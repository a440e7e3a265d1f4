"""The live display: where it listens and who may see it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from evapd.config.section import Section


class Web(Section):
    """The page in the browser (docs/display.md)."""

    enabled: bool = True  # whether `evapd run` starts it
    # HOST:PORT. Any host but a loopback address needs `tokens`, because everybody in that network can reach it.
    address: Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):\d{1,5}$")] = (
        "127.0.0.1:17606"
    )
    tokens: Path | None = None  # file written by `evapd web-token`; relative to this file
    # Names under which a reverse proxy serves the page, as the browser's address bar shows them: host or host:port.
    hosts: tuple[str, ...] = ()
    # What a viewer without a token may do, on the daemon's own machine. Whoever comes otherwise needs a token.
    local_role: Literal["read", "operate"] = "operate"
    max_clients: Annotated[int, Field(ge=1, le=1000)] = 32
