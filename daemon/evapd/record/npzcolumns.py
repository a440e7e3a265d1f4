"""Reading an `.npz` file piece by piece: one column after the other would need them whole, so they are read side by side.

Formats: NPY 1.0 and 2.0 (numpy.lib.format) inside a ZIP archive, stored or deflated, as `numpy.savez` and
`numpy.savez_compressed` write them. Object arrays, which would need pickle, are refused.
"""

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from evapd.errors import RecordError

_LOCAL = struct.Struct("<26xHH")  # a member's own header: lengths of its name and of what follows that
_SCALAR_BYTES = 4096  # of a member that holds one or two numbers
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@contextmanager
def told(path: Path, what: str) -> Iterator[None]:
    """Turn what zip and numpy raise on damaged bytes into an error that says where and what to do."""
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"{path}: {error.strerror or error}; check the path, its permissions and its disk"
        ) from error
    except _DAMAGE as error:
        raise RecordError(
            f"{path}: {what} cannot be read: {error}; the file is damaged or cut off, copy or write it anew"
        ) from error


class NpzFile:
    """An open `.npz` file; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the archive and read its list of members.

        Raises:
            RecordError: when it is absent, or no archive, or cut off.
        """
        self.path = path
        with told(path, "the list of its arrays"):
            self._zip = zipfile.ZipFile(path)
        self.names = frozenset(name.removesuffix(".npy") for name in self._zip.namelist())

    def close(self) -> None:
        """Close the file; idempotent."""
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def integers(self, name: str) -> tuple[int, ...]:
        """Read a member that holds a few whole numbers.

        Raises:
            RecordError: when it is absent, damaged, or something else.
        """
        with told(self.path, f"the array {name!r}"), self._zip.open(self._member(name)) as stream:
            shape, dtype = self._header(name, stream)
            size = dtype.itemsize * math.prod(shape)
            if dtype.kind not in "iu" or len(shape) > 1 or size > _SCALAR_BYTES:
                raise RecordError(
                    f"{self.path}: {name!r} is of type {dtype} and shape {shape}; a few whole numbers are needed"
                )
            values = np.frombuffer(_exactly(stream, size), dtype)
        return tuple(int(value) for value in values)

    @contextmanager
    def column(self, name: str, dtype: str) -> Iterator["NpzColumn"]:
        """Open a column of whole numbers for reading from its beginning.

        Raises:
            RecordError: when it is absent, damaged, or no column of whole numbers.
        """
        with ExitStack() as stack:
            with told(self.path, f"the array {name!r}"):
                stream = stack.enter_context(self._zip.open(self._member(name)))
                shape, found = self._header(name, stream)
            if found.kind not in "iu" or len(shape) != 1:
                raise RecordError(
                    f"{self.path}: {name!r} is of type {found} and shape {shape}; "
                    f"a column of whole numbers, {np.dtype(dtype)}, is needed"
                )
            yield NpzColumn(self.path, name, stream, rows=shape[0], types=(found, np.dtype(dtype)))

    def stored(self, name: str, dtype: str) -> "StoredColumn | None":
        """Find a column that lies in the file as it is in memory; None where it is compressed or of another type.

        Raises:
            RecordError: when it is absent or damaged.
        """
        about = self._zip.getinfo(self._member(name))
        with told(self.path, f"the array {name!r}"), self._zip.open(about) as stream:
            shape, found = self._header(name, stream)
            head = stream.tell()
            stream.seek(0)
            head_crc = zlib.crc32(stream.read(head))
        whole = head + math.prod(shape) * found.itemsize == about.file_size
        if (
            about.compress_type != zipfile.ZIP_STORED
            or found != np.dtype(dtype)
            or len(shape) != 1
            or not whole
        ):
            return None
        with told(self.path, f"the array {name!r}"), self.path.open("rb") as file:
            file.seek(about.header_offset)
            local = _exactly(file, _LOCAL.size)
        begin = about.header_offset + _LOCAL.size + sum(_LOCAL.unpack(local)) + head
        return StoredColumn(name, found, shape[0], begin, head_crc, about.CRC)

    def _member(self, name: str) -> str:
        if name not in self.names:
            there = ", ".join(sorted(self.names)) or "nothing"
            raise RecordError(
                f"{self.path} has no array {name!r}, it has {there}; write it as docs/rematch.md says"
            )
        return f"{name}.npy" if f"{name}.npy" in self._zip.NameToInfo else name

    def _header(self, name: str, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        version = npy.read_magic(stream)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise RecordError(f"{self.path}: {name!r} has NPY version {version}; 1.0 and 2.0 can be read")
        shape, _, dtype = readers[version](stream)
        return shape, dtype


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """Where the values of an uncompressed column lie, and the CRC-32 of what is before them and of all."""

    name: str
    dtype: np.dtype[Any]
    rows: int
    offset: int
    head_crc: int
    crc: int

    def read(self, fd: int, a: int, b: int) -> bytes:
        """Read the bytes of the rows a to before b.

        Raises:
            EOFError: when the file ends before them.
            OSError: when it cannot be read.
        """
        size, begin = (b - a) * self.dtype.itemsize, self.offset + a * self.dtype.itemsize
        data = os.pread(fd, size, begin)
        while len(data) < size:  # a read may stop early
            more = os.pread(fd, size - len(data), begin + len(data))
            if not more:
                raise EOFError(f"the file ends {size - len(data)} bytes before row {b} of {self.name!r}")
            data += more
        return data


class NpzColumn:
    """One column, read forwards."""

    def __init__(
        self,
        path: Path,
        name: str,
        stream: IO[bytes],
        *,
        rows: int,
        types: tuple[np.dtype[Any], np.dtype[Any]],
    ) -> None:
        """Take a stream that stands at the first value; `types` are that of the file and that wanted."""
        self.rows = rows
        self._path, self._name, self._stream = path, name, stream
        self._found, self._wanted = types
        self._done = 0
        self._must_fit = not np.can_cast(*types, "safe")

    def read(self, rows: int) -> NDArray[Any]:
        """Give the next `rows` values, fewer at the end.

        Raises:
            RecordError: when the bytes are damaged or end too early, or a value does not fit the column's type.
        """
        rows = min(rows, self.rows - self._done)
        with told(self._path, f"the array {self._name!r}"):
            data = _exactly(self._stream, rows * self._found.itemsize)
            if self._done + rows == self.rows:
                self._stream.read(1)  # the archive's checksum is compared at the very end
        values = np.frombuffer(data, self._found)
        if self._must_fit and rows:
            self._check(values)
        self._done += rows
        return values.astype(self._wanted, copy=False)

    def _check(self, values: NDArray[Any]) -> None:
        limits = np.iinfo(self._wanted)
        # As Python integers: numpy would compare u8 with i8 as floats.
        if int(values.min()) < limits.min or int(values.max()) > limits.max:
            at = next(i for i, value in enumerate(values.tolist()) if not limits.min <= value <= limits.max)
            raise RecordError(
                f"{self._path}: {self._name!r} holds {values[at]} in row {self._done + at}; "
                f"{self._wanted} takes {limits.min} to {limits.max}"
            )


class NpzTable:
    """Columns of equal length, read side by side; rows are given by number, forwards only. A context manager.

    Rows are kept until they are released.
    """

    def __init__(self, file: NpzFile, columns: Sequence[tuple[str, str]], piece: int = 1 << 16) -> None:
        """Open columns, each as name and dtype; `piece` rows are read at a time.

        Raises:
            RecordError: when one is absent or damaged, or when they are of different lengths.
        """
        self._piece = piece
        with ExitStack() as stack:
            self._columns = [stack.enter_context(file.column(name, dtype)) for name, dtype in columns]
            rows = [column.rows for column in self._columns]
            if len(set(rows)) > 1:
                said = ", ".join(f"{name} {n}" for (name, _), n in zip(columns, rows, strict=True))
                raise RecordError(
                    f"{file.path}: its columns are of different lengths: {said}; write the file anew"
                )
            self._open = stack.pop_all()
        self.rows = rows[0]
        self._begin = self._end = 0  # rows held
        self._free = 0  # of them, at the beginning
        self._held: list[NDArray[Any]] = [np.empty(0, dtype) for _, dtype in columns]

    def read(self, a: int, b: int) -> list[NDArray[Any]]:
        """Give the rows `a` to before `b`, fewer at the end."""
        if a < self._begin:
            raise ValueError(f"row {a} was released, rows are kept from {self._begin} on")
        b = min(b, self.rows)
        while self._end < b:
            fresh = [column.read(max(self._piece, b - self._end)) for column in self._columns]
            self._held = [
                np.concatenate((old[self._free :], new)) for old, new in zip(self._held, fresh, strict=True)
            ]
            self._begin, self._free = self._begin + self._free, 0
            self._end += len(fresh[0])
        return [column[a - self._begin : b - self._begin] for column in self._held]

    def release(self, a: int) -> None:
        """Let the rows before `a` go."""
        self._free = max(self._free, min(a, self._end) - self._begin)

    def close(self) -> None:
        """Close the columns; idempotent."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError(f"{size - len(data)} bytes are missing at its end")
    return data
