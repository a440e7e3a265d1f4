"""The files behind a journal writer: short writes, torn frames, changing from one segment to the next."""

import errno
import fcntl
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evapd.record.journal.layout import Buffer, pack_next
from evapd.record.journal.segments import create_segment
from evapd.record.wholefile import sync_folder

_IOV_MAX = 1024  # Linux UIO_MAXIOV


@dataclass(frozen=True, slots=True)
class Unsynced:
    """What must be made durable: the present file, ended files to be closed afterwards, and folders."""

    current: int
    ended: tuple[int, ...]
    abandoned: tuple[int, ...]  # closed unsynced: the disk has failed them
    folders: tuple[Path, ...]


class SegmentSink:
    """Writes whole frames to one segment after the other. `write` and `change` belong to one thread."""

    def __init__(self, directory: Path, prefix: str) -> None:
        self.directory = directory
        self.prefix = prefix
        self.path = directory
        self.size = 0  # end of the last whole frame
        self._fd = -1
        self._ended: list[int] = []
        self._abandoned: list[int] = []
        self._folders: list[Path] = []
        self._lock = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether there is no present file: not opened yet, or closed."""
        return self._fd < 0

    def open(self) -> None:
        """Create the first segment.

        Raises:
            OSError: when it cannot be made.
        """
        self._adopt(*self._create(self.directory))

    def write(self, frames: Sequence[Sequence[Buffer]]) -> tuple[int, OSError | None]:
        """Write frames, each given as its parts.

        Returns:
            How many frames are whole in the file, and the error that stopped the writing, if any; then
            the torn frame behind the last whole one was cut off, as far as the file system allowed it.
        """
        rest = [memoryview(part) for frame in frames for part in frame if len(part)]
        lengths = [sum(len(part) for part in frame) for frame in frames]
        done, first = 0, 0
        error: OSError | None = None
        try:
            while first < len(rest):
                count = os.writev(self._fd, rest[first : first + _IOV_MAX])
                if count <= 0:  # no file system should; asking again would never end
                    error = OSError(errno.EIO, "the file system took nothing and gave no reason")
                    break
                done += count
                while first < len(rest) and count >= len(rest[first]):
                    count -= len(rest[first])
                    first += 1
                if count:  # a short write: go on in the middle of this part
                    rest[first] = rest[first][count:]
        except OSError as problem:
            error = problem
        whole = 0
        for length in lengths:
            if length > done:
                break
            done -= length
            self.size += length
            whole += 1
        if error is not None and done:
            self._cut_torn_frame()
        return whole, error

    def _cut_torn_frame(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            return  # readers recognise the torn frame by its checksum; the first error is the one to report
        os.lseek(self._fd, self.size, os.SEEK_SET)

    def change(self, directory: Path) -> tuple[Path, OSError | None]:
        """Begin a new segment in `directory` and end the present one with a NEXT frame that names it.

        Returns:
            The path of the segment that ended, and the error when the NEXT frame could not be written.

        Raises:
            OSError: when the new segment cannot be made; the present one stays in use.
        """
        path, fd = self._create(directory)
        ended = self.path
        # The new file exists before the old one ends: a follower that sees NEXT can open what it names.
        _, error = self.write([[pack_next(path, ended)]])
        self.directory = directory
        self._adopt(path, fd)
        return ended, error

    def restart(self, directory: Path) -> None:
        """Begin a new segment without a word to the present one, which the disk has failed.

        Raises:
            OSError: when it cannot be made; nothing has changed then.
        """
        path, fd = self._create(directory)
        with self._lock:
            self._abandoned += [*self._ended, self._fd]
            self._ended, self._fd = [], -1
            self.directory = directory
        self._adopt(path, fd)

    def unsynced(self) -> Unsynced:
        """Hand over what must be synced; the ended files are then the caller's to close."""
        with self._lock:
            work = Unsynced(self._fd, tuple(self._ended), tuple(self._abandoned), tuple(self._folders))
            self._ended.clear()
            self._abandoned.clear()
            self._folders.clear()
            return work

    def check_still_there(self) -> None:
        """Find out whether somebody has removed the present file: writing to it would succeed, and nothing be kept.

        Raises:
            OSError: ENOENT, when it has no name any more.
        """
        with self._lock:
            gone = self._fd >= 0 and os.fstat(self._fd).st_nlink == 0
        if gone:
            raise FileNotFoundError(errno.ENOENT, "somebody has removed this file while it was written")

    def close(self) -> None:
        """Close the present file; idempotent."""
        with self._lock:
            files = [*self._ended, *self._abandoned, self._fd]
            self._fd, self._ended, self._abandoned = -1, [], []
        for fd in files:
            if fd >= 0:
                os.close(fd)

    def _create(self, directory: Path) -> tuple[Path, int]:
        path, fd = create_segment(directory, self.prefix)
        # Held for the life of the process: recovery can tell a live journal from one whose writer is dead.
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return path, fd

    def _adopt(self, path: Path, fd: int) -> None:
        with self._lock:
            if self._fd >= 0:
                self._ended.append(self._fd)
            self.path, self._fd, self.size = path, fd, 0
            self._folders.append(path.parent)


def is_being_written(segment: Path) -> bool:
    """Tell whether a living process has this segment open for writing."""
    with segment.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def free_bytes(folder: Path) -> int:
    """Ask the file system how much an ordinary user may still write, in bytes. May wait for the disk.

    Raises:
        OSError: when it does not answer.
    """
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def make_durable(work: Unsynced) -> None:
    """Write what the kernel holds to the disk, and close the files that ended.

    Raises:
        OSError: when the disk fails; every ended file is closed all the same.
    """
    failure: OSError | None = None
    for fd in work.abandoned:
        os.close(fd)
    for fd in work.ended:
        try:
            os.fdatasync(fd)
        except OSError as error:
            failure = failure or error
        finally:
            os.close(fd)
    for folder in work.folders:
        sync_folder(folder)
    if failure is not None:
        raise failure
    os.fdatasync(work.current)
