"""Numbers as instruments read and write them: plain ASCII, finite, nothing that only Python understands."""

import re

_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[-+]?[0-9]{1,9}", re.ASCII)


def read_float(text: str) -> float | None:
    """Read a decimal number; None when it is none. A value too large for a double is none either."""
    if _FLOAT.fullmatch(text.strip()) is None:
        return None
    value = float(text)
    return value if abs(value) < float("inf") else None


def read_integer(text: str) -> int | None:
    """Read an integer of at most nine digits; None when it is none."""
    return int(text) if _INTEGER.fullmatch(text.strip()) else None


def six_digits(value: float) -> str:
    """Write a sign, six significant digits and a point, never an exponent: `+48.0000`, `+295.500`."""
    whole = len(str(int(abs(value))))
    text = f"{value:+.{max(0, 6 - whole)}f}"
    return text if text.lstrip("+-0.") else "+" + text[1:]  # no negative zero


def flag(value: object) -> str:
    """Write a truth value as `1` or `0`."""
    return "1" if value else "0"
