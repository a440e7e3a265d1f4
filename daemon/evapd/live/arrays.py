"""Arrays inside JSON: dtype, shape, and the little-endian bytes as base64."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed(values: NDArray[Any]) -> dict[str, Any]:
    """Encode an array in C order; its dtype is one of `|u1` `<u2` `<u4` `<f4` `<f8`, as docs/protocols/live.md says."""
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return {
        "dtype": plain.dtype.str,
        "shape": list(plain.shape),
        "data": base64.b64encode(plain.tobytes()).decode("ascii"),
    }


def packed_counts(counts: NDArray[np.int64]) -> dict[str, Any]:
    """Encode counts with the smallest unsigned type that holds them; what is beyond 2^32 - 1 stays there."""
    most = int(counts.max()) if counts.size else 0
    kind = np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32
    return packed(np.minimum(counts, 0xFFFFFFFF).astype(kind))


def unpacked(document: dict[str, Any]) -> NDArray[Any]:
    """Decode what `packed` made.

    Raises:
        ValueError: when it is not such a document.
    """
    try:
        data = base64.b64decode(document["data"], validate=True)
        if document["dtype"] not in {"|u1", "<u2", "<u4", "<f4", "<f8"}:
            raise ValueError(f"dtype {document['dtype']!r} is not one of this protocol")
        return np.frombuffer(data, document["dtype"]).reshape(document["shape"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an array of this protocol: {error!r}") from None
