"""Writing an `.npz` file whose columns grow together: each waits in a nameless file until all are complete.

The bytes depend on the values alone: members in a fixed order, uncompressed, with the ZIP format's first time stamp.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, BinaryIO, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_EPOCH = (1980, 1, 1, 0, 0, 0)
_COPY_BYTES = 1 << 20


class NpzSpool:
    """Columns of equal length on their way into an archive; a context manager."""

    def __init__(self, folder: Path, columns: Sequence[tuple[str, str]]) -> None:
        """Make a nameless file per column, each given as name and dtype, in the folder of the archive.

        Raises:
            OSError: when the disk cannot take them.
        """
        self.rows = 0
        with ExitStack() as stack:
            self._files: dict[str, tuple[np.dtype[Any], IO[bytes]]] = {
                name: (np.dtype(dtype), stack.enter_context(tempfile.TemporaryFile(dir=folder)))
                for name, dtype in columns
            }
            self._open = stack.pop_all()

    def append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add rows.

        Raises:
            OSError: when the disk cannot take them.
        """
        for name, (dtype, file) in self._files.items():
            file.write(np.ascontiguousarray(columns[name], dtype).data)
        self.rows += len(next(iter(columns.values())))

    def write(
        self, file: BinaryIO, numbers: Mapping[str, NDArray[Any]], narrow: Mapping[str, tuple[str, int]]
    ) -> None:
        """Write the archive.

        Args:
            file: empty, open for writing.
            numbers: small arrays that follow the columns.
            narrow: columns that get another dtype after a number was subtracted from them.

        Raises:
            OSError: when the disk cannot take it.
        """
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, (dtype, spool) in self._files.items():
                spool.seek(0)
                wanted, minus = narrow.get(name, (dtype.str, 0))
                with _member(archive, name) as member:
                    _head(member, (self.rows,), np.dtype(wanted))
                    if name not in narrow:
                        shutil.copyfileobj(spool, member, _COPY_BYTES)
                        continue
                    while data := spool.read(_COPY_BYTES):
                        member.write(
                            (np.frombuffer(data, dtype) - dtype.type(minus)).astype(wanted).tobytes()
                        )
            for name, values in numbers.items():
                with _member(archive, name) as member:
                    _head(member, values.shape, values.dtype)
                    member.write(values.tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    return archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True)


def _head(member: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    npy.write_array_header_1_0(
        member, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    )
