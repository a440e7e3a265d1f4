"""A YAML file into a checked object of any pydantic model, with every error at once and in its place."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from evapd.config.document import Mapping, Node, Scalar, Sequence, read_document
from evapd.config.explain import Schema, explain, schema_of, types_at, wanted_at
from evapd.config.problem import Key, KeyPath, Mark, Problem, dotted
from evapd.config.scalar import is_finite, plain, value_of

M = TypeVar("M", bound=BaseModel)
_SHOWN = 40


def load_checked(path: Path | str, model: type[M]) -> tuple[M | None, tuple[Problem, ...]]:
    """Read a YAML file as `model`.

    Args:
        path: the file.
        model: what the file must hold; unknown keys are refused where the model refuses them.

    Returns:
        The object, or None where there are problems; and all problems, sorted by place.
    """
    root, problems = read_document(Path(path))
    if root is None:
        return None, tuple(problems)
    checked, found = check_node(root, model, str(path))
    problems = sorted({*problems, *found})
    return (None if problems else checked), tuple(problems)


def check_node(
    node: Node, model: type[M], file: str, at: KeyPath = (), mark: Mark | None = None
) -> tuple[M | None, list[Problem]]:
    """Check a part of a file against a model of its own.

    Args:
        node: the part.
        model: what it must hold.
        file: its name, for the problems.
        at: the keys that lead to the part.
        mark: the place of what concerns the part as a whole; without it, where its content begins.
    """
    schema = schema_of(model)
    misfits = dict(_misfits(node, schema, ()))
    problems = [
        Problem(file, *_position(node, path)[1], dotted(at + path), what) for path, what in misfits.items()
    ]
    checked = None
    try:
        checked = model.model_validate(plain(node))
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            path, place = _position(node, error["loc"])
            if path in misfits:
                continue  # said better already
            if error["type"] == "extra_forbidden":
                place = _key_mark(node, path)
            elif mark is not None and (not path or node_at(node, path[:1]) is None):
                place = mark
            what = explain(error, path, schema, _shown(node, path))
            problems.append(Problem(file, *place, dotted(at + path), what))
    return (None if problems else checked), problems


def mark_of(node: Node, path: KeyPath) -> Mark:
    """Give the place of the value at a path, or of its nearest parent that is in the file."""
    return _position(node, path)[1]


def node_at(node: Node, path: KeyPath) -> Node | None:
    """Give the node at a path, None where the file has none."""
    for key in path:
        child = _child(node, key)
        if child is None:
            return None
        node = child
    return node


def _child(node: Node, key: Key) -> Node | None:
    if isinstance(node, Mapping):
        return node.entries.get(str(key))
    if isinstance(node, Sequence) and isinstance(key, int) and 0 <= key < len(node.items):
        return node.items[key]
    return None


def _position(node: Node, loc: tuple[int | str, ...]) -> tuple[KeyPath, Mark]:
    """Follow a pydantic location into the file.

    Parts that the file does not have are the names of union members, which are left out, or a missing key at the
    very end, which is kept and stands at its parent.
    """
    path: list[Key] = []
    mark = node.mark
    for number, key in enumerate(loc):
        child = _child(node, key)
        if child is None:
            if number == len(loc) - 1 and key != "[key]" and not isinstance(node, Scalar):
                path.append(key)
            continue
        path.append(key)
        of_key = isinstance(node, Mapping) and not isinstance(child, Scalar)
        mark = _key_mark(node, (key,)) if of_key else child.mark
        node = child
    return tuple(path), mark


def _key_mark(node: Node, path: KeyPath) -> Mark:
    parent = node_at(node, path[:-1])
    return parent.key_marks[str(path[-1])] if isinstance(parent, Mapping) else mark_of(node, path)


def _shown(node: Node, path: KeyPath) -> str:
    found = node_at(node, path)
    if not isinstance(found, Scalar):
        return "a mapping" if isinstance(found, Mapping) else "a list"
    if found.plain and not found.text:
        return "an empty value"
    text = found.text if len(found.text) <= _SHOWN else found.text[:_SHOWN] + "..."
    return text if found.plain else f"'{text}'"


def _misfits(node: Node, schema: Schema, path: KeyPath) -> list[tuple[KeyPath, str]]:
    """Find what a lenient model would take for a number: true and false, NaN and infinities."""
    if isinstance(node, Mapping):
        return [one for key, child in node.entries.items() for one in _misfits(child, schema, (*path, key))]
    if isinstance(node, Sequence):
        return [one for key, child in enumerate(node.items) for one in _misfits(child, schema, (*path, key))]
    value = value_of(node)
    if is_finite(node) and not isinstance(value, bool):
        return []
    types = types_at(schema, path)
    if not types & {"number", "integer"} or (isinstance(value, bool) and "boolean" in types):
        return []
    why = "is not a number" if isinstance(value, bool) else "is not a finite number"
    return [(path, f"{node.text} {why}, wanted is {wanted_at(schema, path)}")]
