"""The writer and its disk: too little room, a disk that fills up or takes a part only, a folder that is removed."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evapd.errors import RecordError
from evapd.record.journal import JournalReport, read_journal
from evapd.record.journal.sink import SegmentSink
from support.journal_bench import Journal, frame_of, journals, numbers


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    with journals(tmp_path) as make:
        yield make


def test_too_little_space_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="must be"):
        Journal(tmp_path, reserve_bytes=1 << 60)


def test_a_folder_that_cannot_be_made_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RecordError, match="check that the folder"):
        Journal(tmp_path / "file" / "j")


def test_falling_below_the_reserve_shows(journal: Callable[..., Journal]) -> None:
    writer = journal().writer
    assert not writer.low_space
    writer._reserve_bytes = 1 << 60
    writer.append(frame_of(0))

    assert writer.sync()
    assert writer.low_space


def test_short_writes_are_continued(journal: Callable[..., Journal], tmp_path: Path, monkeypatch) -> None:
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: real(fd, [bytes(parts[0][:7])]))
    writer = journal().writer
    for i in range(40):
        writer.append(frame_of(i, filler=20))
    writer.close()

    assert numbers(tmp_path / "j") == list(range(40))


FULL_DISK = """
import resource, sys, time
from pathlib import Path
from evapd.record.journal import JournalWriter
from evapd.stream.frame import EVENT, Framer
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
faults = []
writer = JournalWriter(folder, prefix="t", segment_bytes=10**9, queue_bytes=10**7, reserve_bytes=0,
                       on_fault=faults.append, clock=time.monotonic)
framer = Framer("one", lambda: 1, lambda: 2)
for i in range(200):
    writer.append(framer.document(EVENT, {"i": i, "filler": "x" * 1000}))
writer.sync(5)
refused = not writer.append(framer.document(EVENT, {"i": 999}))
writer.close()
print(writer.written.frames, writer.written.bytes, writer.lost, refused, len(faults), faults[0])
"""


def test_a_disk_that_takes_no_more_stops_cleanly_at_the_last_whole_frame(tmp_path: Path) -> None:
    # A file-size limit of the kernel: the write is cut short, then refused, as on a full disk.
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, timeout=60, check=True
    )
    frames, size, lost, refused, faults, what = done.stdout.split(maxsplit=5)
    report = JournalReport()

    events = [message.document["i"] for message in read_journal(tmp_path, report=report)]

    assert events == list(range(int(frames)))
    assert int(frames) + int(lost) == 201
    assert (tmp_path / "t-000001.evj").stat().st_size == int(size)  # the torn frame was cut off
    assert (refused, faults) == ("True", "1")
    assert "make room" in what
    assert report.whole


def _mounted(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_full_file_system_keeps_every_frame_before_the_fault(tmp_path: Path) -> None:
    # Where mounting is allowed this is a real full tmpfs, elsewhere the device that is always full.
    disk = tmp_path / "disk"
    disk.mkdir()
    if not _mounted(disk):
        sink = SegmentSink(tmp_path, "t")
        sink._fd = os.open("/dev/full", os.O_WRONLY)
        whole, error = sink.write([[b"abc"]])
        sink.close()
        assert whole == 0
        assert error is not None
        assert error.errno == errno.ENOSPC
        return
    try:
        one = Journal(disk)
        for i in range(300):
            one.writer.append(frame_of(i, filler=1000))
        one.writer.close()
        events = numbers(disk)
    finally:
        subprocess.run(["umount", disk], check=True)
    assert 50 < len(events) < 300
    assert events == list(range(one.writer.written.frames))
    assert len(one.faults) == 1
    assert "No space left" in one.faults[0]


def test_an_error_of_the_disk_while_syncing_is_a_fault_too(
    journal: Callable[..., Journal], monkeypatch
) -> None:
    one = journal()

    def broken(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    one.writer.append(frame_of(0))

    assert not one.writer.sync(5)
    one.writer.close()
    assert one.writer.broken
    assert one.writer.synced.frames == 0
    assert "Input/output error" in one.faults[0]
    assert "check the disk" in one.faults[0]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_journal_that_somebody_removes_is_a_fault_and_not_written_into_nothing(
    journal: Callable[..., Journal], tmp_path: Path, what: str
) -> None:
    made = journal()
    assert made.writer.append(frame_of(0))
    assert made.writer.sync()
    if what == "file":
        made.writer.segment.unlink()
    else:
        shutil.rmtree(tmp_path / "j")

    assert not (made.writer.append(frame_of(1)) and made.writer.sync())
    assert made.writer.broken
    assert any("removed" in fault or "No such file" in fault for fault in made.writer.faults)
