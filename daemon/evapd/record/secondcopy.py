"""The second copy of a run after its end: what is missing is copied, what is damaged is merged, all of it is compared.

Run as `python -m evapd.record.secondcopy RUN [--root FOLDER] [--json]`, it lowers its own priority first. Nothing in
either copy is altered: a damaged original stays, and what can be read of both lies beside it in `merged`.
"""

import argparse
import errno
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evapd.errors import EvapdError, RecordError
from evapd.record.journal import JournalReport, read_journal, segments
from evapd.record.journal.merge import merge_journals
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, MERGED, RunStore
from evapd.record.runinfo import Condition, RunInfo, SecondCopy
from evapd.record.wholefile import sync_folder, write_whole

Progress = Callable[[float], None]
SUMS = "SHA256SUMS"
_PIECE_BYTES = 1 << 20
_NICE = 10
_SERIES = (GUARD_PREFIX, ACQUIRE_PREFIX)


def copy_of(info: RunInfo) -> Path | None:
    """Give the folder below which a run's configuration asked for second copies."""
    wanted = (info.configuration.get("record") or {}).get("second_copy")
    return Path(wanted) if wanted else None


def mend(store: RunStore, copy: RunStore, alive: Callable[[], None] = lambda: None) -> int:
    """Where the copy holds frames that the original does not, merge both into `merged`; gives how many were gained.

    Raises:
        RecordError: when a journal cannot be read, or the disk cannot take the result.
    """
    gained = 0
    for prefix in _SERIES:
        original, other = store.original(prefix), copy.original(prefix)
        if not (original / MERGED).is_dir() and segments(other, prefix):
            gained += merge_journals([original, other], prefix, original / MERGED, alive)
    return gained


def complete_copy(run_folder: Path, root: Path, progress: Progress = lambda _: None) -> SecondCopy:
    """Make the copy of a closed run below `root` whole, compare it byte by byte, and write down how it stands.

    Doing it again compares again. A file of the copy that differs from a sound original is copied anew; a damaged
    original replaces nothing.

    Raises:
        RecordError: when run.json cannot be read or written, or the original cannot be read.
    """
    store, copy = RunStore(run_folder), RunStore(root / run_folder.name)
    info = store.load()
    before = info.second_copy
    if not info.finished:
        raise RecordError(f"run {info.id} is not closed; stop or recover it before its copy is completed")
    if info.pruned:
        raise RecordError(
            f"run {info.id}: its journal was removed by a rule; the copy is all there is, and stays as it is"
        )
    found = SecondCopy(folder=str(copy.folder), state="incomplete", lost=before.lost if before else 0)
    try:
        if _doubted(store, info) and (gained := mend(store, copy)):
            store.change(lambda present: _mended(present, store, gained))
        found = _copied(store, copy, found, progress)
    except OSError as error:
        found = found.model_copy(update={"problem": f"{error.filename or copy.folder}: {error.strerror}"})
    found = found.model_copy(update={"checked_t_utc": time.time_ns() // 1000})
    store.update(second_copy=found)
    if found.state == "whole":
        write_whole(copy.path, store.path.read_bytes())
    return found


def _mended(info: RunInfo, store: RunStore, gained: int) -> dict[str, Any]:
    """Give what changes in run.json once frames came back from the copy."""
    report = JournalReport()
    frames = sum(1 for _ in read_journal(store.journal, ACQUIRE_PREFIX, report))
    counters = {**info.counters, "journal_regained": gained}
    recorded, lost = info.counters.get("journal_frames"), info.counters.get("journal_lost", 0)
    changes: dict[str, Any] = {"counters": counters, "nexus": None}  # made of less: it is made again
    if recorded is not None and report.whole and frames >= recorded + lost:
        flags = tuple(flag for flag in info.conditions if flag is not Condition.INCOMPLETE)
        changes["conditions"] = flags or (Condition.GOOD,)
    return changes


def _doubted(store: RunStore, info: RunInfo) -> bool:
    """Whether the original may lack what the copy has."""
    if {Condition.INCOMPLETE, Condition.RECOVERED} & set(info.conditions):
        return True
    reports = []
    for prefix in _SERIES:
        reports.append(JournalReport())
        for _ in read_journal(store.original(prefix), prefix, reports[-1]):
            pass
    return not all(report.whole for report in reports)


def _copied(store: RunStore, copy: RunStore, found: SecondCopy, progress: Progress) -> SecondCopy:
    files = [
        path
        for prefix in _SERIES
        for folder in (store.original(prefix), store.original(prefix) / MERGED)
        for path in segments(folder, prefix)
    ]
    total = sum(path.stat().st_size for path in files) or 1
    sums, mended, done = list[str](), list[str](), 0
    for path in files:
        name = path.relative_to(store.folder)
        theirs, digest = copy.folder / name, _sha256(path)
        if not theirs.exists() or _sha256(theirs) != digest:
            if theirs.exists() and (path.parent / MERGED).is_dir():
                digest = _sha256(
                    theirs
                )  # each has what the other lacks: both stay, and `merged` has all of it
            else:
                _copy(path, theirs)
                mended.append(str(name))
                if _sha256(theirs) != digest:
                    raise OSError(
                        errno.EIO,
                        "reads back differently from what was written; check that disk",
                        str(theirs),
                    )
        sums.append(f"{digest}  {name}\n")
        done += path.stat().st_size
        progress(min(0.99, done / total))
    write_whole(copy.folder / SUMS, "".join(sums).encode())
    same_disk = store.folder.stat().st_dev == copy.folder.stat().st_dev
    return found.model_copy(
        update={
            "state": "whole",
            "files": len(files),
            "bytes": done,
            "mended": tuple(mended),
            "problem": "it lies on the same disk as the original" if same_disk else "",
        }
    )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    part = target.with_name(f"{target.name}.part")
    with source.open("rb") as read, part.open("wb") as write:
        while piece := read.read(_PIECE_BYTES):
            write.write(piece)
        write.flush()
        os.fsync(write.fileno())
    part.chmod(0o640)
    part.rename(target)
    sync_folder(target.parent)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        # What the cache holds says nothing about the disk: it is dropped, so that the bytes come from there.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Complete the copy of one run from the command line; exit code 0 when it is whole, else 1."""
    parser = argparse.ArgumentParser(prog="python -m evapd.record.secondcopy", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument(
        "--root", type=Path, help="folder of the copies; by default as the run was configured"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line: progress, then the result"
    )
    asked = parser.parse_args(arguments)
    os.nice(_NICE)

    def show(part: float) -> None:
        if asked.json:
            sys.stdout.write(json.dumps({"progress": round(part, 4)}) + "\n")
            sys.stdout.flush()

    try:
        root = asked.root or copy_of(RunStore(asked.run).load())
        if root is None:
            raise RecordError(f"{asked.run}: no second copy was configured; name its folder with --root")
        found = complete_copy(asked.run, root, show)
    except EvapdError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = found.model_dump(mode="json")
    sys.stdout.write(
        json.dumps({"progress": 1.0, **told}) + "\n"
        if asked.json
        else f"{found.folder}: {found.state} {found.problem}\n"
    )
    if found.state != "whole":
        sys.stderr.write(f"{found.problem}\n")
    return 0 if found.state == "whole" else 1


if __name__ == "__main__":
    raise SystemExit(main())
