"""Retention: journals of finalised and verified runs are removed by rule, oldest first; everything else stays.

Run as `python -m evapd.record.retention [--dry-run] [--json] RUNS`, it lowers its own priority first. What is removed is
noted in the run's run.json before it goes, so that a removal which dies half done is finished by the next one. Second
copies are an archive: no rule touches them.
"""

import argparse
import fcntl
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from evapd.config.record import Retention
from evapd.errors import EvapdError, RecordError
from evapd.record.journal import JournalReport, read_journal, segments
from evapd.record.journal.layout import KIND_OF_TOPIC
from evapd.record.journal.reader import scan
from evapd.record.nxs import RunFile
from evapd.record.recover import is_pending
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, MERGED, RunStore, list_runs
from evapd.record.runinfo import Pruned, RunInfo
from evapd.record.secondcopy import copy_of
from evapd.record.wholefile import sync_folder
from evapd.stream.frame import HITS, WORDS
from evapd.units import US_PER_S

_log = logging.getLogger(__name__)
KEEP = "KEEP"  # a file of this name in the run folder protects it as `keep` in run.json does
_DAY_US = 86_400 * US_PER_S
_NICE = 10


@dataclass(frozen=True, slots=True)
class Removal:
    """One run that a rule was applied to."""

    run: str
    what: str  # journal, words, or "" where it stays
    bytes: int
    why: str  # which rule asked for it, or why it stays all the same


@dataclass(frozen=True, slots=True)
class _Candidate:
    store: RunStore
    info: RunInfo
    end_utc: int  # us since 1970
    bytes: int


def protected(store: RunStore, info: RunInfo) -> str:
    """Say why a run's journal may not go by what is known of it at once; "" when it may."""
    if not info.finished or is_pending(info):
        return "it is not closed, or not recovered yet"
    if info.keep or (store.folder / KEEP).exists():
        return "it is marked to be kept"
    if info.nexus is None:
        return "it is not finalised"
    if copy_of(info) is not None and (info.second_copy is None or info.second_copy.state != "whole"):
        return "its second copy is not whole"
    return ""


def verified(store: RunStore, info: RunInfo) -> str:
    """Read journal and .nxs file, and say why the one cannot stand for the other; "" when it can.

    Raises:
        RecordError: when one of them cannot be read.
    """
    nexus = info.nexus
    if nexus is None or not (path := store.nexus_path).exists() or path.stat().st_size != nexus.bytes:
        return "its .nxs file is not there, or not of the length that run.json names"
    report, hits = JournalReport(), 0
    for message in read_journal(store.journal, ACQUIRE_PREFIX, report):
        hits += int(message.header["n"]) if message.topic == HITS else 0
    if report.damaged_bytes or report.undecodable:
        return "its journal is damaged: a person is to look at it"
    with RunFile(path) as file:
        if not hits == nexus.hits == file.n_hits:
            return f"{hits} hits are in its journal, {file.n_hits} in its .nxs file, {nexus.hits} in run.json"
    return ""


def prune(
    runs: Path,
    rules: Retention,
    now_utc_us: int,
    *,
    dry_run: bool = False,
    tell: Callable[[Removal], None] = lambda _: None,
) -> list[Removal]:
    """Apply the rules to the runs of a rig, oldest first; gives what was removed, and what was due and stays.

    Raises:
        RecordError: when another process does the same, or the clock is before the end of a run: then nothing is removed.
    """
    done: list[Removal] = []

    def note(removal: Removal) -> None:
        done.append(removal)
        tell(removal)

    with _alone(runs):
        candidates = _candidates(runs)
        newest = max((one.end_utc for one in candidates), default=0)
        if now_utc_us < newest - _DAY_US:
            raise RecordError(
                f"{runs}: the clock is before the end of the newest run; nothing is removed: set the clock"
            )
        total = sum(one.bytes for one in candidates)
        for one in candidates:
            due = _due(one, rules, now_utc_us, total)
            if due is None:
                continue
            what, why = due
            freed = _apply(one, what, why, now_utc_us, note, dry_run=dry_run)
            total -= freed
    return done


def _candidates(runs: Path) -> list[_Candidate]:
    found = []
    for entry in list_runs(runs):
        if entry.info is not None:
            store = RunStore(entry.folder)
            size = sum(path.stat().st_size for path in _files(store))
            end_utc = entry.info.t_end_utc or entry.info.t_start_utc
            found.append(_Candidate(store, entry.info, end_utc, size))
    return sorted(found, key=lambda one: one.end_utc)


