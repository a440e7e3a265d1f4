"""Names of segment files: `<prefix>-000001.evj`, numbered without end, never written twice."""

import os
import re
from pathlib import Path

from evapd.errors import RecordError

SUFFIX = ".evj"
_NAME = re.compile(r"(?P<prefix>.+)-(?P<number>\d{6,})\.evj")


def segment_path(directory: Path, prefix: str, number: int) -> Path:
    """Give the path of one segment."""
    return directory / f"{prefix}-{number:06d}{SUFFIX}"


def segment_number(path: Path) -> int:
    """Give the number of a segment; 0 when the name is not one of a segment."""
    match = _NAME.fullmatch(path.name)
    return int(match["number"]) if match else 0


def segments(directory: Path, prefix: str | None = None) -> list[Path]:
    """List the segments of a folder in order of prefix and number; a folder that is absent holds none.

    Raises:
        RecordError: when the folder cannot be read.
    """
    try:
        names = os.listdir(directory)  # noqa: PTH208 - called often, and only the names are wanted
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RecordError(f"journal folder {directory}: {error.strerror}; check its permissions") from error
    found = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match and prefix in (None, match["prefix"]):
            found.append((match["prefix"], int(match["number"]), name))
    return [directory / name for _, _, name in sorted(found)]


def create_segment(directory: Path, prefix: str) -> tuple[Path, int]:
    """Create the next free segment of a folder, mode 0640, and give its path and descriptor.

    Raises:
        OSError: when the folder or file cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    number = max((segment_number(path) for path in segments(directory, prefix)), default=0)
    while True:
        number += 1
        path = segment_path(directory, prefix, number).absolute()
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        except FileExistsError:
            continue


def keep_newest(directory: Path, prefix: str, number: int) -> None:
    """Remove the oldest segments of a series until `number` are left.

    Raises:
        RecordError: when the folder cannot be read.
        OSError: when one cannot be removed.
    """
    for path in segments(directory, prefix)[:-number]:
        path.unlink(missing_ok=True)
