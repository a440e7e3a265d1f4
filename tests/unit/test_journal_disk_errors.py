"""A disk that fails: told at once, counted, nothing readable lost, and never trusted again."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from evapd.record.journal import JournalReport, JournalWriter, Policy, read_journal, segments
from evapd.stream.frame import EVENT, HITS, Frame, Framer
from support.wait import wait_for


class Disk:
    """The calls that reach files of a folder, each of which can be made to fail; counts of those that came.

    Threads that other tests have left behind sync files of their own meanwhile.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = str(folder)
        self.calls = {"writev": 0, "fdatasync": 0, "fsync": 0, "open": 0}
        self.fails: dict[str, int] = {}
        for name in self.calls:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real: Callable) -> Callable:
        def call(*args, **kwargs):
            path = str(args[0]) if name == "open" else str(Path(f"/proc/self/fd/{args[0]}").readlink())
            ours = path.startswith(self.folder) and (name != "open" or path.endswith(".evj"))
            self.calls[name] += ours
            if ours and self.fails.get(name):
                raise OSError(self.fails[name], os.strerror(self.fails[name]))
            return real(*args, **kwargs)

        return call


class Journal:
    """A writer, its framer and what it told."""

    def __init__(self, folder: Path, policy: Policy = Policy(), **settings: int) -> None:  # noqa: B008 - frozen
        self.folder, self.faults = folder, list[str]()
        self.framer = Framer("one", lambda: 5, lambda: 6)
        chosen = {"segment_bytes": 1 << 20, "queue_bytes": 1 << 20, "reserve_bytes": 0} | settings
        self.writer = JournalWriter(
            folder, prefix="t", on_fault=self.faults.append, clock=lambda: 0.0, policy=policy, **chosen
        )

    def add(self, count: int = 1) -> bool:
        made = (self.framer.document("state.", {"filler": "x" * 200}) for _ in range(count))
        return sum(self.writer.append(frame) for frame in made) == count

    def read(self) -> list[int]:
        report = JournalReport()
        found = [message.seq for message in read_journal(self.folder, report=report)]
        assert report.torn_bytes + report.damaged_bytes + report.crc_errors == 0
        return found


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Disk:
    return Disk(monkeypatch, tmp_path)


@pytest.fixture
def journal(tmp_path: Path):
    made: list[Journal] = []

    def make(**settings) -> Journal:
        made.append(Journal(tmp_path / "j", **settings))
        return made[-1]

    yield make
    for one in made:
        one.writer.close()


