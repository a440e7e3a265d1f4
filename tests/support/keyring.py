"""Folders of keys for tests: a daemon's, and one for each client."""

from pathlib import Path

from evapd.security import folder
from evapd.security.access import Access
from evapd.security.keys import ClientKeys
from evapd.security.roles import Role


class Keyring:
    """A daemon's folder `server`, and a folder for each client beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = path / "server"
        self.public = folder.new_server(self.server)

    def client(self, name: str, role: str | None = None) -> ClientKeys:
        """Make a client's keys, and allow them where a role is given."""
        public = folder.new_client(self.path / name, self.public)
        if role is not None:
            folder.allow(self.server, public, name, Role(role))
        return ClientKeys.load(self.path / name)

    def access(self, **more: int) -> Access:
        """Read what the daemon reads."""
        return Access.load(self.server, **more)

    def secrets(self) -> list[bytes]:
        """Every secret key in every folder."""
        files = self.path.glob("*/*.key")
        return [
            line.split("'")[1].encode()
            for file in files
            for line in file.read_text().splitlines()
            if "secret:" in line
        ]
