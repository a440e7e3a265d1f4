"""What a writer of a journal does by itself, and what it counts."""

from dataclasses import dataclass
from pathlib import Path


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
        ends_at_reserve: stop writing, as if the disk were full, when less than the reserve is free.
        revive_s: after a failure begin a new segment as soon as the disk takes one, tried this often; None: never.
        keep_segments: where segments of `keep_in` outnumber this, the oldest are removed; None: never.
        keep_in: the folder that this is for.
    """

    advice: str = "End the run, {cure}, then start a new one"
    ends_at_reserve: bool = False
    revive_s: float | None = None
    keep_segments: int | None = None
    keep_in: Path | None = None


OF_A_RUN = Policy()
