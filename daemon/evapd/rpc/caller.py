"""Who is being served: known to a handler, and to what it calls, without being handed through every signature."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from evapd.security.roles import LOCAL, Peer


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked, and under which id.

    Attributes:
        peer: as the connection proved it.
        client: what the program calls itself, "" when it does not; believed only together with the peer.
        request_id: id of the request, "" when it had none.
        asked_by: for whom this program says that it asks; recorded, never believed.
    """

    peer: Peer = LOCAL
    client: str = ""
    request_id: str = ""
    asked_by: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Give it for the record."""
        said = {"peer": self.peer.name, "client": self.client, "id": self.request_id}
        return said | ({"asked_by": dict(self.asked_by)} if self.asked_by else {})

    def as_asked_by(self) -> dict[str, str]:
        """Give it as the `asked_by` of a request that is passed on: only what is proved or was under our eyes."""
        return {"peer": self.peer.name, "client": self.client, "id": self.request_id}

    def __str__(self) -> str:
        return f"{self.peer.name} ({self.client})" if self.client else self.peer.name


_SERVED: ContextVar[Caller | None] = ContextVar("served", default=None)


def served() -> Caller | None:
    """Give whose request this thread is answering; None when it acts by itself."""
    return _SERVED.get()


@contextmanager
def serving(caller: Caller) -> Iterator[None]:
    """Answer a request of `caller` on this thread."""
    token = _SERVED.set(caller)
    try:
        yield
    finally:
        _SERVED.reset(token)
