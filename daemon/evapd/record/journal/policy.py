"""What a writer of a journal does by itself, and what it counts."""

import errno
from dataclasses import dataclass
from pathlib import Path

from evapd.record.journal.segments import keep_newest

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Count:
    """Frames, and their bytes on disk."""

    frames: int = 0
    bytes: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.frames + other.frames, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a writer does by itself; the default is that of a run's own journal.

    Attributes:
        advice: what a person is to do after a failure; `{cure}` is what its kind asks for.
        opens_behind: the folder and the first segment are made by the writing thread; a failure is told, not raised.
        ends_at_reserve: stop writing, as if the disk were full, when less than the reserve is free.
        revive_s: after a failure begin a new segment as soon as the disk takes one, tried this often; None: never.
        keep_segments: where segments of `keep_in` outnumber this, the oldest are removed; None: never.
        keep_in: the folder that this is for.
    """

    advice: str = "End the run, {cure}, then start a new one"
    opens_behind: bool = False
    ends_at_reserve: bool = False
    revive_s: float | None = None
    keep_segments: int | None = None
    keep_in: Path | None = None

    def advise(self, error: OSError) -> str:
        """Say what a person is to do after an error of the disk."""
        cure = "make room" if error.errno in _NO_SPACE else "check the disk (dmesg, smartctl)"
        return self.advice.format(cure=cure)

    def make_room(self, prefix: str) -> None:
        """Remove the oldest segments of a series where there are too many.

        Raises:
            RecordError: when the folder cannot be read.
            OSError: when one cannot be removed.
        """
        if self.keep_segments is not None and self.keep_in is not None:
            keep_newest(self.keep_in, prefix, self.keep_segments)


OF_A_RUN = Policy()
