"""Who asks, and what that one may do: two roles, the same on every socket."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a peer may do. `abort` belongs to both."""

    READ = "read"
    OPERATE = "operate"

    def allows(self, needed: "Role") -> bool:
        """Whether this role is enough for what needs `needed`."""
        return self is Role.OPERATE or needed is Role.READ


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a message, as its connection proved it; never what the message says of itself.

    `name` is that of the key in the allow-list, or "local" for a connection over loopback or ipc without a key.
    """

    name: str
    role: Role


LOCAL = Peer("local", Role.OPERATE)
"""A program on the daemon's own machine: loopback and ipc are open to it (docs/security.md)."""
