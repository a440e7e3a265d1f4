"""Run folders: their names, run.json written so that it is always whole, and the list of them."""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evapd.errors import RecordError
from evapd.record.runinfo import (
    FORMAT,
    Condition,
    Note,
    Person,
    RunInfo,
    Segment,
    StateChange,
    digest,
    present_versions,
)
from evapd.record.wholefile import sync_folder, write_whole
from evapd.units import US_PER_S

__all__ = [
    "ACQUIRE_PREFIX",
    "GUARD_PREFIX",
    "Condition",
    "Note",
    "Person",
    "RunEntry",
    "RunInfo",
    "RunStore",
    "Segment",
    "StateChange",
    "digest",
    "each_run",
    "list_runs",
    "new_run_folder",
    "present_versions",
    "read_entry",
    "sync_folder",
    "utc_text",
]

RUN_JSON = "run.json"
JOURNAL = "journal"
GUARD_JOURNAL = "journal/guard"
MERGED = "merged"
ACQUIRE_PREFIX = "acquire"
GUARD_PREFIX = "guard"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 80


def utc_text(t_utc_us: int) -> str:
    """Give microseconds since 1970 as ISO 8601 text with microseconds, in UTC."""
    return datetime.fromtimestamp(t_utc_us / US_PER_S, UTC).isoformat(timespec="microseconds")


def new_run_folder(runs: Path, name: str, t_utc_us: int) -> Path:
    """Choose the folder of a new run, `<UTC start>-<name>`; its name is the run's id.

    The name is reduced to letters, digits, dot, underscore and dash, so that it is safe on every file system
    and cannot leave `runs`. A second run of the same name within a second gets a number.
    """
    stamp = datetime.fromtimestamp(t_utc_us // US_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
    plain = _UNSAFE.sub("-", name).strip("-.")[:_MAX_NAME] or "run"
    folder, number = runs / f"{stamp}-{plain}", 1
    while folder.exists():
        number += 1
        folder = runs / f"{stamp}-{plain}-{number}"
    return folder


class RunStore:
    """run.json of one run folder. Every change is read, made and written under a lock, so processes take turns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / RUN_JSON

    @property
    def journal(self) -> Path:
        """Where acquire's segments go, and are read from."""
        return _merged_of(self.original(ACQUIRE_PREFIX))

    @property
    def guard_journal(self) -> Path:
        """Where the guard's segments go while the run is under way, and are read from."""
        return _merged_of(self.original(GUARD_PREFIX))

    def original(self, prefix: str) -> Path:
        """Give the folder of segments as they were recorded; recovery may have merged two copies into another one."""
        return self.folder / (GUARD_JOURNAL if prefix == GUARD_PREFIX else JOURNAL)

    @property
    def nexus_path(self) -> Path:
        """The finalised file."""
        return self.folder / f"{self.folder.name}.nxs"

    def create(self, info: RunInfo) -> RunInfo:
        """Make the folder with its journal folders and write the first run.json.

        Raises:
            RecordError: when the folder exists or cannot be made.
        """
        if info.id != self.folder.name:
            raise RecordError(
                f"run {info.id} does not belong into folder {self.folder.name}: id and folder are one name"
            )
        try:
            self.folder.mkdir(parents=True, mode=0o750)
            self.guard_journal.mkdir(parents=True, mode=0o750)
            with self._locked():
                self._write(info)
            sync_folder(self.folder.parent)
        except FileExistsError as error:
            raise RecordError(f"run folder {self.folder} exists already; choose another name") from error
        except OSError as error:
            raise RecordError(
                f"run folder {self.folder}: {error.strerror}; check space and permissions"
            ) from error
        return info

    def load(self) -> RunInfo:
        """Read run.json.

        Raises:
            RecordError: when it is absent, not what it should be, or of a newer format.
        """
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            raise RecordError(
                f"{self.path} does not exist; `evapd recover {self.folder}` makes one from the journal"
            ) from None
        except OSError as error:
            raise RecordError(f"{self.path}: {error.strerror}; check the disk and permissions") from error
        except ValueError as error:
            raise RecordError(
                f"{self.path} is not JSON: {error}; `evapd recover {self.folder}` mends it"
            ) from None
        if (
            isinstance(content, dict)
            and isinstance(content.get("format"), int)
            and content["format"] > FORMAT
        ):
            raise RecordError(
                f"{self.path} has format {content['format']}, this program reads {FORMAT}; use a newer evapd"
            )
        try:
            return RunInfo.model_validate(content)
        except ValidationError as error:
            raise RecordError(f"{self.path} is not a run: {error}") from None

    def update(self, **changes: Any) -> RunInfo:
        """Change fields, checked, and write the whole anew; gives what is now on disk.

        Raises:
            RecordError: when run.json cannot be read or written, or a value does not fit.
        """
        return self.change(lambda _: changes)

    def change(self, make: Callable[[RunInfo], Mapping[str, Any]]) -> RunInfo:
        """Change fields that depend on what is there: `make` gets the present content and gives the new fields.

        Raises:
            RecordError: when run.json cannot be read or written, or a value does not fit.
        """
        with self._locked():
            try:
                present = self.load()
                info = RunInfo.model_validate({**dict(present), **make(present)})
            except ValidationError as error:
                raise RecordError(f"{self.path} was left as it is: {error}") from None
            try:
                self._write(info)
            except OSError as error:
                raise RecordError(f"{self.path}: {error.strerror}; check space and permissions") from error
            return info

    def replace(self, info: RunInfo) -> None:
        """Write a run.json where there is none that can be read; a damaged one is kept beside it.

        Raises:
            RecordError: when it cannot be written.
        """
        with self._locked():
            try:
                if self.path.exists():
                    self.path.rename(self._free_name(self.path.with_suffix(".json.damaged")))
                self._write(info)
            except OSError as error:
                raise RecordError(f"{self.path}: {error.strerror}; check space and permissions") from error

    def _free_name(self, path: Path) -> Path:
        number, free = 1, path
        while free.exists():
            number += 1
            free = path.with_name(f"{path.name}-{number}")
        return free

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The folder itself is locked: no lock file is left behind, and a killed process leaves no lock.
        try:
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise RecordError(f"run folder {self.folder}: {error.strerror}; check the path") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _write(self, info: RunInfo) -> None:
        write_whole(self.path, info.model_dump_json(indent=2).encode())


def _merged_of(original: Path) -> Path:
    merged = original / MERGED
    return merged if merged.is_dir() else original


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run folder as found: what it says, or why it cannot be read."""

    folder: Path
    info: RunInfo | None
    problem: str = ""


def list_runs(runs: Path) -> list[RunEntry]:
    """List the run folders of a rig, oldest first; one that cannot be read is listed with its problem."""
    return list(each_run(runs))


def each_run(runs: Path) -> Iterator[RunEntry]:
    """Give the run folders of a rig one by one, oldest first: those that are there when the first is asked for."""
    yield from map(
        read_entry, sorted(path for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
    )


def read_entry(folder: Path) -> RunEntry:
    """Read one run folder."""
    try:
        return RunEntry(folder, RunStore(folder).load())
    except RecordError as error:
        return RunEntry(folder, None, str(error))
