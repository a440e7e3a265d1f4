"""A journal's writer under test: frames with a number, what the writer told, what is read back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from evapd.record.journal import JournalWriter, read_journal
from evapd.stream.frame import EVENT, Frame, Framer


def frame_of(number: int, filler: int = 0) -> Frame:
    """One event with a number, and with so many characters more."""
    framer = Framer("one", lambda: 5, lambda: 6)
    framer._next[EVENT] = number
    return framer.document(EVENT, {"i": number, "filler": "x" * filler})


class Journal:
    """A writer under test, and what it told."""

    def __init__(self, folder: Path, **settings: int) -> None:
        self.faults: list[str] = []
        self.now = 0.0
        chosen = {"segment_bytes": 1 << 20, "queue_bytes": 1 << 20, "reserve_bytes": 0} | settings
        self.writer = JournalWriter(
            folder, prefix="t", on_fault=self.faults.append, clock=lambda: self.now, **chosen
        )


def numbers(folder: Path) -> list[int]:
    """The numbers of the events in a folder."""
    return [message.document["i"] for message in read_journal(folder)]


@contextmanager
def journals(folder: Path) -> Iterator[Callable[..., Journal]]:
    """Give `journal(folder=..., **settings)`, which makes a writer in a folder `j`; all are closed at the end."""
    made: list[Journal] = []

    def journal(where: Path = folder / "j", **settings: int) -> Journal:
        made.append(Journal(where, **settings))
        return made[-1]

    try:
        yield journal
    finally:
        for one in made:
            one.writer.close()
