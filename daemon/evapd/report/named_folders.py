"""Whether the folders that a rig writes to can take a run, as far as can be told without writing to them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from evapd.config import LoadedRig


def warnings_of(loaded: LoadedRig) -> Iterator[str]:
    """Give what stands against a run, a line each; another user or a disk that is mounted later may see it otherwise."""
    reserve_mb = loaded.rig.record.reserve_mb
    runs, second = loaded.layout.runs, loaded.rig.record.second_copy
    runs_disk, hindrance = _disk(runs, reserve_mb)
    if hindrance:
        yield f"no run can be recorded in {runs}: {hindrance}. Mount or mend that disk, or give `folder` another place"
    if second is None:
        return
    second_disk, hindrance = _disk(second, reserve_mb)
    if hindrance:
        yield f"record.second_copy: nothing can be copied to {second}: {hindrance}. Runs would be recorded without a second copy"
    elif second_disk == runs_disk:
        yield f"record.second_copy: {second} lies on the same disk as the runs: what takes that disk takes both"


def _disk(folder: Path, reserve_mb: float) -> tuple[int | None, str]:
    """Give the disk's number, None where it cannot be told, and what keeps a folder from being made or written there."""
    there = folder
    try:
        while not _exists(there):
            there = there.parent
        if not there.is_dir():
            return None, f"{there} is no folder"
        disk = there.stat().st_dev
        if not os.access(there, os.W_OK | os.X_OK):
            return disk, f"{there} cannot be written by this user"
        free_mb = shutil.disk_usage(there).free / 1e6
    except OSError as error:
        return None, f"{there}: {error.strerror or error}"
    if free_mb > reserve_mb:
        return disk, ""
    return disk, f"{free_mb:.0f} MB are free there, record.reserve_mb keeps {reserve_mb:g} MB"


def _exists(path: Path) -> bool:
    """Whether something is there, be it a link to nowhere; a disk that does not answer is no folder yet to be made."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
