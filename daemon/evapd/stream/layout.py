"""Headers read quickly: the columns part is the same text in most frames, so it is read and checked once.

Reading a header is what a journal of many small blocks costs. The result is that of reading the whole as JSON.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from evapd.errors import FrameError
from evapd.stream.jsontext import MAX_INTEGER, from_json

# Within a JSON text a quote is escaped, so these bytes can only be a key of ours.
_KEY = b'"columns":['
# What a column may consist of; numpy's own dtype syntax would also let objects, strings and records in.
_DTYPES = re.compile(r"<[iu][248]|<f[48]|[|<]?[iu]1|\|b1")


class Place(NamedTuple):
    """Where a column lies in its payload."""

    name: str
    dtype: np.dtype[Any]
    offset: int
    itemsize: int


def read_header(header: bytes) -> tuple[dict[str, Any], tuple[Place, ...]]:
    """Read a header and where its columns lie; whether they lie within the payload is the caller's to see.

    Raises:
        FrameError: when a column is not one of the protocol.
        KeyError, TypeError, ValueError, AttributeError: when it is no header.
    """
    begin = header.find(_KEY)
    end = header.find(b"]", begin)
    if 0 <= begin < end and header.find(_KEY, begin + 1) < 0:
        begin += len(_KEY) - 1
        try:
            columns, places = _columns(header[begin : end + 1])
            fields = from_json(header[:begin] + b"[]" + header[end + 1 :])
            if type(fields) is dict and fields.get("columns") == []:
                fields["columns"] = columns
                return fields, places
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # the whole, read below, says what is wrong
    fields = from_json(header)
    if not isinstance(fields, dict):
        raise TypeError("a header is an object")
    return fields, _places(fields["columns"])


@lru_cache(maxsize=2048)
def _columns(text: bytes) -> tuple[list[dict[str, Any]], tuple[Place, ...]]:
    columns = from_json(text)
    return columns, _places(columns)


def _places(columns: list[dict[str, Any]]) -> tuple[Place, ...]:
    return tuple(_place(entry) for entry in columns)


def _place(entry: dict[str, Any]) -> Place:
    if not _DTYPES.fullmatch(entry["dtype"]):
        raise FrameError(
            f"column {entry['name']!r} has dtype {str(entry['dtype'])[:40]!r}, which is not of the protocol"
        )
    dtype = np.dtype(entry["dtype"])
    return Place(str(entry["name"]), dtype, natural(entry, "offset"), dtype.itemsize)


def natural(fields: dict[str, Any], name: str) -> int:
    """Give a whole number of a header.

    Raises:
        FrameError: when it is none that every language reads exactly.
    """
    value = fields[name]
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise FrameError(f"{name} in a header is {str(value)[:40]}, not a whole number from 0 to 2^53 - 1")
    return value
