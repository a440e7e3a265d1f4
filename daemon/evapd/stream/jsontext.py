"""JSON as evapd writes and reads it: no NaN, no infinity, never an exception that is not ValueError."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

MAX_INTEGER = 2**53 - 1  # what every language reads exactly
MAX_DEPTH = 32


def to_json(content: Any) -> bytes:
    """Encode as compact UTF-8; NaN and infinity become null, numpy scalars plain numbers.

    Raises:
        TypeError: for an object that JSON has no word for.
    """
    return json.dumps(_plain(content), separators=(",", ":"), allow_nan=False).encode()


def from_json(text: bytes) -> Any:
    """Decode hostile bytes.

    Raises:
        ValueError: when they are not JSON; also for NaN, infinity, absurd nesting and absurd integers.
    """
    # What every frame of ours begins with; the other encodings of JSON have a zero or a mark among the first two bytes.
    coding = "utf-8" if text[:2] == b'{"' else json.detect_encoding(text)
    try:
        content = _DECODER.decode(str(text, coding, "surrogatepass"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:  # too few to be nested too deeply
        return content
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return content
    raise ValueError("nested too deeply")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that a message may carry")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text[:40])


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple | set | frozenset):
        return [_plain(value) for value in content]
    if content is None or isinstance(content, str | bool | int):
        return content
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    scalar = getattr(content, "item", None)  # numpy's scalars, without importing numpy
    if scalar is None:
        raise TypeError(f"{type(content).__name__} cannot be written as JSON")
    return _plain(scalar())


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
