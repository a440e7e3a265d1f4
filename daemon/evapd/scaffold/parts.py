"""What differs from kind to kind: a text file per kind, cut into sections by lines `%% name`."""

import re
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from textwrap import indent

_TEMPLATES = files("evapd.scaffold") / "templates"
_SECTION = re.compile(r"^%% (\w+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parts:
    """The sections of one kind."""

    sections: dict[str, str]

    def text(self, name: str, spaces: int = 0) -> str:
        """Give a section, "" where the kind has none, indented by `spaces`, without blank lines around it."""
        return indent(self.sections.get(name, "").strip("\n"), " " * spaces)

    @property
    def about(self) -> dict[str, str]:
        """The facts of the kind: `protocol`, `device`, `units`, `title`, `connect`."""
        lines = (line.partition(": ") for line in self.sections["about"].splitlines())
        return {key: value for key, _, value in lines if key}


def kind_names() -> tuple[str, ...]:
    """Give the kinds for which there is a file, sorted."""
    return tuple(sorted(one.name.removesuffix(".txt") for one in (_TEMPLATES / "kinds").iterdir()))


def read_kind(name: str) -> Parts:
    """Read the sections of a kind."""
    pieces = _SECTION.split((_TEMPLATES / "kinds" / f"{name}.txt").read_text(encoding="utf-8"))
    return Parts(dict(zip(pieces[1::2], pieces[2::2], strict=True)))


def template(name: str) -> Template:
    """Read a template that all kinds share."""
    return Template((_TEMPLATES / f"{name}.txt").read_text(encoding="utf-8"))
