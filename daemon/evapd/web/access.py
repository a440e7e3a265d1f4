"""Who looks at the page, and what that one may do.

Three checks, each by itself enough to refuse: the name under which the server was called (against DNS rebinding), the page that
a request comes from (against other sites in the same browser), and the viewer's token.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from evapd.security.roles import Role
from evapd.web.tokens import Tokens
from evapd.webaddress import is_loopback

TOKEN_PROTOCOL = "evapd.token."  # noqa: S105 - the name of a WebSocket subprotocol, behind which a token stands
# What reverse proxies add; every name that begins with x-forwarded counts too.
_FORWARDED = frozenset(
    {
        "forwarded",
        "x-real-ip",
        "via",
        "x-client-ip",
        "client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-cluster-client-ip",
        "x-original-host",
    }
)
# One of each: which of two counts is read differently by a proxy and by us.
_ONCE = ("host", "origin", "sec-fetch-site", "authorization", "content-type")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who may look; `name` is that of the token, or "local"."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not; `status` is the HTTP status code."""

    status: int
    why: str


class Access:
    """Judges requests.

    Args:
        address: HOST:PORT that the server listens on.
        tokens: Who has a token; None when nobody has.
        hosts: Further names of the server, as a reverse proxy serves it.
        local_role: What somebody on the daemon's own machine may do without a token.
    """

    def __init__(self, address: str, tokens: Tokens | None, hosts: Iterable[str], local_role: Role) -> None:
        host, _, port = address.rpartition(":")
        self._any_host = host in ("0.0.0.0", "[::]")  # noqa: S104 - compared with, not bound to
        local = self._any_host or is_loopback(host.strip("[]"))
        names = {host, *_LOOPBACK} if local else {host}
        own = {f"{name}:{port}".lower() for name in names}
        if port == "80":
            own |= {name.lower() for name in names}
        # Under a name of web.hosts a proxy serves us: whoever uses it is not known to be on this machine.
        self._own, self._hosts = own, own | {name.lower() for name in hosts}
        self._tokens, self._local_role = tokens, local_role

    def judge(
        self, headers: Mapping[str, str], peer_host: str, token: str, *, relayed: bool = False
    ) -> Viewer | Refusal:
        """Judge one request by its headers (lower-case names), its peer's address, and its token ("" for none).

        `relayed`: something else than the headers tells that a proxy has sent it.
        """
        host = headers.get("host", "").lower()
        # A server that listens at every address has names that it does not know: there a token is proof enough, and asked for.
        if host not in self._hosts and not self._any_host:
            return Refusal(403, f"this server is not called {host!r}: name it in web.hosts")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
            return Refusal(403, "a page of another site may not use this one")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return Refusal(403, "a page of another site may not use this one")
        if token:
            found = self._tokens.find(token) if self._tokens is not None else None
            return (
                Viewer(*found)
                if found is not None
                else Refusal(401, "the token is not valid: ask who runs evapd")
            )
        # A reverse proxy speaks from this machine for somebody who is not on it.
        relayed = relayed or is_forwarded(headers)
        if host in self._own and is_loopback(peer_host.strip("[]")) and not relayed:
            return Viewer("local", self._local_role)
        return Refusal(401, "a token is needed: ask who runs evapd")


def is_forwarded(names: Iterable[str]) -> bool:
    """Whether headers of these names (lower case) tell of a reverse proxy."""
    return any(name in _FORWARDED or name.startswith("x-forwarded") for name in names)


def token_of(headers: Mapping[str, str]) -> str:
    """Find the token of a request: `Authorization: Bearer`, or, for a WebSocket, a subprotocol."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    for name in headers.get("sec-websocket-protocol", "").split(","):
        if name.strip().startswith(TOKEN_PROTOCOL):
            return name.strip().removeprefix(TOKEN_PROTOCOL)
    return ""


def viewer_of(connection: HTTPConnection, access: Access) -> Viewer | Refusal:
    """Judge who asks, over HTTP or a WebSocket."""
    headers = {name.lower(): value for name, value in connection.headers.items()}
    twice = [name for name in _ONCE if len(connection.headers.getlist(name)) > 1]
    if twice:
        return Refusal(400, f"{twice[0]} stands twice in the request")
    peer = connection.client.host if connection.client else ""
    # No browser speaks HTTP/1.0, and a proxy that was not told to add headers does.
    relayed = connection.scope.get("http_version") == "1.0"
    return access.judge(headers, peer, token_of(headers), relayed=relayed)
