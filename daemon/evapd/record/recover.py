"""Recovery: read what a process that died left behind, say to the frame what is missing, and close the run.

The journals are never altered. Recovering twice changes nothing, and a recovery that is interrupted is done again.
Run as `python -m evapd.record.recover RUN [--second FOLDER] [--json]`, it lowers its own priority first.
"""

import argparse
import heapq
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from evapd.errors import EvapdError, RecordError, StateError
from evapd.record.account import Account
from evapd.record.journal import JournalReport, read_journal, segments
from evapd.record.journal.index import frame_places
from evapd.record.journal.sink import is_being_written
from evapd.record.recoveryreport import RecoveryReport
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, Condition, RunInfo, RunStore
from evapd.record.secondcopy import copy_of, mend
from evapd.record.wholefile import write_whole
from evapd.stream.jsontext import from_json

_log = logging.getLogger(__name__)
__all__ = [
    "EXIT_BUSY",
    "TEXT",
    "RecoveryReport",
    "is_pending",
    "recover_run",
    "recover_unfinished",
    "written_by",
]

TEXT = "recovery.txt"
EXIT_BUSY = 3  # the guard still writes: ask again
HASTE_BYTES = 256_000_000  # of one run: above it a hasty recovery leaves the counting for later
HASTE_S = 10.0  # of all runs: after this each is only closed
GIVE_UP_S = 20.0  # after this the rest is left as it is, for later
_FRAMES_PER_SIGN = 1000
_NICE = 10
_CLOSED = re.compile(rb'^  "state": "(finished|recovered)",\r?$', re.MULTILINE)
_PENDING = re.compile(rb'^    "pending": true', re.MULTILINE)


def _nothing() -> None: ...


def is_pending(info: RunInfo) -> bool:
    """Whether a run was closed in haste, and its frames are still to be counted."""
    return bool((info.recovery or {}).get("pending"))


def recover_run(
    run_folder: Path,
    alive: Callable[[], None] = _nothing,
    *,
    second: Path | None = None,
    most_bytes: int | None = None,
) -> RecoveryReport:
    """Close a run whose process died: count every frame, mark run.json, leave the journals as they are.

    A run.json that is missing or damaged is made anew from what the frames say; the damaged one is kept. Where a
    second copy of the run is there and holds more, both are merged first.

    Args:
        run_folder: the run.
        alive: called every thousand frames: a journal of a day takes minutes to read.
        second: folder of second copies, for a run whose run.json does not tell.
        most_bytes: a run with longer journals, or one that the guard still writes, is closed in haste: `pending`.

    Raises:
        StateError: when a living process still writes the run.
        RecordError: when the folder is no run folder, or cannot be read or written.
    """
    store = RunStore(run_folder)
    if not run_folder.is_dir():
        raise RecordError(f"{run_folder} is not a run folder; `evapd runs` lists them")
    if written_by(store, ACQUIRE_PREFIX):
        raise StateError(f"run {run_folder.name} is still being recorded; stop it before recovering it")
    info, damage = _load(store)
    if info is not None and info.finished and not is_pending(info):
        return _as_before(info)
    haste = most_bytes is not None and (written_by(store, GUARD_PREFIX) or _bytes(store) >= most_bytes)
    if not haste and written_by(store, GUARD_PREFIX):
        raise StateError(f"the guard still writes run {run_folder.name}; it leaves when the voltage is down")
    state = info.state if info else damage
    if info is not None and is_pending(info):
        state = str((info.recovery or {}).get("state", state))
        if haste:
            return RecoveryReport(run=info.id, changed=False, state=state, pending=True)
    root = (copy_of(info) if info else None) or second
    account, report = _hasty(store, state) if haste else _whole(store, state, root, alive)
    if info is None:
        store.replace(_rebuilt(run_folder.name, account))
    _write_text(store, report)
    store.change(lambda present: _closed(present, account, report))
    _log.warning("%s", report)
    return report


