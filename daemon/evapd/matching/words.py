"""Words as the kernels take them: three columns of one type, cut and joined without copies where that is possible."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Columns pulse, channel, time: contiguous, aligned, read-only, so that the kernels are compiled for one type only.
Words = tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.int32]]

_REQUIRED: Final = ("C", "A")
_PULSE, _CHANNEL, _TIME = np.dtype(np.uint64), np.dtype(np.uint8), np.dtype(np.int32)


def frozen(words: Words) -> Words:
    """Words of any layout as the kernels take them."""
    pulse, channel, time = words
    return _frozen(pulse, _PULSE), _frozen(channel, _CHANNEL), _frozen(time, _TIME)


def _frozen(column: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    flags = column.flags
    if column.dtype == dtype and flags.c_contiguous and flags.aligned:
        return column if not flags.writeable else _read_only(column)
    return _read_only(np.require(column, dtype, _REQUIRED))


def _read_only(column: NDArray[Any]) -> NDArray[Any]:
    column.flags.writeable = False
    return column


NO_WORDS: Final[Words] = frozen((np.zeros(0, np.uint64), np.zeros(0, np.uint8), np.zeros(0, np.int32)))


def part(words: Words, a: int, b: int) -> Words:
    """Words a to b - 1, without a copy."""
    return words[0][a:b], words[1][a:b], words[2][a:b]


def chosen(words: Words, which: NDArray[np.bool_] | NDArray[np.intp]) -> Words:
    """A copy of some words."""
    return frozen((words[0][which], words[1][which], words[2][which]))


def joined(a: Words, b: Words) -> Words:
    """Words a, then words b."""
    if not len(b[0]):
        return a
    if not len(a[0]):
        return b
    return (
        _read_only(np.concatenate((a[0], b[0]))),
        _read_only(np.concatenate((a[1], b[1]))),
        _read_only(np.concatenate((a[2], b[2]))),
    )
