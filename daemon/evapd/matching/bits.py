"""Sets of up to 64 things as the bits of one number."""

import numpy as np

from evapd.compiled import inlined

ONE_BIT = np.uint64(1)
NO_BITS = np.uint64(0)


@inlined
def bit(k: int) -> np.uint64:
    """The set of the thing k."""
    return ONE_BIT << np.uint64(k)


@inlined
def first_bits(n: int) -> np.uint64:
    """The set of the things 0 to n - 1."""
    return ~NO_BITS >> np.uint64(64 - n) if n > 0 else NO_BITS


@inlined
def has_bit(bits: np.uint64, k: int) -> bool:
    """Whether k is in the set."""
    return bool((bits >> np.uint64(k)) & ONE_BIT != NO_BITS)


@inlined
def lowest_bit(bits: np.uint64) -> int:
    """The least thing in a set that is not empty."""
    k = 0
    while not has_bit(bits, k):
        k += 1
    return k


@inlined
def count_bits(bits: np.uint64) -> int:
    """Size of the set."""
    k = 0
    while bits != NO_BITS:
        bits &= bits - ONE_BIT
        k += 1
    return k