@pytest.fixture
def never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sync of every second does not come in the time of a test."""
    monkeypatch.setattr("evapd.record.journal.writer._SYNC_PERIOD_S", 3600.0)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_write_that_fails_is_told_counted_and_costs_nothing_before_it(
    journal, disk: Disk, error: int
) -> None:
    one = journal()
    assert one.add(10)
    assert one.writer.sync()
    disk.fails["writev"] = error
    one.add()
    wait_for(lambda: one.writer.broken, "the fault", 30.0)
    assert not one.add()
    one.writer.close()
    assert one.read() == list(range(10))
    assert (one.writer.lost, one.writer.doubtful, len(one.faults)) == (2, 0, 1)
    assert os.strerror(error) in one.faults[0]


def test_what_was_written_before_a_failed_write_is_still_made_durable(journal, disk: Disk) -> None:
    one = journal()
    one.add(5)
    wait_for(lambda: one.writer.written.frames == 5, "five frames", 30.0)
    disk.fails["writev"] = errno.ENOSPC
    one.add()
    wait_for(lambda: one.writer.broken, "the fault", 30.0)
    one.writer.close()
    assert one.writer.synced.frames == 5


def test_after_a_failed_sync_the_file_is_never_trusted_again(journal, disk: Disk) -> None:
    one = journal()
    one.add(3)
    assert one.writer.sync()
    disk.fails["fdatasync"] = errno.EIO
    one.add(4)
    assert not one.writer.sync()
    disk.fails.clear()  # the kernel reports such an error once, and the next sync succeeds: it means nothing
    synced = disk.calls["fdatasync"]
    one.writer.close()
    assert (one.writer.synced.frames, one.writer.doubtful) == (3, 4)
    assert disk.calls["fdatasync"] == synced
    assert "4 of them perhaps only until the power goes" in one.faults[0]


def test_a_folder_that_cannot_be_synced_is_a_fault(journal, disk: Disk) -> None:
    disk.fails["fsync"] = errno.EIO
    one = journal()
    one.add()
    assert not one.writer.sync()
    assert one.writer.broken
    assert "Input/output error" in one.writer.faults[0]


def test_a_new_segment_that_cannot_be_opened_costs_no_frame(journal, disk: Disk) -> None:
    one = journal(segment_bytes=2000)
    disk.fails["open"] = errno.EMFILE
    assert one.add(40)
    assert one.writer.sync()
    disk.fails.clear()
    assert one.add(40)
    one.writer.close()
    assert one.read() == list(range(80))
    assert len(segments(one.folder)) > 1
    assert 0 < len(one.faults) < 10
    assert "goes on in" in one.faults[0]


def test_a_file_system_that_takes_nothing_and_says_nothing_is_a_fault(journal, monkeypatch) -> None:
    one = journal()
    monkeypatch.setattr(os, "writev", lambda *_: 0)
    one.add()
    wait_for(lambda: one.writer.broken, "the fault", 30.0)
    assert one.writer.lost == 1


@pytest.mark.parametrize("call", ["writev", "fdatasync"])
def test_a_journal_that_may_revive_goes_on_in_a_new_segment(
    journal, disk: Disk, tmp_path: Path, call: str
) -> None:
    one = journal(policy=Policy(revive_s=0.01))
    one.add(3)
    assert one.writer.sync()
    disk.fails[call] = errno.EIO
    one.add(2)
    one.writer.sync(0.5)
    wait_for(lambda: one.writer.broken, "the fault", 30.0)
    assert not one.add()  # seq 5
    one.writer.move_to(tmp_path / "run")  # an order that comes meanwhile is kept
    disk.fails.clear()
    wait_for(lambda: not one.writer.broken, "the disk to be taken again", 30.0)
    assert one.add(2)
    assert one.writer.sync()
    one.writer.close()
    assert [m.seq for m in read_journal(tmp_path / "run")] == [6, 7]
    assert one.read()[:3] == [0, 1, 2]
    assert any("takes frames again" in fault for fault in one.faults)


def test_a_disk_that_stays_broken_ends_a_journal_that_may_revive_in_time(journal, disk: Disk) -> None:
    one = journal(policy=Policy(revive_s=0.01))
    disk.fails |= {"writev": errno.ENOSPC, "open": errno.ENOSPC}
    one.add(3)
    wait_for(lambda: one.writer.broken, "the fault", 30.0)
    one.writer.close()
    assert len(one.faults) == 1
    assert not any(thread.name.startswith("journal-t") for thread in threading.enumerate())


def test_a_copy_ends_itself_before_its_disk_is_full(journal) -> None:
    one = journal(policy=Policy(ends_at_reserve=True))
    one.add(3)
    assert one.writer.sync()
    one.writer._reserve_bytes = 1 << 60
    one.writer.append(one.framer.document(EVENT, {"what": "note"}))
    wait_for(lambda: one.writer.broken, "the end", 30.0)
    assert one.read() == [0, 1, 2, 0]
    assert "MB are free" in one.writer.faults[0]
    assert "make room" in one.writer.faults[0]


def test_old_segments_of_a_standing_folder_make_room_while_it_is_written(journal, tmp_path: Path) -> None:
    one = journal(segment_bytes=2000, policy=Policy(keep_segments=3, keep_in=tmp_path / "j"))
    assert one.add(100)
    assert one.writer.sync()
    one.writer.close()
    assert len(segments(one.folder)) == 3
    assert one.read()[-1] == 99


def test_an_event_is_made_durable_at_once(journal, never_by_itself) -> None:
    one = journal()
    for number in range(1, 4):
        assert one.writer.append(one.framer.document(EVENT, {"kind": "note"}))
        wait_for(lambda n=number: one.writer.synced.frames >= n, "the event on the disk")


def test_other_frames_are_made_durable_by_the_second(journal) -> None:
    one = journal()
    assert one.add()
    wait_for(lambda: one.writer.synced.frames == 1, "the second's sync")


def test_a_disk_that_hangs_at_the_close_is_told_with_what_is_lost(journal, monkeypatch) -> None:
    one, gate = journal(), threading.Event()
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: gate.wait(10) and real(fd, parts))
    one.add(3)
    one.writer.close(0.3)
    gate.set()
    assert one.writer.lost == 3
    assert "last 3 frames" in one.faults[-1]


def test_hits_do_not_ask_for_a_sync_of_their_own(journal, disk: Disk, never_by_itself) -> None:
    one = journal()
    for _ in range(50):
        one.writer.append(Frame(HITS, b"{}", b""))
    wait_for(lambda: one.writer.written.frames == 50, "fifty frames")
    assert disk.calls["fdatasync"] == 0
