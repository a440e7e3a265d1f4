"""Quality codes of hits: what was missing or assumed. The table is stable; codes are only added.

| code | what was seen | what checks the hit |
| --- | --- | --- |
| 0 | all signals | every time sum, with the common MCP jitter; hex: also u, v and w with each other |
| 1 | quad, all but the MCP | the two layers agree on the time; it is their mean |
| 2 to 5 | quad, all but x1, x2, y1 or y2 | the time sum of the complete layer |
| 6, 128 | all signals, but some of them fit nearly as well into another hit (6 quad, 128 hex) | as code 0 |
| 32 + mask | quad, two signals missing (mask of channels, bit 0 MCP) | nothing: risky, off by default |
| 128 + mask | hex, one to three signals missing (mask of channels, bit 0 MCP, bit 1 u1 ...) | the others, by least squares |
| 128 + mask | hex, four signals missing | nothing: risky, off by default |

A hit has three unknowns (time, x, y). Every hit that is not risky has at least four signals, so each was checked by
something. No signal is in two hits.
"""

from collections.abc import Iterable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Quality(IntEnum):
    """The codes below 32."""

    FULL = 0
    MCP_MISSING = 1
    X1_MISSING = 2
    X2_MISSING = 3
    Y1_MISSING = 4
    Y2_MISSING = 5
    CONTESTED = 6


_QUAD_RISKY = 32
_HEX = 128
CHANNEL_NAMES = {5: ("MCP", "x1", "x2", "y1", "y2"), 7: ("MCP", "u1", "u2", "v1", "v2", "w1", "w2")}


def channels_of(code: int) -> int | None:
    """Channels of the anode that gives this code: 5 quad, 7 hex; None for code 0, which both give."""
    if code == Quality.FULL:
        return None
    return 7 if code >= _HEX else 5


def missing_mask(code: int) -> int:
    """Channels whose signals the hit has not: bit 0 MCP, bit k channel k.

    Raises:
        ValueError: when no hit has this code.
    """
    if code in {Quality.FULL, Quality.CONTESTED, _HEX}:
        return 0
    if 1 <= code <= 5:
        return 1 << (code - 1)
    if _QUAD_RISKY < code < 2 * _QUAD_RISKY and (code - _QUAD_RISKY).bit_count() == 2:
        return code - _QUAD_RISKY
    if _HEX < code < 2 * _HEX and (code - _HEX).bit_count() <= 4:
        return code - _HEX
    raise ValueError(f"{code} is no quality code")


def is_risky(code: int) -> bool:
    """Whether nothing checks such a hit: its signals are as many as its unknowns."""
    channels = channels_of(code)
    return channels is not None and channels - missing_mask(code).bit_count() < 4


def meaning(code: int) -> str:
    """Words for tables and plots, such as `x1 missing`; `unknown code` for what no hit of ours has."""
    if not _exists(code):
        return "unknown code"
    mask = missing_mask(code)
    if mask == 0:
        return "all signals seen" if code == Quality.FULL else "all signals seen, contested"
    names = [name for k, name in enumerate(CHANNEL_NAMES[channels_of(code) or 5]) if mask >> k & 1]
    return f"{', '.join(names)} missing{' (risky)' if is_risky(code) else ''}"


def code_table() -> list[str]:
    """Every code in words, `code: meaning`, those of many alike in one line."""
    return [
        *(f"{code}: {meaning(code)}" for code in known_codes(5)),
        "32 + mask: two signals of a quad anode missing, bit 0 MCP, bit k channel k (risky)",
        "128 + mask: signals of a hex anode missing, bit 0 MCP, bit k channel k (risky when four are missing)",
    ]


def known_codes(channels: int, *, risky: bool = False) -> tuple[int, ...]:
    """The codes that an anode's hits can have, ascending."""
    codes: Iterable[int] = range(64) if channels == 5 else (0, *range(_HEX, 256))
    return tuple(code for code in codes if _exists(code) and (risky or not is_risky(code)))


def _exists(code: int) -> bool:
    try:
        missing_mask(code)
    except ValueError:
        return False
    return True


def signals_table(channels: int) -> NDArray[np.int64]:
    """Signals in a hit by its code, shape (256,); 0 where an anode with so many channels gives no such code."""
    signals = np.zeros(256, np.int64)
    for code in known_codes(channels, risky=True):
        signals[code] = channels - missing_mask(code).bit_count()
    return signals