def _as_before(info: RunInfo) -> RecoveryReport:
    kept = info.recovery or {}
    return RecoveryReport(
        run=info.id,
        changed=False,
        state=info.state,
        acquire=kept.get("acquire", {}),
        guard=kept.get("guard", {}),
        counters=kept.get("counters", {}),
    )


def written_by(store: RunStore, prefix: str) -> bool:
    """Whether a living process still writes a series of a run."""
    return any(is_being_written(segment) for segment in segments(store.original(prefix), prefix)[-1:])


def _bytes(store: RunStore) -> int:
    series = ((store.journal, ACQUIRE_PREFIX), (store.guard_journal, GUARD_PREFIX))
    return sum(path.stat().st_size for folder, prefix in series for path in segments(folder, prefix))


def _whole(
    store: RunStore, state: str, root: Path | None, alive: Callable[[], None]
) -> tuple[Account, RecoveryReport]:
    copy = RunStore(root / store.folder.name) if root is not None else None
    regained = mend(store, copy, alive) if copy is not None and copy.folder.is_dir() else 0
    account, acquire, guard = Account(), JournalReport(), JournalReport()
    told = heapq.merge(
        ((account.guard, message) for message in read_journal(store.guard_journal, GUARD_PREFIX, guard)),
        ((account.acquire, message) for message in read_journal(store.journal, ACQUIRE_PREFIX, acquire)),
        key=lambda one: int(one[1].header.get("t_mono_us", 0)),
    )
    for number, (end, message) in enumerate(told):
        account.count(message, end)
        if number % _FRAMES_PER_SIGN == 0:
            alive()
    return account, RecoveryReport(
        run=store.folder.name,
        changed=True,
        state=state,
        acquire=acquire.as_dict(),
        guard=guard.as_dict(),
        counters=account.counters(),
        ends={"acquire": account.acquire.as_dict(), "guard": account.guard.as_dict()},
        regained=regained,
    )


def _hasty(store: RunStore, state: str) -> tuple[Account, RecoveryReport]:
    """Look at the ends alone: the first frames, and the heads of those in the newest segments."""
    account, starts = Account(), list[tuple[int, int]]()
    for folder, prefix, end in (
        (store.guard_journal, GUARD_PREFIX, account.guard),
        (store.journal, ACQUIRE_PREFIX, account.acquire),
    ):
        found = segments(folder, prefix)
        first = [_header(place.header) for path in found[:1] for place in islice(frame_places(path), 1)]
        starts += [
            (header["t_mono_us"], int(header.get("t_utc", 0))) for header in first if "t_mono_us" in header
        ]
        for path in found[-1:]:
            for place in frame_places(path):
                header = _header(place.header)
                t_mono_us = header.get("t_mono_us", 0)
                if isinstance(t_mono_us, int) and t_mono_us >= end.t_mono_us:
                    end.t_mono_us, end.t_utc = t_mono_us, int(header.get("t_utc", 0))
                    end.pulse = max(end.pulse, int(header.get("last_pulse", -1)))
                    account.instance = str(header.get("instance", "")) if prefix == ACQUIRE_PREFIX else ""
    account.first_t_mono_us, account.first_t_utc = min(starts, default=(0, 0))
    ends = {"acquire": account.acquire.as_dict(), "guard": account.guard.as_dict()}
    return account, RecoveryReport(run=store.folder.name, changed=True, state=state, ends=ends, pending=True)


def _header(data: bytes) -> dict[str, Any]:
    try:
        header = from_json(data) if data else {}
    except ValueError:
        return {}
    return header if isinstance(header, dict) else {}


def _load(store: RunStore) -> tuple[RunInfo | None, str]:
    try:
        return store.load(), ""
    except RecordError as error:
        if "newer evapd" in str(error):
            raise
        return None, str(error)


def _rebuilt(run: str, account: Account) -> RunInfo:
    return RunInfo(
        id=run,
        name=run.split("-", 1)[-1],
        state="running",
        conditions=(Condition.INCOMPLETE,),  # who, what and with which settings is lost
        instance=account.instance,
        t_start_utc=account.first_t_utc,
        t_start_mono_us=account.first_t_mono_us,
    )


