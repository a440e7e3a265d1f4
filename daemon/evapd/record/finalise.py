"""Finalising: the journals of a run become one NeXus NXapm file, in bounded memory.

Run as `python -m evapd.record.finalise RUN [--json]`, it lowers its own priority first. The journals are only read;
finalising can be done again at any time and replaces the file in one step. A process that is killed leaves a folder
`finalising` in the run, from which the next one goes on; the result is the same to the byte.
"""

import argparse
import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py

from evapd.errors import EvapdError, RecordError
from evapd.record.columns import CHUNK_CACHE_BYTES
from evapd.record.finalising.assemble import chunk_bytes, write_columns
from evapd.record.finalising.gather import EVENTS, Gatherer, OtherHits
from evapd.record.finalising.pace import Advance, Pace
from evapd.record.finalising.spool import Spool
from evapd.record.hdf5file import GuardedFile
from evapd.record.journal import segments
from evapd.record.newfile import part_of, removed_on_failure
from evapd.record.nxapm import COLLECTION, MEASURED
from evapd.record.nxrecord import describe, write_record
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunInfo, RunStore
from evapd.record.runinfo import NexusFile
from evapd.record.wholefile import sync_folder

_log = logging.getLogger(__name__)
Progress = Callable[[float], None]
Tell = Callable[[float, int], None]  # part done, hits so far

BLACK_BOXES = "blackbox"  # folder in the run
WORK = "finalising"  # folder in the run
NO_SPACE = 75  # exit code: to be tried again when there is room
_READING = 0.9  # part of the work; the rest is putting the chunks into their file
KEEP_S = 5.0  # between two safe points
EVERY_FRAMES = 64
_FORMAT = 1  # of what is in the spool: another number, and old spools are begun anew


def finalise(run_folder: Path, *, progress: Progress | None = None, tell: Tell | None = None) -> Path:
    """Write `<id>.nxs` from the journals of a run and note it in run.json; goes on where a killed process stood.

    Args:
        run_folder: the run; its journals are only read.
        progress: told the part done, 0 to 1.
        tell: told the part done and the hits so far.

    Returns:
        The file, complete and synced to the disk.

    Raises:
        RecordError: when run.json cannot be read, or the file cannot be written.
    """
    store = RunStore(run_folder)
    info = store.load()
    if any(one.what == "journal" for one in info.pruned):
        raise RecordError(
            f"run {info.id}: its journal was removed by rule; {store.nexus_path.name} is the record, and stays as it is"
        )

    def both(part: float, hits: int) -> None:
        if progress is not None:
            progress(part)
        if tell is not None:
            tell(part, hits)

    work = store.folder / WORK
    try:
        nexus = _write(_Task(store.nexus_path, info, store, both, work))
    except OSError as error:
        raise RecordError(
            f"{part_of(store.nexus_path)}: {error.strerror or error}; the journal is untouched and what was done is "
            f"kept: make room, then run `evapd export {run_folder}`"
        ) from error
    store.update(nexus=nexus)
    shutil.rmtree(work, ignore_errors=True)  # what is left of it is taken over or removed the next time
    both(1.0, nexus.hits)
    return store.nexus_path


def write_nexus(
    path: Path,
    info: RunInfo,
    store: RunStore,
    *,
    progress: Progress | None = None,
    others: OtherHits | None = None,
) -> NexusFile:
    """Write a NeXus file of a run; it gets its name when it is whole and on the disk.

    Args:
        path: the file; an existing one is replaced.
        info: what the file says about the run.
        store: the run, whose journals are read; where it has none, everything comes from `others`.
        progress: told the part done, 0 to 0.99.
        others: hits to be written instead of the recorded ones.

    Raises:
        RecordError: when another process is writing the file, or a journal cannot be read.
        OSError: when the disk cannot take the file.
    """
    work = path.with_name(f".{path.name}.work")
    tell = progress or (lambda _: None)
    try:
        return _write(_Task(path, info, store, lambda part, _: tell(part), work, others))
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Task(NamedTuple):
    """What is to be made of what."""

    path: Path
    info: RunInfo
    store: RunStore
    tell: Tell
    work: Path  # folder of the spool
    others: OtherHits | None = None


