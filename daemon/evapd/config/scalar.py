"""Nodes into plain Python values, by rules without the traps of YAML 1.1.

`1e-5` is a number, `010` is not octal, `1:30` is not sixty-fold, a date is text. Of the words for yes and no only
`true` and `false` are booleans by themselves; `on`, `off`, `yes` and `no` stay text, which a model that wants a boolean
accepts, and which leaves `No` to be nobelium.
"""

import math
import re
from typing import Any

from evapd.config.document import Mapping, Node, Scalar, Sequence

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|(0|[1-9][0-9]*)(?=[eE]))([eE][-+]?[0-9]+)?")
_DIGITS = re.compile(r"[-+]?[0-9]+")
_NOT_FINITE = re.compile(r"[-+]?\.?(inf|infinity|nan)", re.IGNORECASE)
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)


def value_of(node: Scalar) -> Any:
    """Give the value of one scalar: None, bool, int, float or text; quoted is always text."""
    text = node.text
    if not node.plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def is_finite(node: Scalar) -> bool:
    """Whether the scalar is anything but NaN, an infinity, or a number too large for a float."""
    if _NOT_FINITE.fullmatch(node.text):
        return False
    return not (_FLOAT.fullmatch(node.text) or _DIGITS.fullmatch(node.text)) or math.isfinite(
        float(node.text)
    )


def plain(node: Node) -> Any:
    """Give the values of a whole tree; its depth is bounded by the composer."""
    match node:
        case Scalar():
            return value_of(node)
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {key: plain(entry) for key, entry in node.entries.items()}
