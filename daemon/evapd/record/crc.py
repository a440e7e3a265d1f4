"""CRC-32 of a whole from those of its parts, so that several processes can check one long member of an archive.

A CRC is a polynomial modulo P over the two-element field: appending n bytes multiplies what was there by x^(8 n).
Polynomials are kept as CRC-32 does, reflected: the highest bit is the coefficient of x^0.
"""

_P = 0xEDB88320
_ONE = 1 << 31


def joined_crc(one: int, other: int, other_bytes: int) -> int:
    """Give the CRC-32 of two parts in sequence, as `zlib.crc32` gives it.

    Args:
        one: CRC-32 of the first part.
        other: CRC-32 of the second part.
        other_bytes: length of the second part.
    """
    return _times(_power(8 * other_bytes), one) ^ other


def _times(a: int, b: int) -> int:
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ _P if b & 1 else b >> 1
    return product


def _power(n: int) -> int:
    """x^n modulo P."""
    result, square = _ONE, _ONE >> 1
    while n:
        if n & 1:
            result = _times(square, result)
        square = _times(square, square)
        n >>= 1
    return result
