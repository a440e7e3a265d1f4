"""What is written, where a second time, what must stay free, and how long it is kept."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from evapd.config.section import Section
from evapd.units import Megabyte


def _absolute(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_absolute():
        raise ValueError(f"'{path}' is not an absolute path; name the folder on the other disk from / on")
    return path


class Retention(Section):
    """Which journals may be removed, oldest first, once their runs are finalised and verified; without numbers none."""

    keep_days: Annotated[float, Field(ge=0)] | None = None  # journals of runs that ended longer ago may go
    keep_gb: Annotated[float, Field(ge=0)] | None = (
        None  # of all journals together; above it the oldest may go
    )
    raw_words_days: Annotated[float, Field(ge=0)] | None = None  # raw TDC words go earlier than the rest

    @property
    def active(self) -> bool:
        """Whether anything may be removed at all."""
        return (self.keep_days, self.keep_gb, self.raw_words_days) != (None, None, None)


class Record(Section):
    """What is written, and what must stay free."""

    raw_words: bool = True
    reserve_mb: Annotated[Megabyte, Field(ge=0)] = 1000.0
    segment_mb: Annotated[Megabyte, Field(ge=1, le=4000)] = 256.0
    finalise: bool = True  # write the .nxs when the run stops
    second_copy: Annotated[Path, AfterValidator(_absolute)] | None = None  # folder on another disk
    retention: Retention = Retention()
