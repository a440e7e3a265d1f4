"""YAML text into nodes that remember where they stand, bounded in size, depth and count.

Only the event parser of libyaml is used: it runs without recursion and makes no objects, so neither deep
nesting nor tags nor aliases that multiply can do harm. Plain scalars stay text here; see `scalar.py`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from evapd.config.problem import Mark, Problem, dotted

MAX_BYTES = 1_000_000
MAX_NODES = 50_000  # with aliases expanded
MAX_DEPTH = 32

# Characters that YAML 1.1 does not allow in a text (section 5.1 of its specification).
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class Scalar:
    """A text, a number, or nothing: what it is decides the model."""

    mark: Mark
    text: str
    plain: bool  # written without quotes
    size: int = 1


@dataclass(slots=True)
class Sequence:
    """A list."""

    mark: Mark
    items: list["Node"] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Mapping:
    """Keys with their own marks, in the order of the file."""

    mark: Mark
    entries: dict[str, "Node"] = field(default_factory=dict)
    key_marks: dict[str, Mark] = field(default_factory=dict)
    size: int = 1


Node = Scalar | Sequence | Mapping


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    node: Sequence | Mapping
    anchor: str | None
    key: str | None = None  # of the value that comes next
    key_mark: Mark | None = None
    discard: bool = False  # the value that comes next has no usable key


class _Refused(Exception):
    """The rest of the text is not worth reading."""


class _Composer:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self.open: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}  # None while the node is still open
        self.documents = 0

    def say(self, mark: Mark, what: str) -> None:
        """Note a problem at the place that is being read."""
        path: list[str | int] = []
        for frame in self.open:
            if isinstance(frame.node, Sequence):
                path.append(len(frame.node.items))
            elif frame.key is not None:
                path.append(frame.key)
        self.problems.append(Problem(self.file, *mark, dotted(tuple(path)), what))

    def feed(self, event: yaml.Event) -> None:
        """Take the next event of the parser."""
        at = event.start_mark
        mark = Mark(at.line + 1, at.column + 1) if at else Mark(1, 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.say(mark, "a second document, allowed is one per file")
                raise _Refused
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            self.say(mark, f"the tag '{event.tag}' is not allowed, write plain values only")
        match event:
            case yaml.ScalarEvent():
                node = Scalar(mark, event.value, plain=event.implicit[0])
                if event.anchor:
                    self.anchors[event.anchor] = node
                self.attach(node, mark)
            case yaml.MappingStartEvent():
                self.begin(Mapping(mark), event.anchor)
            case yaml.SequenceStartEvent():
                self.begin(Sequence(mark), event.anchor)
            case yaml.CollectionEndEvent():
                closed = self.open.pop()
                if closed.anchor:
                    self.anchors[closed.anchor] = closed.node
                self.attach(closed.node, closed.node.mark)
            case yaml.AliasEvent():
                self.attach(self.target(event.anchor or "", mark), mark)
            case _:
                pass  # the marks of stream and document carry nothing

    def begin(self, node: Sequence | Mapping, anchor: str | None) -> None:
        if len(self.open) >= MAX_DEPTH:
            self.say(node.mark, f"nested too deeply, allowed are {MAX_DEPTH} levels")
            raise _Refused
        if anchor:
            self.anchors[anchor] = None
        self.open.append(_Open(node, anchor))

    def target(self, anchor: str, mark: Mark) -> Node:
        node = self.anchors.get(anchor)
        if node is None:
            why = "is not defined above" if anchor not in self.anchors else "contains itself"
            self.say(mark, f"the alias '*{anchor}' {why}")
            raise _Refused
        return node

    def attach(self, node: Node, mark: Mark) -> None:
        if not self.open:
            self.root = node
            return
        frame = self.open[-1]
        if isinstance(frame.node, Sequence):
            frame.node.items.append(node)
        elif frame.key is None and not frame.discard:
            self.take_key(frame, node, mark)
            return
        else:
            if frame.key is not None and frame.key_mark is not None and not frame.discard:
                frame.node.entries[frame.key] = node
                frame.node.key_marks[frame.key] = frame.key_mark
            frame.key, frame.discard = None, False
        frame.node.size += node.size
        if frame.node.size > MAX_NODES:
            self.say(mark, f"too many values with aliases expanded, allowed are {MAX_NODES}")
            raise _Refused

    def take_key(self, frame: _Open, node: Node, mark: Mark) -> None:
        if not isinstance(node, Scalar):
            self.say(mark, "a list or mapping as a key, allowed is a plain word")
            frame.discard = True
            return
        frame.key, frame.key_mark = node.text, mark
        assert isinstance(frame.node, Mapping)  # noqa: S101 - lists never come here
        if node.text in frame.node.entries:
            first = frame.node.key_marks[node.text].line
            self.say(mark, f"duplicate key, first given on line {first}; keep one of them")
            frame.discard = True


def compose(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """Read one YAML document.

    Args:
        text: the whole text.
        file: its name, for the problems.

    Returns:
        The root node, None where the text cannot be read at all; and what is wrong with the text.
    """
    found = _UNPRINTABLE.search(text)
    if found:
        mark = _mark_in(text, found.start())
        what = f"the character U+{ord(found.group()):04X} is not allowed in a text file"
        return None, [Problem(file, *mark, "", what)]
    composer = _Composer(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            composer.feed(event)
    except _Refused:
        return None, composer.problems
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(at.line + 1, at.column + 1) if at else Mark(1, 1)
        composer.problems.append(Problem(file, *mark, "", _syntax(text, mark, error)))
        return None, composer.problems
    root = composer.root
    if root is None or (isinstance(root, Scalar) and root.plain and not root.text):
        return None, [Problem(file, 1, 1, "", "the file is empty")]
    return root, composer.problems


def read_document(path: Path) -> tuple[Node | None, list[Problem]]:
    """Read a file as `compose` does; a file that cannot be read is a problem too."""
    file = str(path)
    try:
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "no such file"
            return None, [Problem(file, 0, 0, "", what)]
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        return None, [Problem(file, 0, 0, "", f"cannot be read: {error}")]
    if len(data) > MAX_BYTES:
        return None, [Problem(file, 0, 0, "", f"larger than {MAX_BYTES} bytes, this is not a settings file")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", errors="replace")
        what = f"byte 0x{data[error.start]:02X} is not UTF-8, save the file as UTF-8"
        return None, [Problem(file, *_mark_in(before, len(before)), "", what)]
    return compose(text, file)


def _mark_in(text: str, index: int) -> Mark:
    return Mark(text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def _syntax(text: str, mark: Mark, error: yaml.MarkedYAMLError) -> str:
    lines = text.splitlines()
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column - 1 : mark.column] == "\t":
        return "a tab where YAML wants spaces, indent with spaces"
    context = f" {error.context}" if error.context else ""
    return f"not valid YAML: {error.problem}{context}"
