"""A process that journals and publishes as acquire does, beside a guard whose frames it passes on."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evapd.acquire.bus import Bus
from evapd.record.journal import JournalFollower, JournalWriter
from evapd.record.journal.older import OlderFrames
from evapd.stream.frame import Frame, Framer
from evapd.stream.publisher import Publisher
from support.stream_parts import make_framer, wait_for

TCP = "tcp://127.0.0.1:*"


class Outlet:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.frames: dict[str, list[Frame]] = {}

    def publish(self, frame: Frame) -> None:
        self.frames.setdefault(frame.topic, []).append(frame)


def make_writer(folder: Path, prefix: str, segment_bytes: int = 50_000) -> JournalWriter:
    faults: list[str] = []
    return JournalWriter(
        folder, prefix=prefix, segment_bytes=segment_bytes, queue_bytes=1 << 30, reserve_bytes=0,
        on_fault=faults.append, clock=time.monotonic,
    )  # fmt: skip


class Scribe:
    """The bus of acquire with its journal, and a guard's framer and journal that it follows."""

    def __init__(self, folder: Path, publisher: dict[str, Any] | None = None, **options: Any) -> None:
        self.folder, self.framer, self.guard_framer = folder, make_framer(), make_framer("the-guard")
        self.older = OlderFrames(self.framer.instance, **options)
        self.published = Outlet()
        self.publisher = self._make_publisher(publisher) if publisher else None
        self.bus = Bus(self.framer, self, self.older)
        self.guard = make_writer(folder / "guard", "guard")
        self.older.follow(folder / "guard", "guard", standing=True)
        self._follower = JournalFollower(folder / "guard")
        self._runs = itertools.count()
        self.journal: JournalWriter | None = None

    def _make_publisher(self, options: dict[str, Any]) -> Publisher:
        made = Publisher(
            TCP, TCP, TCP, instance=self.framer.instance, snapshot=dict, next_seq=self.framer.next_seq,
            older=self.older, **options,
        )  # fmt: skip
        made.start()
        return made

    def publish(self, frame: Frame) -> None:
        self.published.publish(frame)
        if self.publisher is not None:
            self.publisher.publish(frame)

    def begin_run(self, segment_bytes: int = 50_000) -> Path:
        folder = self.folder / "runs" / f"run-{next(self._runs)}" / "journal"
        self.journal = journal = make_writer(folder, "acquire", segment_bytes)
        self.older.follow(folder, "acquire", waiting=lambda: journal.queued_bytes > 0)
        self.older.follow(folder / "guard", "guard")
        self.bus.open_journal(self.journal, folder.parent.name)
        self.guard.move_to(folder / "guard")
        return folder

    def end_run(self) -> None:
        self.bus.close_journal()
        assert self.journal is not None
        self.journal.close()
        self.guard.move_to(self.folder / "guard")
        self.journal = None

    def emit(self, frame: Frame) -> Frame:
        self.bus.emit(frame)
        return frame

    def guard_says(self, *frames: Frame) -> None:
        """The guard writes, acquire follows and passes on."""
        for frame in frames:
            self.guard.append(frame)
        left = len(frames)

        def relayed() -> bool:
            nonlocal left
            for message in self._follower.poll():
                self.bus.relay(message)
                left -= 1
            return left == 0

        wait_for(relayed)

    def settle(self) -> None:
        """Wait until everything is on disk, and sent to whoever had subscribed."""
        for writer in (self.journal, self.guard):
            if writer is not None:
                wait_for(lambda writer=writer: writer.queued_bytes == 0)
        if self.publisher is not None:
            wait_for(lambda: self.publisher.stats().queued_bytes == 0)

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()
        self.guard.close()
        self._follower.close()
        if self.publisher is not None:
            self.publisher.stop()


@contextmanager
def beating(scribe: Scribe) -> Iterator[None]:
    """Beats as acquire sends them, only more often."""
    ending = threading.Event()

    def beat() -> None:
        while not ending.wait(0.1):
            scribe.bus.beat()

    beater = threading.Thread(target=beat)
    beater.start()
    try:
        yield
    finally:
        ending.set()
        beater.join()


def parts(frames: list[Frame]) -> list[list[bytes]]:
    """The bytes of frames."""
    return [[bytes(part) for part in frame.parts()] for frame in frames]


def older_parts(older: OlderFrames, framer: Framer, topic: str) -> list[list[bytes]]:
    """The bytes of everything that can be read again of a topic."""
    return parts(list(older(topic, 0, framer.next_seq()[topic])))
