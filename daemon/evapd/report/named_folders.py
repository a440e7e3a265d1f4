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
    hindrance = _hindrance(runs, reserve_mb)
    if hindrance:
        yield f"no run can be recorded in {runs}: {hindrance}"
    if second is None:
        return
    hindrance = _hindrance(second, reserve_mb)
    if hindrance:
        yield f"record.second_copy: nothing can be copied to {second}: {hindrance}. Runs would be recorded without a second copy"
    elif _there(second).stat().st_dev == _there(runs).stat().st_dev:
        yield f"record.second_copy: {second} lies on the same disk as the runs: what takes that disk takes both"


def _hindrance(folder: Path, reserve_mb: float) -> str:
    there = _there(folder)
    if not there.is_dir():
        return f"{there} is no folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written by this user"
    free_mb = shutil.disk_usage(there).free / 1e6
    return (
        ""
        if free_mb > reserve_mb
        else f"{free_mb:.0f} MB are free there, record.reserve_mb keeps {reserve_mb:g} MB"
    )


def _there(folder: Path) -> Path:
    """The part of a path that is there already."""
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder
