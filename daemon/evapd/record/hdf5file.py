"""The file below HDF5: an error of the disk stays ours to handle.

When the disk is full while HDF5 writes by itself, closing the file crashes the process (seen with HDF5 2.0.0 and
h5py 3.16). So HDF5 writes through this object, which takes note of the first error and from then on drops what it
is given: HDF5 closes in peace, and the owner throws the file away.
"""

import fcntl
import os
from pathlib import Path
from typing import Any

Buffer = Any  # HDF5 hands over memory as a buffer, whose type Python 3.11 cannot name


class GuardedFile:
    """A file object for `h5py.File` that never raises on writing; look at `error`."""

    def __init__(self, path: Path) -> None:
        """Create or empty the file, mode 0640, and own it until `close`.

        Raises:
            BlockingIOError: when another process is writing it; the file is left alone.
            OSError: when that is not possible.
        """
        self.error: OSError | None = None
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
        except OSError:
            os.close(self._fd)
            raise
        self._position = 0

    def check(self) -> None:
        """Raise the first error of the disk, if there was one.

        Raises:
            OSError: that error.
        """
        if self.error is not None:
            raise self.error

    def sync(self) -> int:
        """Make the file durable; gives its size in bytes.

        Raises:
            OSError: when the disk fails, now or before.
        """
        self.check()
        os.fsync(self._fd)
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    # What h5py calls. Positions and sizes in bytes.

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; HDF5 uses the beginning and the end only."""
        self._position = offset if whence == os.SEEK_SET else os.lseek(self._fd, offset, whence)
        return self._position

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """Read into a buffer."""
        count = os.preadv(self._fd, [buffer], self._position)
        self._position += count
        return count

    def read(self, size: int) -> bytes:
        """Read; h5py asks for this method before it accepts an object as a file."""
        data = os.pread(self._fd, size, self._position)
        self._position += len(data)
        return data

    def write(self, buffer: Buffer) -> int:
        """Write all of a buffer, or take note of the error; always claims success."""
        data = memoryview(buffer).cast("B")
        done = 0
        try:
            while done < len(data) and self.error is None:
                done += os.pwrite(self._fd, data[done:], self._position + done)
        except OSError as error:
            self.error = error
        self._position += len(data)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file, or take note of the error."""
        wanted = self._position if size is None else size
        try:
            os.ftruncate(self._fd, wanted)
        except OSError as error:
            self.error = self.error or error
        return wanted

    def flush(self) -> None:
        """Nothing is buffered here."""