def _due(one: _Candidate, rules: Retention, now_utc_us: int, total: int) -> tuple[str, str] | None:
    if not one.bytes:
        return None
    age_days = (now_utc_us - one.end_utc) / _DAY_US
    if any(pruned.what == "journal" for pruned in one.info.pruned):
        return "journal", "an earlier removal is finished"
    if rules.keep_days is not None and age_days > rules.keep_days:
        return "journal", f"it ended {age_days:.1f} days ago, keep_days is {rules.keep_days:g}"
    if rules.keep_gb is not None and total > rules.keep_gb * 1e9:
        return "journal", f"all journals hold {total / 1e9:.1f} GB, keep_gb is {rules.keep_gb:g}"
    words_gone = any(pruned.what == "words" and pruned.bytes for pruned in one.info.pruned)
    if rules.raw_words_days is not None and age_days > rules.raw_words_days and not words_gone:
        return "words", f"it ended {age_days:.1f} days ago, raw_words_days is {rules.raw_words_days:g}"
    return None


def _apply(
    one: _Candidate, what: str, why: str, now_utc_us: int, note: Callable[[Removal], None], *, dry_run: bool
) -> int:
    store, begun = one.store, any(pruned.what == what for pruned in one.info.pruned)
    try:
        refused = protected(store, one.info) or ("" if begun else verified(store, one.info))
        if refused:
            note(Removal(store.folder.name, "", 0, f"{why}; it stays: {refused}"))
            return 0
        if what == "words" and not (holds := _with_words(store)):
            return 0
        freed = one.bytes
        if not dry_run:
            if not begun:
                made = Pruned(
                    what="journal" if what == "journal" else "words", t_utc=now_utc_us, bytes=0, why=why
                )
                store.change(lambda info: {"pruned": (*info.pruned, made)})
            freed = _remove_all(store) if what == "journal" else sum(map(_without_words, holds))
            store.change(lambda info: {"pruned": _with_bytes(info, what, freed)})
            _log.warning("run %s: its %s, %d bytes, removed: %s", store.folder.name, what, freed, why)
        note(Removal(store.folder.name, what, freed, why))
    except (EvapdError, OSError) as error:
        note(Removal(store.folder.name, "", 0, f"{why}; it stays: {error}"))
        return 0
    return freed if what == "journal" or not dry_run else 0


def _with_bytes(info: RunInfo, what: str, freed: int) -> tuple[Pruned, ...]:
    return tuple(
        one.model_copy(update={"bytes": one.bytes + freed}) if one.what == what else one
        for one in info.pruned
    )


def _files(store: RunStore) -> list[Path]:
    found = []
    for prefix in (GUARD_PREFIX, ACQUIRE_PREFIX):
        original = store.original(prefix)
        found += [*segments(original, prefix), *segments(original / MERGED, prefix)]
    return found


def _remove_all(store: RunStore) -> int:
    freed = 0
    for path in _files(store):
        freed += path.stat().st_size
        path.unlink()
    for prefix in (GUARD_PREFIX, ACQUIRE_PREFIX):
        merged = store.original(prefix) / MERGED
        if merged.is_dir():
            merged.rmdir()
        sync_folder(merged.parent)
    return freed


def _with_words(store: RunStore) -> list[Path]:
    kind = KIND_OF_TOPIC[WORDS]
    paths = [path for path in _files(store) if path.name.startswith(ACQUIRE_PREFIX)]
    return [path for path in paths if any(frame.kind == kind for frame in scan(path, JournalReport()))]


def _without_words(path: Path) -> int:
    """Write a segment anew without its raw words, in one step; gives the bytes that were freed."""
    before, kind = path.stat().st_size, KIND_OF_TOPIC[WORDS]
    part = path.with_name(f"{path.name}.part")
    with path.open("rb") as read, part.open("wb") as write:
        for frame in scan(path, JournalReport()):
            if frame.kind != kind:
                read.seek(frame.offset)
                write.write(read.read(frame.nbytes))
        write.flush()
        os.fsync(write.fileno())
    part.chmod(0o640)
    part.rename(path)
    sync_folder(path.parent)
    return before - path.stat().st_size


@contextmanager
def _alone(runs: Path) -> Iterator[None]:
    try:
        fd = os.open(runs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise RecordError(f"{runs}: {error.strerror}; name the runs of a rig") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise RecordError(f"{runs}: another process is removing journals here; wait for it") from error
    finally:
        os.close(fd)


def main(arguments: list[str] | None = None) -> int:
    """Apply rules from the command line; exit code 0 or 1."""
    parser = argparse.ArgumentParser(prog="python -m evapd.record.retention", description=__doc__)
    parser.add_argument("runs", type=Path, help="folder of runs")
    for name in Retention.model_fields:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float)
    parser.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    asked = parser.parse_args(arguments)
    os.nice(_NICE)

    def tell(one: Removal) -> None:
        text = f"{one.run}: {one.what or 'stays'} {one.bytes} {one.why}"
        sys.stdout.write((json.dumps(asdict(one)) if asked.json else text) + "\n")
        sys.stdout.flush()

    try:
        rules = Retention(**{name: getattr(asked, name) for name in Retention.model_fields})
        prune(asked.runs, rules, time.time_ns() // 1000, dry_run=asked.dry_run, tell=tell)
    except EvapdError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
