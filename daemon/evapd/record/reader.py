"""A run straight from its journals, live or unfinished: both processes' messages merged by monotonic time."""

import heapq
from collections.abc import Iterator
from pathlib import Path

from evapd.record.journal import JournalReport, read_journal
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunStore
from evapd.stream.frame import Message


def _t_mono_us(message: Message) -> int:
    return int(message.header.get("t_mono_us", 0))


def read_run(
    run_folder: Path, acquire: JournalReport | None = None, guard: JournalReport | None = None
) -> Iterator[Message]:
    """Give every whole message of a run, merged by `t_mono_us`; within one journal the recorded order is kept.

    What is written while this reads may or may not be given; a frame that is not yet whole shows in the reports as
    a torn tail.

    Raises:
        RecordError: when a journal cannot be read.
    """
    store = RunStore(run_folder)
    return heapq.merge(
        read_journal(store.guard_journal, GUARD_PREFIX, guard),
        read_journal(store.journal, ACQUIRE_PREFIX, acquire),
        key=_t_mono_us,
    )
