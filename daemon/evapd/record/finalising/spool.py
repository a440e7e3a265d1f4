"""The spool: compressed chunks of all columns, appended to one file, and safe points from which to go on after a kill.

HDF5 cannot be continued after a kill in the midst of writing. So chunks go into a file that only grows, and what is needed
to go on (how far the journals were read, what is not yet a whole chunk) is put beside it from time to time, in one step and
only after the chunks are on the disk. The HDF5 file is made of them at the end, in an order that depends on nothing but
the data: its bytes are the same, however often the work was interrupted.
"""

import contextlib
import fcntl
import io
import json
import os
import shutil
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from evapd.record.finalising.column import Column, Kept, TextColumn
from evapd.record.wholefile import write_whole

CHUNKS = "chunks"
STATE = "state"
_FORMAT = 1


class Spool:
    """Columns by path, in the order in which they were made. A context manager; `remove` ends it for good."""

    def __init__(self, folder: Path, key: str) -> None:
        """Open or begin a spool.

        Args:
            folder: where it lies; made when absent.
            key: what it is made of; a spool with another key is begun anew.

        Raises:
            BlockingIOError: when another process works on it.
            OSError: when the disk does not allow it.
        """
        self.folder = folder
        self.columns: dict[str, Column | TextColumn] = {}
        self.kept: Kept = {}  # what the owner left at the safe point; empty at a beginning
        self._key = key
        self._end = 0
        self._saver = ThreadPoolExecutor(1, thread_name_prefix="safe-point")
        self._saving: Future[None] | None = None
        folder.mkdir(mode=0o750, exist_ok=True)
        self._fd = os.open(folder / CHUNKS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._restore()
            os.ftruncate(self._fd, self._end)
        except BaseException:
            os.close(self._fd)
            raise

    def column(self, path: str, dtype: str, **about: Any) -> Column:
        """Give the column of this path, made when it is not there; `about` as for `Column`."""
        made = self.columns.setdefault(path, Column(self, path, dtype, **about))
        assert isinstance(made, Column)  # noqa: S101 - paths are ours
        return made

    def texts(self, path: str) -> TextColumn:
        """Give the column of texts of this path, made when it is not there."""
        made = self.columns.setdefault(path, TextColumn(self, path))
        assert isinstance(made, TextColumn)  # noqa: S101 - paths are ours
        return made

    def append(self, data: bytes) -> int:
        """Write bytes at the end; gives where they lie.

        Raises:
            OSError: when the disk does not take them.
        """
        at, view = self._end, memoryview(data)
        while view:
            count = os.pwrite(self._fd, view, self._end)
            self._end += count
            view = view[count:]
        return at

    def read(self, at: int, size: int) -> bytes:
        """Read bytes back.

        Raises:
            OSError: when the disk does not give them.
        """
        data = os.pread(self._fd, size, at)
        if len(data) != size:
            raise OSError(f"{self.folder / CHUNKS}: {len(data)} of {size} bytes at {at}")
        return data

    def keep(self, kept: Kept) -> None:
        """Make a safe point here: what was appended, what is pending, and what the owner gives. Does not wait for the disk.

        Raises:
            OSError: when an earlier one could not be written.
        """
        self.settle()
        columns = [column.kept() for column in self.columns.values()]
        state = {"format": _FORMAT, "key": self._key, "end": self._end, "columns": columns, "owner": kept}
        self._saving = self._saver.submit(self._save, _packed(state))

    def settle(self) -> None:
        """Wait for the safe point under way.

        Raises:
            OSError: when it could not be written.
        """
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def remove(self) -> None:
        """Close and delete it."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Close it; the last safe point remains."""
        self._saver.shutdown()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _save(self, packed: bytes) -> None:
        os.fdatasync(self._fd)
        write_whole(self.folder / STATE, packed)

    def _restore(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                state = _unpacked((self.folder / STATE).read_bytes())
            except (ValueError, KeyError, zipfile.BadZipFile):
                return  # damaged: from the beginning
            whole = os.fstat(self._fd).st_size
            if state.get("format") != _FORMAT or state["key"] != self._key or whole < state["end"]:
                return
            self._end, self.kept = state["end"], state["owner"]
            for column in state["columns"]:
                make = TextColumn if column["dtype"] == TextColumn.DTYPE else Column
                self.columns[column["path"]] = make.of_kept(self, column)


def _packed(state: Kept) -> bytes:
    arrays: list[np.ndarray[Any, Any]] = []

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return {"$array": len(arrays) - 1}
        return value.item()  # a scalar of numpy; anything else is a fault of ours and raises

    text = json.dumps(state, default=plain)
    out = io.BytesIO()
    named = {f"a{number}": array for number, array in enumerate(arrays)}
    np.savez(out, allow_pickle=False, state=np.frombuffer(text.encode(), np.uint8), **named)
    return out.getvalue()


def _unpacked(packed: bytes) -> Kept:
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:

        def whole(found: dict[str, Any]) -> Any:
            return arrays[f"a{found['$array']}"] if "$array" in found else found

        return dict(json.loads(arrays["state"].tobytes(), object_hook=whole))
