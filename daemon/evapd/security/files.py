"""Files that hold secrets: made private from their first byte, and read only where they are still so.

Everything goes through a descriptor of the folder, so that nobody can put another file in place between a check and
the use of what was checked.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evapd.errors import ConfigError

MAX_BYTES = 64 * 1024
PRIVATE = 0o600
PUBLIC = 0o644


@contextmanager
def private_folder(folder: Path, *, make: bool = False) -> Iterator[int]:
    """Open a folder of keys; gives its descriptor.

    Args:
        folder: The folder.
        make: Make it, with mode 0700, where it is missing.

    Raises:
        ConfigError: when it is missing, is no folder, belongs to somebody else, or lets others in.
    """
    try:
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"{folder}: the folder of keys cannot be opened: {error.strerror}; make one with `evapd keys new`"
        ) from None
    try:
        _check_private(os.fstat(descriptor), folder, "chmod 700")
        yield descriptor
    finally:
        os.close(descriptor)


def read_private(folder: int, path: Path) -> str:
    """Read a file of secrets that only its owner can read.

    Args:
        folder: Descriptor of the folder.
        path: The file; its last part is opened in `folder`.

    Raises:
        FileNotFoundError: when there is none.
        ConfigError: when it is no plain file, belongs to somebody else, others may read it, or it is no text.
    """
    return _read(folder, path, secret=True)


def read_public(folder: int, path: Path) -> str:
    """Read a file that everybody may read but only its owner may write; errors as `read_private`."""
    return _read(folder, path, secret=False)


def write_new(folder: int, path: Path, text: str, mode: int = PRIVATE) -> None:
    """Write a file that is not there yet; it has its mode before it has its first byte.

    Raises:
        ConfigError: when it is there: a key is never overwritten.
    """
    try:
        descriptor = os.open(
            path.name,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
            mode,
            dir_fd=folder,
        )
    except FileExistsError:
        raise ConfigError(
            f"{path} is there already and is never overwritten; take another folder, or move it away yourself"
        ) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        os.fchmod(descriptor, mode)  # whatever the umask took away
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)


def replace(folder: int, path: Path, text: str, mode: int = PRIVATE) -> None:
    """Put a new content in place of a file's in one step: a reader sees the old one or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    write_new(folder, fresh, text, mode)
    try:
        os.rename(fresh.name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(fresh.name, dir_fd=folder)
        raise
    os.fsync(folder)


def _read(folder: int, path: Path, *, secret: bool) -> str:
    # O_NONBLOCK: a pipe in the place of a key must not hold the daemon up for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path.name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; it must be a plain file, no link"
        ) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{path} is not a plain file: put the key file itself there")
        _check_private(found, path, "chmod 600", others=0o077 if secret else 0o022)
        content = os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} has more than {MAX_BYTES} bytes: it is no file of keys")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not plain ASCII text: it is no file of keys") from None


def _check_private(found: os.stat_result, path: Path, cure: str, *, others: int = 0o077) -> None:
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"{path} belongs to user {found.st_uid}, this is user {os.geteuid()}: run evapd as its owner, or `chown` it"
        )
    if found.st_mode & others:
        what = "read" if others & 0o044 else "write"
        raise ConfigError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, others may {what} it: `{cure} {path}`; if it held a "
            "secret meanwhile, make a new key"
        )
