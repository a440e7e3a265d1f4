"""A file that appears under its name only when it is whole and on the disk."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from evapd.errors import RecordError
from evapd.record.run import sync_folder


def refuse_existing(path: Path, *, force: bool = False) -> None:
    """Refuse to replace a file that is there already.

    Raises:
        RecordError: when it is there and `force` is not set, or is no plain file.
    """
    if path.is_dir():
        raise RecordError(f"{path} is a folder; name a file to write")
    if path.exists() and not force:
        raise RecordError(f"{path} exists already; choose another name, or replace it with --force")
    if not path.parent.is_dir():
        raise RecordError(f"folder {path.parent} does not exist; make it first")


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write `<path>.part`, mode 0640; it gets its name when the block ends well, and is removed when it does not.

    A process that is killed leaves the part file; the next one that writes this file takes it over.

    Raises:
        RecordError: when another process writes this file, or the disk cannot take it.
    """
    part = part_of(path)
    try:
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        with os.fdopen(fd, "r+b") as file:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with removed_on_failure(part):
                os.ftruncate(fd, 0)
                yield file
                file.flush()
                os.fsync(fd)
                part.rename(path)
        sync_folder(path.parent)
    except BlockingIOError as error:
        raise RecordError(
            f"{path} is being written by another process; wait for it, or choose another name"
        ) from error
    except OSError as error:
        raise RecordError(
            f"{path}: {error.strerror or error}; nothing was written under this name: make room or check the folder"
        ) from error


def part_of(path: Path) -> Path:
    """Give the name of a file while it is being written."""
    return path.with_name(f"{path.name}.part")


@contextlib.contextmanager
def removed_on_failure(part: Path) -> Iterator[None]:
    """Remove a part file when the block does not end well."""
    try:
        yield
    except BaseException:
        part.unlink(missing_ok=True)
        raise
