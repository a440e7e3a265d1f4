"""The allow-list: a text file with one client per line, read again whenever it changes (docs/security.md).

    # name role key
    alice operate rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7

A line that is not right allows nobody, and neither does a file that cannot be read, or that others may write.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from evapd.errors import ConfigError
from evapd.security.files import private_folder, read_private
from evapd.security.keys import is_key
from evapd.security.roles import Peer, Role

FILE_NAME = "allowed"
HEAD = "# Who is let in: name role key, one per line. Roles: read, operate. Read again whenever it changes.\n"
RESERVED = frozenset({"local", "server"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_WORD = re.compile(r"[^ \t]+")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One line of the list."""

    name: str
    role: Role
    key: str

    @property
    def line(self) -> str:
        """The line as it stands in the file."""
        return f"{self.name} {self.role} {self.key}"


def check_name(name: str) -> str:
    """Accept a name for a client.

    Raises:
        ConfigError: when it is none.
    """
    if _NAME.fullmatch(name) is None or name in RESERVED:
        raise ConfigError(
            f"{name!r} is not a name for a client: 1 to 32 letters, digits, '.', '_', '-', "
            f"beginning with a letter or digit, and not {' or '.join(sorted(RESERVED))}"
        )
    return name


def parse(text: str, file: str) -> tuple[list[Allowed], list[str]]:
    """Read the list; gives the lines that are right, and a message file:line:column: for each that is not."""
    good: list[Allowed] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = list(_WORD.finditer(line))
        if not words or line.startswith("#"):
            continue
        column, what = 1, ""
        texts = [word.group() for word in words]
        if len(texts) != 3:
            what = f"{len(texts)} words, wanted are three: name role key"
        elif _NAME.fullmatch(texts[0]) is None or texts[0] in RESERVED:
            what = "the first word is not a name for a client (letters, digits, '.', '_', '-'; not local, not server)"
        elif texts[1] not in set(Role):
            column, what = words[1].start() + 1, "the second word is not a role, wanted is read or operate"
        elif not is_key(texts[2]):
            column, what = words[2].start() + 1, "the third word is not a key of 40 characters (Z85)"
        elif any(entry.name == texts[0] for entry in good):
            what = f"the name {texts[0]} stands above already, allowed is one line per name"
        elif any(entry.key == texts[2] for entry in good):
            column, what = words[2].start() + 1, "the key stands above already, allowed is one line per key"
        if what:
            problems.append(f"{file}:{number}:{column}: {what}")
        else:
            good.append(Allowed(texts[0], Role(texts[1]), texts[2]))
    return good, problems


class AllowList:
    """The list as it is now. One thread calls `refresh`, any thread asks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / FILE_NAME
        self.peers: Mapping[str, Peer] = MappingProxyType({})
        """Who is allowed, by key."""
        self.problems: tuple[str, ...] = ()
        """What is wrong with the file; whom it concerns is not let in."""
        self.revoked = 0
        """How often a key was taken from the list since the start."""
        self._seen: object = None

    def refresh(self) -> bool:
        """Read the file if it has changed; says whether it had."""
        seen = self._look()
        if seen == self._seen and seen is not None:
            return False
        entries, problems = self._read()
        peers = {entry.key: Peer(entry.name, entry.role) for entry in entries}
        changed = (peers, problems) != (dict(self.peers), list(self.problems))
        gone = not set(self.peers) <= set(peers)
        self.peers, self.problems, self._seen = MappingProxyType(peers), tuple(problems), seen
        self.revoked += gone
        return changed

    def _look(self) -> object:
        """What changes with the file: its place, owner, mode, size and times; None when it cannot be seen."""
        try:
            found = [self._folder.stat(), self.path.lstat()]
        except OSError:
            return None
        folder, file = found
        return (folder.st_ino, folder.st_mode, folder.st_uid,
                file.st_ino, file.st_mode, file.st_uid, file.st_size, file.st_mtime_ns, file.st_ctime_ns)  # fmt: skip

    def _read(self) -> tuple[list[Allowed], list[str]]:
        try:
            with private_folder(self._folder) as opened:
                return parse(read_private(opened, self.path), str(self.path))
        except FileNotFoundError:
            return [], [f"{self.path} is missing, nobody is let in: add clients with `evapd keys allow`"]
        except (ConfigError, OSError) as error:
            return [], [str(error)]
