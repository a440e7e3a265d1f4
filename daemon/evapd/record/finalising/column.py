"""Columns of the spool: rows are gathered to whole chunks, compressed and written."""

import json
import zlib
from array import array
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from evapd.record.columns import CHUNK_ROWS
from evapd.record.finalising.deflate import chunk

Kept = dict[str, Any]  # plain data and arrays, of which something can be made again
_TEXT_ROWS = 256


class Place(Protocol):
    """Where chunks go."""

    def append(self, data: bytes) -> int:
        """Write, and say where."""
        ...


class _Chunks:
    """Places of the chunks of one column in their order."""

    def __init__(self, spool: Place, at: Any = (), size: Any = ()) -> None:
        self._spool = spool
        self._at, self._size = array("Q", at), array("Q", size)

    def add(self, data: bytes) -> None:
        self._at.append(self._spool.append(data))
        self._size.append(len(data))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._at, self._size, strict=True))

    @property
    def bytes(self) -> int:
        return sum(self._size)

    def kept(self) -> Kept:
        return {"at": np.array(self._at, np.uint64), "size": np.array(self._size, np.uint64)}


class Column:
    """One dataset of unknown length; `append` holds up to one chunk back."""

    def __init__(
        self,
        spool: Place,
        path: str,
        dtype: str,
        *,
        width: int | None = None,
        rows: int = CHUNK_ROWS,
        units: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare.

        Args:
            spool: where chunks go.
            path: of the dataset in the file.
            dtype: little endian.
            width: columns of a dataset with two dimensions; None for one dimension.
            rows: of one chunk.
            units: for the attribute `units`.
            attributes: further ones, plain data.
        """
        self.path, self.dtype, self.width, self.chunk_rows = path, np.dtype(dtype), width, rows
        self.attributes = dict(attributes or {}) | ({"units": units} if units else {})
        self.chunks = _Chunks(spool)
        self._written = self._pending_rows = 0
        self._pending: list[NDArray[Any]] = []

    @property
    def rows(self) -> int:
        """Rows given so far."""
        return self._written + self._pending_rows

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * (self.width or 1)

    def append(self, values: NDArray[Any]) -> None:
        """Add rows; they are copied."""
        self._pending.append(np.array(values, dtype=self.dtype))
        self._pending_rows += len(values)
        if self._pending_rows >= self.chunk_rows:
            together = np.concatenate(self._pending)
            whole = len(together) - len(together) % self.chunk_rows
            for begin in range(0, whole, self.chunk_rows):
                self.put(chunk(together[begin : begin + self.chunk_rows], self.chunk_rows), self.chunk_rows)
            self._pending, self._pending_rows = [together[whole:]], len(together) - whole

    def put(self, compressed: bytes, rows: int) -> None:
        """Add a ready chunk of so many rows; only the last one may be shorter than a whole one."""
        self.chunks.add(compressed)
        self._written += rows

    def finish(self) -> None:
        """Write what is held back."""
        if self._pending_rows:
            self.put(chunk(np.concatenate(self._pending), self.chunk_rows), self._pending_rows)
        self._pending, self._pending_rows = [], 0

    def kept(self) -> Kept:
        """Give what is needed to go on later."""
        pending = np.concatenate(self._pending) if self._pending else np.empty(0, self.dtype)
        return self.chunks.kept() | {
            "path": self.path,
            "dtype": self.dtype.str,
            "width": self.width,
            "rows": self.chunk_rows,
            "attributes": self.attributes,
            "written": self._written,
            "pending": pending,
        }

    @classmethod
    def of_kept(cls, spool: Place, kept: Kept) -> Self:
        """Make a column again of what `kept` gave."""
        made = cls(
            spool,
            kept["path"],
            kept["dtype"],
            width=kept["width"],
            rows=kept["rows"],
            attributes=kept["attributes"],
        )
        made.chunks = _Chunks(spool, kept["at"].tolist(), kept["size"].tolist())
        made._written, made._pending_rows = kept["written"], len(kept["pending"])
        made._pending = [kept["pending"]] if made._pending_rows else []
        return made


class TextColumn:
    """A dataset of texts of any length, in pieces of a few hundred."""

    DTYPE = "text"

    def __init__(self, spool: Place, path: str) -> None:
        self.path, self.chunks = path, _Chunks(spool)
        self._written = 0
        self._pending: list[str] = []

    @property
    def rows(self) -> int:
        """Texts given so far."""
        return self._written + len(self._pending)

    def append(self, text: str) -> None:
        """Add one."""
        self._pending.append(text)
        if len(self._pending) >= _TEXT_ROWS:
            self.finish()

    def finish(self) -> None:
        """Write what is held back."""
        if self._pending:
            self.chunks.add(zlib.compress(json.dumps(self._pending).encode(), 1))
        self._written += len(self._pending)
        self._pending = []

    @staticmethod
    def texts(data: bytes) -> list[str]:
        """Give the texts of one piece."""
        return list(json.loads(zlib.decompress(data)))

    def kept(self) -> Kept:
        """Give what is needed to go on later."""
        return self.chunks.kept() | {
            "path": self.path,
            "dtype": self.DTYPE,
            "written": self._written,
            "pending": self._pending,
        }

    @classmethod
    def of_kept(cls, spool: Place, kept: Kept) -> Self:
        """Make a column again of what `kept` gave."""
        made = cls(spool, kept["path"])
        made.chunks = _Chunks(spool, kept["at"].tolist(), kept["size"].tolist())
        made._written, made._pending = kept["written"], list(kept["pending"])
        return made
