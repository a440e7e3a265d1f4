"""One thing wrong with a file: where it stands and what would be allowed."""

from dataclasses import dataclass
from typing import NamedTuple


class Mark(NamedTuple):
    """A place in a text; line and column count from 1, line 0 means the file as a whole."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error in a file, printed as `file:line:column: where: what, what is allowed`."""

    file: str
    line: int
    column: int
    where: str
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.where}: {self.what}" if self.where else f"{place}: {self.what}"


Key = str | int
KeyPath = tuple[Key, ...]


def dotted(path: KeyPath) -> str:
    """Write a path of keys and list positions as a person would: `devices.tdc.settings.ports[1]`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text
