"""What run.json says about a run: who, what, with which settings, in which order, and whether it can be trusted."""

import hashlib
import json
import platform
from collections.abc import Mapping
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1
State = Literal["arming", "running", "stopping", "finalising", "finished", "recovered"]
FINISHED_STATES: tuple[State, ...] = ("finished", "recovered")


class Condition(StrEnum):
    """Flags of a run; a run without a doubt has GOOD alone."""

    GOOD = "GOOD"
    TAINTED = "TAINTED"  # something happened that a reader of the data must know: see the events
    INCOMPLETE = "INCOMPLETE"  # frames are known to be missing
    INTERRUPTED = "INTERRUPTED"  # the process that recorded it ended before the run did
    ABORTED = "ABORTED"  # ended by an abort or a fault instead of an end condition or a stop
    RECOVERED = "RECOVERED"  # closed by recovery, not by the process that recorded it


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(_Part):
    """Who is responsible."""

    name: str = ""
    affiliation: str = ""
    email: str = ""


class Note(_Part):
    """Words of a person, at a time and a pulse."""

    text: str
    t_utc: int  # us since 1970
    t_mono_us: int | None = None
    pulse: int | None = None


class Segment(_Part):
    """A stretch of constant settings; `first_pulse` belongs to it."""

    number: int
    first_pulse: int
    t_mono_us: int
    t_utc: int  # us since 1970
    settings: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""


class StateChange(_Part):
    """When the run entered a state, and why."""

    state: State
    t_mono_us: int
    t_utc: int  # us since 1970
    reason: str = ""


class NexusFile(_Part):
    """The finalised file that belongs to the run."""

    file: str
    bytes: int
    hits: int
    bytes_per_hit: float | None  # None without hits
    finalised_t_utc: int


class SecondCopy(_Part):
    """How the copy of the journals on another disk stands."""

    folder: str  # of this run, on the other disk
    state: Literal["writing", "incomplete", "whole"]  # whole: compared byte by byte with the original
    checked_t_utc: int | None = None  # us since 1970; when it was compared
    files: int = 0
    bytes: int = 0
    lost: int = 0  # frames that did not get there while the run was under way
    mended: tuple[str, ...] = ()  # files that were copied anew after the run
    problem: str = ""


class Pruned(_Part):
    """What a retention rule has removed of the run."""

    what: Literal["journal", "words"]
    t_utc: int  # us since 1970
    bytes: int
    why: str


class RunInfo(_Part):
    """The whole of run.json. Frozen: `RunStore.update` writes a changed copy."""

    format: Literal[1] = 1
    id: str
    name: str
    state: State = "arming"
    conditions: tuple[Condition, ...] = (Condition.GOOD,)
    end_reason: str = ""
    instance: str = ""  # of the acquire process
    t_start_utc: int  # us since 1970
    t_start_mono_us: int  # CLOCK_MONOTONIC of the machine named in `versions`
    t_end_utc: int | None = None
    t_end_mono_us: int | None = None
    operator: Person = Person()
    specimen: dict[str, Any] = Field(default_factory=dict)
    is_simulation: bool = False
    notes: tuple[Note, ...] = ()
    configuration: dict[str, Any] = Field(default_factory=dict)  # resolved: with every default
    configuration_digest: str = ""
    configuration_source: str = ""  # the rig file's text, where known
    anode: dict[str, Any] = Field(default_factory=dict)
    calibration: str = ""
    devices: dict[str, Any] = Field(default_factory=dict)  # identity by device name
    versions: dict[str, str] = Field(default_factory=dict)
    segments: tuple[Segment, ...] = ()
    states: tuple[StateChange, ...] = ()
    counters: dict[str, Any] = Field(default_factory=dict)
    recovery: dict[str, Any] | None = None
    nexus: NexusFile | None = None
    second_copy: SecondCopy | None = None
    keep: bool = False  # no retention rule may remove anything of it
    pruned: tuple[Pruned, ...] = ()

    @property
    def finished(self) -> bool:
        """True when nobody will record into this run any more."""
        return self.state in FINISHED_STATES

    def with_conditions(self, *flags: Condition) -> tuple[Condition, ...]:
        """Give the flags with `flags` added; GOOD goes when any other is there."""
        wanted = {*self.conditions, *flags}
        if len(wanted) > 1:
            wanted.discard(Condition.GOOD)
        return tuple(flag for flag in Condition if flag in wanted)


def present_versions() -> dict[str, str]:
    """Name the programs and the machine that record."""
    versions = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.node(),
    }
    for package in ("evapd", "numpy", "numba", "pyzmq", "h5py"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def digest(content: Mapping[str, Any]) -> str:
    """Give the sha256 in hex of plain data, the same on every machine."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
