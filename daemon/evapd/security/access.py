"""Who is let in at the sockets of a process, decided in one place for every mechanism of ZeroMQ."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from zmq.utils import z85

from evapd.errors import ConfigError
from evapd.security.allowed import AllowList
from evapd.security.keys import ClientKeys, ServerKeys
from evapd.security.roles import LOCAL, Peer, Role

MAX_CONNECTIONS = 256
_IPC = "localhost:"  # how libzmq names a peer on a Unix socket: localhost:UID:GID:PID


@dataclass(slots=True)
class AccessCounts:
    """What happened at the door since the start; written by one thread, read by any."""

    admitted: int = 0
    refused: int = 0
    faults: int = 0  # requests that could not be judged; refused as well


class Access:
    """Without keys: programs on this machine. With keys: on TCP whoever has a key that the allow-list names.

    Args:
        keys: The daemon's own pair; with it, every TCP socket is CURVE, also one on loopback.
        allowed: The clients' keys.
        max_connections: At most so many connections at one socket.
    """

    def __init__(
        self,
        keys: ServerKeys | None = None,
        allowed: AllowList | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.keys, self.allowed, self.max_connections = keys, allowed, max_connections
        self.counts = AccessCounts()

    @classmethod
    def load(cls, folder: Path | None, max_connections: int = MAX_CONNECTIONS) -> Self:
        """Read the daemon's folder of keys; None is a daemon without keys.

        Raises:
            ConfigError: when key or allow-list is missing, damaged, or open to others.
        """
        if folder is None:
            return cls(max_connections=max_connections)
        keys, allowed = ServerKeys.load(folder), AllowList(folder)
        allowed.refresh()
        if allowed.problems:
            raise ConfigError("\n".join(allowed.problems))
        return cls(keys, allowed, max_connections)

    @property
    def own(self) -> ClientKeys | None:
        """Keys with which the daemon's own programs reach it; None where none are needed."""
        keys = self.keys
        return None if keys is None else ClientKeys(keys.public, keys.public, keys.secret)

    @property
    def revoked(self) -> int:
        """How often keys were taken from the allow-list."""
        return 0 if self.allowed is None else self.allowed.revoked

    def refresh(self) -> bool:
        """Read the allow-list again if it has changed; says whether it had."""
        return self.allowed is not None and self.allowed.refresh()

    def judge(self, mechanism: str, address: str, credentials: list[bytes]) -> str | None:
        """Decide over a connection; gives its user id, or None to refuse it.

        Args:
            mechanism: As the ZAP request says: NULL, CURVE, PLAIN, GSSAPI.
            address: The peer's address, as the kernel says.
            credentials: For CURVE the 32 bytes of the client's public key, which it has proved to own.
        """
        if mechanism == "NULL" and not credentials:
            local = address.startswith(_IPC) or (self.keys is None and _is_loopback(address))
            return LOCAL.name if local else None
        if mechanism == "CURVE" and len(credentials) == 1 and len(credentials[0]) == 32:
            user_id = z85.encode(credentials[0]).decode()
            return user_id if self.peer(user_id) is not None else None
        return None

    def peer(self, user_id: str) -> Peer | None:
        """Say who a user id of a CURVE connection is at this moment; None when the key is not allowed (any more)."""
        if self.keys is None or self.allowed is None:
            return None
        if user_id == self.keys.public.decode():
            return Peer("server", Role.OPERATE)
        return self.allowed.peers.get(user_id)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)  # how an IPv6 socket sees an IPv4 peer
    return bool((mapped or parsed).is_loopback)
