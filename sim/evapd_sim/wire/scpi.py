"""SCPI as many instruments speak it: headers in short and long form, numbers with units, switches, choices, an error queue.

Source: SCPI-1999, volume 1, syntax and style.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache

from evapd_sim.wire.numbers import read_float

_WORD = re.compile(r"[A-Za-z]+")
_SWITCH = {"ON": True, "1": True, "OFF": False, "0": False}
_QUANTITY = re.compile(r"(?P<number>[-+0-9.]+(?:E[-+]?[0-9]+)?)\s*(?P<unit>[A-Z%]*)", re.ASCII)
_SCALES = {"": 1.0, "N": 1e-9, "U": 1e-6, "M": 1e-3, "K": 1e3, "G": 1e9}
_OVERFLOW = -350


def _spellings(word: re.Match[str]) -> str:
    full = word[0]
    short = "".join(letter for letter in full if letter.isupper())
    return f"(?:{short}|{full.upper()})" if short and short != full else full.upper()


@cache
def header(pattern: str) -> re.Pattern[str]:
    """Compile a header such as `[SOURce#:]FREQuency[:CW|:FIXed]`, to be matched with text in capitals.

    Capitals are the short form, what stands in brackets may be left out, of `{A|B}` one is there, `#` is a channel number that may be missing.
    """
    text = _WORD.sub(_spellings, pattern.replace("*", r"\*"))
    for sign, meaning in (("[", "(?:"), ("]", ")?"), ("{", "(?:"), ("}", ")"), ("#", "([0-9]?)")):
        text = text.replace(sign, meaning)
    return re.compile(text, re.ASCII)


def boolean(text: str) -> bool | None:
    """Read a switch: ON, OFF, 1 or 0; None for anything else."""
    return _SWITCH.get(text.strip().upper())


def choice(text: str, words: Sequence[str]) -> str | None:
    """Give the short form of one of `words`, each written `NORMal`; None for anything else."""
    wanted = text.strip().upper()
    return next((short(word) for word in words if wanted in {short(word), word.upper()}), None)


def short(word: str) -> str:
    """Give the short form of a word that is written as in a manual: `NORM` of `NORMal`; digits belong to it."""
    return "".join(letter for letter in word if not letter.islower())


def quantity(text: str, unit: str) -> float | None:
    """Read a number with or without its unit, `200 kHz` in Hz; None when it is none. `MHZ` is 1e6, the exception of the standard."""
    found = _QUANTITY.fullmatch(text.strip().upper())
    value = read_float(found["number"]) if found else None
    if found is None or value is None:
        return None
    unit, written = unit.upper(), found["unit"]
    if not written:
        return value
    if unit == "HZ" and written == "MHZ":
        return value * 1e6
    if not unit or not written.endswith(unit) or written.removesuffix(unit) not in _SCALES:
        return None
    return value * _SCALES[written.removesuffix(unit)]


class ErrorQueue:
    """Errors in the order in which they came; one too many is replaced by `Queue overflow`.

    Args:
        texts: what an error code says, 0 included.
        write: how an error is written.
        size: how many are kept.
    """

    def __init__(self, texts: dict[int, str], write: Callable[[int, str], str], size: int = 20) -> None:
        self._texts = texts | {_OVERFLOW: "Queue overflow"}
        self._write = write
        self._size = size
        self._codes: deque[int] = deque()

    def add(self, code: int) -> None:
        """Note an error."""
        if len(self._codes) < self._size:
            self._codes.append(code)
        else:
            self._codes[-1] = _OVERFLOW

    def clear(self) -> None:
        """Forget all."""
        self._codes.clear()

    def __len__(self) -> int:
        return len(self._codes)

    def pop(self) -> str:
        """Give the oldest, or that there is none."""
        code = self._codes.popleft() if self._codes else 0
        return self._write(code, self._texts[code])