def _write_text(store: RunStore, report: RecoveryReport) -> None:
    try:
        write_whole(store.folder / TEXT, report.text().encode())
    except OSError as error:
        raise RecordError(f"{store.folder / TEXT}: {error.strerror}; check space and permissions") from error


def _closed(info: RunInfo, account: Account, report: RecoveryReport) -> dict[str, Any]:
    last = account.last
    t_utc, t_mono_us = (
        (last.t_utc, last.t_mono_us) if last.t_mono_us else (info.t_start_utc, info.t_start_mono_us)
    )
    counted: dict[str, Any] = {"recovery": report.as_dict()}
    flags = [Condition.RECOVERED]
    if not report.pending:
        whole = not report.lost and not account.lossy_blocks
        flags += [] if whole else [Condition.INCOMPLETE]
        counted |= {"counters": {**info.counters, "journal": report.counters}, **account.added(info)}
    if is_pending(info):  # it is closed already: only what the frames say is new
        return counted | {"conditions": info.with_conditions(*flags)}
    # A run that died while it was being finalised had been closed in good order: its data are whole.
    if info.state != "finalising":
        flags.append(Condition.INTERRUPTED)
    reason = info.end_reason or "the recording process ended before the run did"
    recovered = {"state": "recovered", "t_mono_us": t_mono_us, "t_utc": t_utc, "reason": reason}
    return counted | {
        "state": "recovered",
        "conditions": info.with_conditions(*flags),
        "end_reason": reason,
        "t_end_utc": info.t_end_utc if info.t_end_utc is not None else t_utc,
        "t_end_mono_us": info.t_end_mono_us if info.t_end_mono_us is not None else t_mono_us,
        "states": (*info.states, recovered),
    }


def recover_unfinished(
    runs: Path,
    alive: Callable[[], None] = _nothing,
    *,
    second: Path | None = None,
    haste: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> list[RecoveryReport]:
    """Recover every run below `runs` that nobody closed and nobody is writing; a problem with one stops no other.

    With `haste` this takes seconds whatever lies there: small runs are recovered whole as long as there is time, the
    others are closed in haste, and what is left then waits for `recover_run`.
    """
    reports, begun_s = [], clock()
    for folder in sorted(path for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []:
        spent_s = clock() - begun_s
        if haste and spent_s > GIVE_UP_S:
            break
        if _surely_closed(folder, pending_too=not haste):
            continue
        most_bytes = None if not haste else HASTE_BYTES if spent_s < HASTE_S else 0
        try:
            report = recover_run(folder, alive, second=second, most_bytes=most_bytes)
        except StateError:
            continue  # alive: not ours to touch
        except (RecordError, OSError) as error:
            report = RecoveryReport(run=folder.name, changed=False, state="unknown", problem=str(error))
        if report.changed or report.problem:
            reports.append(report)
    return reports


def _surely_closed(folder: Path, *, pending_too: bool) -> bool:
    """Whether run.json, at a glance, says that there is nothing to do: thousands of runs are looked at."""
    try:
        text = RunStore(folder).path.read_bytes()
    except OSError:
        return False
    return _CLOSED.search(text) is not None and not (pending_too and _PENDING.search(text))


def main(arguments: list[str] | None = None) -> int:
    """Recover one run from the command line; exit code 0, 1 when it failed, 3 while somebody still writes the run."""
    parser = argparse.ArgumentParser(prog="python -m evapd.record.recover", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--second", type=Path, help="folder of second copies, where run.json does not tell")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    asked = parser.parse_args(arguments)
    os.nice(_NICE)
    try:
        report = recover_run(asked.run, second=asked.second)
    except StateError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_BUSY
    except EvapdError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        json.dumps({"progress": 1.0, **report.as_dict()}) + "\n" if asked.json else report.text()
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
