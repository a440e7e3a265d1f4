"""The second copy of a run while it is recorded: acquire's frames from memory, the guard's segments as they grow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evapd.record.journal import JournalWriter, Policy
from evapd.record.journal.mirror import Mirror
from evapd.record.journal.tailcopy import TailCopier
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunStore
from evapd.record.runinfo import SecondCopy

_CLOSE_S = 3.0
_POLICY = Policy(
    advice="The run goes on with one copy; {cure}: what is missing is copied after the run",
    opens_behind=True,
    ends_at_reserve=True,
)


class LiveCopy:
    """Writes to another disk what is written to the first; nothing here waits for that disk, nor raises.

    The guard itself never touches the second disk: one that hangs could hold its process.
    """

    def __init__(
        self,
        first: JournalWriter,
        store: RunStore,
        root: Path,
        *,
        segment_bytes: int,
        queue_bytes: int,
        reserve_bytes: int,
        on_fault: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """Begin the copy of `store` in `root`; arguments as those of `JournalWriter`."""
        self.store = RunStore(root / store.folder.name)

        def tell(what: str) -> None:
            on_fault(f"second copy: {what}")

        self._writer = JournalWriter(
            self.store.journal,
            prefix=ACQUIRE_PREFIX,
            segment_bytes=segment_bytes,
            queue_bytes=queue_bytes,
            reserve_bytes=reserve_bytes,
            on_fault=tell,
            clock=clock,
            policy=_POLICY,
        )
        self.journal = Mirror(first, self._writer)
        self._guard = TailCopier(
            store.guard_journal,
            self.store.guard_journal,
            prefix=GUARD_PREFIX,
            small=[(store.path, self.store.path)],
            reserve_bytes=reserve_bytes,
            on_fault=tell,
        )

    def close(self) -> SecondCopy:
        """End it; gives how it stands until it is compared."""
        self._writer.close(_CLOSE_S)
        self._guard.close(_CLOSE_S)
        return self.standing

    @property
    def standing(self) -> SecondCopy:
        """How it stands."""
        problem = "; ".join(filter(None, [*self._writer.faults[:1], self._guard.problem]))
        sound = not (problem or self._writer.lost or self._writer.doubtful)
        return SecondCopy(
            folder=str(self.store.folder),
            state="writing" if sound else "incomplete",
            lost=self._writer.lost + self._writer.doubtful,
            problem=problem,
        )

    def as_dict(self) -> dict[str, Any]:
        """Short form for `status`."""
        standing = self.standing
        return {
            "folder": standing.folder,
            "state": standing.state,
            "frames": self._writer.written.frames,
            "queued_bytes": self._writer.queued_bytes,
            "lost": standing.lost,
            "problem": standing.problem,
        }
