"""Chunks of columns as every HDF5 reader expects them: bytes shuffled, then one zlib stream; only much sooner.

The shuffle filter puts all first bytes of the numbers together, then all second ones, and so on: planes. In measured
data a plane is either constant, or full of runs, or skewed, or plain noise, and each kind has a cheapest way in the
deflate format (RFC 1951): nothing to search, runs alone, Huffman codes alone, or stored as it is. A general
compressor finds this out by trying, byte by byte, at five times the cost and for the same size.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng as zlib

_HEADER = b"\x78\x01"  # RFC 1950: deflate, 32 KiB window, fastest
_END = b"\x03\x00"  # an empty last block
_STORED_BYTES = 65535  # most of one stored block
_RUNS = 0.55  # part of the bytes equal to the one before, from which on runs are looked for
_NOISE_BITS = 7.5  # entropy of a byte, from which on a code saves less than it costs
_SAMPLE = 8
_GLANCE = 64


def chunk(values: NDArray[Any], rows: int) -> bytes:
    """Compress one chunk of a dataset with filters shuffle and gzip, filled up with zeros to `rows`.

    Args:
        values: (n,) or (n, width), little endian, n at most `rows`.
        rows: of a whole chunk.
    """
    size, filled = values.dtype.itemsize, values.size
    if len(values) < rows:
        whole = np.zeros((rows, *values.shape[1:]), values.dtype)
        whole[: len(values)] = values
        values = whole
    planes = np.ascontiguousarray(np.ascontiguousarray(values).reshape(-1).view(np.uint8).reshape(-1, size).T)
    rest = _constant(0, values.size - filled) if filled < values.size else b""
    parts = [_HEADER]
    for number, plane in enumerate(planes):
        # The sign of small numbers fills several planes with the same bytes.
        same = number and np.array_equal(plane[:_GLANCE], planes[number - 1][:_GLANCE])
        if same and np.array_equal(plane, planes[number - 1]):
            parts.append(parts[-1])
        else:
            parts.append(_plane(plane[:filled]) + rest)
    return b"".join((*parts, _END, zlib.adler32(planes.data).to_bytes(4, "big")))


def unpacked(data: bytes, dtype: np.dtype[Any], width: int | None = None) -> NDArray[Any]:
    """Give what a chunk holds, filling included."""
    planes = np.frombuffer(zlib.decompress(data), np.uint8).reshape(dtype.itemsize, -1)
    values = np.ascontiguousarray(planes.T).reshape(-1).view(dtype)
    return values if width is None else values.reshape(-1, width)


def _plane(plane: NDArray[np.uint8]) -> bytes:
    if not len(plane):
        return b""
    equal = np.count_nonzero(plane[1:] == plane[:-1])
    if equal == len(plane) - 1:
        return _constant(int(plane[0]), len(plane))
    if equal > _RUNS * len(plane):
        return _deflated(plane.data, zlib.Z_RLE)
    if _entropy_bits(plane[::_SAMPLE]) > _NOISE_BITS:
        return _stored(plane)
    return _deflated(plane.data, zlib.Z_HUFFMAN_ONLY)


def _entropy_bits(plane: NDArray[np.uint8]) -> float:
    counts = np.bincount(plane)
    share = counts[counts > 0] / len(plane)
    return float(-(share * np.log2(share)).sum())


def _deflated(data: bytes | memoryview, strategy: int) -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15, 9, strategy)
    return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)  # ends at a whole byte, more may follow


@lru_cache(maxsize=4096)
def _constant(value: int, n: int) -> bytes:
    return _deflated(bytes([value]) * n, zlib.Z_RLE)


def _stored(plane: NDArray[np.uint8]) -> bytes:
    parts = []
    for begin in range(0, len(plane), _STORED_BYTES):
        part = plane[begin : begin + _STORED_BYTES]
        n = len(part)
        parts += [b"\x00", n.to_bytes(2, "little"), (n ^ 0xFFFF).to_bytes(2, "little"), part.tobytes()]
    return b"".join(parts)
