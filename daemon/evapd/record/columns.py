"""Datasets that grow: whole chunks are written, so memory stays bounded and nothing is compressed twice."""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 65536
CHUNK_CACHE_BYTES = 1 << 20  # per dataset: only whole chunks are written, so a cache saves nothing
GZIP_LEVEL = 4  # every HDF5 reader has gzip and shuffle; no plugin is needed


class GrowingColumn:
    """One dataset of unknown length; `append` buffers up to one chunk."""

    def __init__(
        self,
        group: h5py.Group,
        name: str,
        dtype: str,
        *,
        width: int | None = None,
        units: str = "",
        long_name: str = "",
        rows: int = CHUNK_ROWS,
    ) -> None:
        """Create the dataset of shape (0,) or (0, width)."""
        tail = () if width is None else (width,)
        self.dataset = group.create_dataset(
            name,
            shape=(0, *tail),
            maxshape=(None, *tail),
            dtype=dtype,
            chunks=(rows, *tail),
            shuffle=True,
            compression="gzip",
            compression_opts=GZIP_LEVEL,
        )
        if units:
            self.dataset.attrs["units"] = units
        if long_name:
            self.dataset.attrs["long_name"] = long_name
        self.dtype = self.dataset.dtype  # asked once: h5py looks it up in the file each time
        self._rows = rows
        self._written = 0
        self._pending: list[NDArray[Any]] = []
        self._pending_rows = 0

    @property
    def rows(self) -> int:
        """Rows given so far, buffered ones included."""
        return self._written + self._pending_rows

    def append(self, values: NDArray[Any]) -> None:
        """Add rows; they are copied, because a message's columns are views of its bytes."""
        self._pending.append(np.array(values, dtype=self.dtype))
        self._pending_rows += len(values)
        if self._pending_rows >= self._rows:
            self._write(self._pending_rows - self._pending_rows % self._rows)

    def flush(self) -> None:
        """Write what is buffered."""
        self._write(self._pending_rows)

    def _write(self, rows: int) -> None:
        if rows == 0:
            return
        together = np.concatenate(self._pending)
        self.dataset.resize(self._written + rows, axis=0)
        self.dataset[self._written :] = together[:rows]
        self._written += rows
        self._pending = [together[rows:]]
        self._pending_rows = len(together) - rows