def _write(task: _Task) -> NexusFile:
    path, part = task.path, part_of(task.path)
    task = task._replace(info=task.info.model_copy(update={"nexus": None}))
    try:
        # Renamed while it is still ours: nobody else can empty it between the last byte and its name.
        with contextlib.closing(GuardedFile(part)) as disk, removed_on_failure(part):
            key = _key(task) if task.others is None else os.urandom(8).hex()
            with Spool(task.work, key) as spool:
                gathered = _gather(spool, task)
                _assemble(spool, gathered, disk, task)
            size = disk.sync()
            part.rename(path)
        sync_folder(path.parent)
    except BlockingIOError as error:
        raise RecordError(f"{path} is being finalised by another process; wait for it") from error
    hits, sizes = gathered.hits.hits, gathered.hits.sizes()
    measured = sum(sizes[name] for name in MEASURED)
    return NexusFile(
        file=path.name,
        bytes=size,
        hits=hits,
        bytes_per_hit=round(measured / hits, 3) if hits else None,
        finalised_t_utc=time.time_ns() // 1000,
    )


def _gather(spool: Spool, task: _Task) -> Gatherer:
    total = sum(segment.stat().st_size for segment in _segments(task.store))
    gatherer = Gatherer(spool, task.info, task.store, task.others)
    kept_s = time.monotonic()

    def told(number: int) -> None:
        nonlocal kept_s
        if number % EVERY_FRAMES:
            return
        done = gatherer.guard.bytes + gatherer.acquire.bytes
        task.tell(_READING * min(1.0, done / total) if total else 0.0, gatherer.hits.hits)
        if task.others is None and time.monotonic() - kept_s >= KEEP_S:
            gatherer.keep()
            kept_s = time.monotonic()

    try:
        gatherer.run(told)
    finally:
        gatherer.hits.abandon()
    spool.settle()
    for column in spool.columns.values():
        column.finish()
    return gatherer


def _assemble(spool: Spool, gathered: Gatherer, disk: GuardedFile, task: _Task) -> None:
    everything = chunk_bytes(spool) or 1

    def written(done: int) -> None:
        disk.check()
        task.tell(_READING + (0.99 - _READING) * done / everything, gathered.hits.hits)

    with h5py.File(disk, "w", rdcc_nbytes=CHUNK_CACHE_BYTES) as file:
        describe(file, task.info, gathered)
        write_columns(spool, file, {f"{COLLECTION}/events": list(EVENTS)}, written)
        about = task.others.about() if task.others is not None else {}
        boxes = sorted((task.store.folder / BLACK_BOXES).glob("*.npz"))
        write_record(file, task.info, gathered, about, boxes)
    disk.check()


def _segments(store: RunStore) -> list[Path]:
    return [*segments(store.guard_journal, GUARD_PREFIX), *segments(store.journal, ACQUIRE_PREFIX)]


def _key(task: _Task) -> str:
    """Say what a spool is made of: journals and settings; only with the same ones may it be continued."""
    info, folder = task.info, task.store.folder
    files = [[str(path.relative_to(folder)), path.stat().st_size] for path in _segments(task.store)]
    made_of = [_FORMAT, files, info.t_start_mono_us, info.configuration, info.versions]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Finalise one run from the command line; exit code 0, 1, or 75 when the disk is full."""
    parser = argparse.ArgumentParser(prog="python -m evapd.record.finalise", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line: progress, then the result"
    )
    asked = parser.parse_args(arguments)
    os.nice(10)

    def show(now: Advance) -> None:
        line = json.dumps(now.as_dict()) if asked.json else f"\r\x1b[2K{now}"
        sys.stdout.write(line + ("\n" if asked.json else ""))
        sys.stdout.flush()

    begun = time.monotonic()
    try:
        path = finalise(asked.run, tell=Pace(show, time.monotonic))
        nexus = RunStore(asked.run).load().nexus
    except EvapdError as error:
        sys.stderr.write(f"{error}\n")
        cause = error.__cause__
        full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        return NO_SPACE if full else 1
    told = nexus.model_dump() if nexus is not None else {}
    if asked.json:
        sys.stdout.write(json.dumps({"progress": 1.0, "path": str(path), **told}) + "\n")
    else:
        sys.stdout.write(f"\r\x1b[2K{path}: {told.get('hits', 0)} hits in {time.monotonic() - begun:.1f} s\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
