"""One owner per port: a lock file that the kernel frees when its holder dies, even by SIGKILL."""

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
from pathlib import Path

from evapd.errors import DeviceBusy, DeviceError

_COMMON = Path("/run/lock")


def lock_folder() -> Path:
    """Give the folder that all programs of this machine share for lock files."""
    return _COMMON if os.access(_COMMON, os.W_OK) else Path(tempfile.gettempdir())


def lock_path(port: str) -> Path:
    """Give the lock file of a port, named so that a person recognises it and no two ports share it."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", port).strip("-")[-60:]
    return lock_folder() / f"evapd-{readable}-{hashlib.sha256(port.encode()).hexdigest()[:8]}.lock"


class PortLock:
    """An exclusive `flock` on a port's lock file, held from construction to `release`."""

    def __init__(self, port: str) -> None:
        """Take the lock.

        Args:
            port: what must have one owner: a real device path, an address.

        Raises:
            DeviceBusy: when another process, or another part of this one, holds it.
            DeviceError: when the lock file cannot be opened.
        """
        self.path = lock_path(port)
        self._fd: int | None = None
        try:
            self._take(port)
        except OSError as error:
            raise DeviceError(
                f"the lock file {self.path} of {port} cannot be opened: {error}; check its permissions"
            ) from error

    def _take(self, port: str) -> None:
        while True:
            fd = _open(self.path)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 20, 0).decode("ascii", errors="replace").strip() or "another process"
                os.close(fd)
                raise DeviceBusy(
                    f"{port} is held by process {holder}; nothing was sent. Stop that program first"
                ) from None
            except BaseException:
                os.close(fd)
                raise
            if _is_at(fd, self.path):
                break
            os.close(fd)  # its last holder removed it between our open and our lock
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock up; idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):  # in a sticky folder only the file's owner may remove it
                self.path.unlink()
            os.close(fd)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        # Without O_CREAT first: the kernel refuses O_CREAT on another user's file in a sticky folder.
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        with contextlib.suppress(FileExistsError):
            fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(fd, 0o666)  # whoever may use the port must be able to lock it, whatever our umask
            return fd


def _is_at(fd: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(fd), there)
