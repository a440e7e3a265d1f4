"""The writer: nothing accepted is lost, nothing lost is silent, and it never waits for the disk."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evapd.errors import FrameError
from evapd.record.journal import JournalReport, JournalWriter, read_journal, segments
from evapd.record.journal.sink import is_being_written
from evapd.stream.frame import EVENT, Frame
from support.journal_bench import Journal, frame_of, journals, numbers


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    with journals(tmp_path) as make:
        yield make


def test_what_was_appended_is_read_back_in_order(journal: Callable[..., Journal], tmp_path: Path) -> None:
    writer = journal().writer
    for i in range(500):
        assert writer.append(frame_of(i))

    assert writer.sync()
    assert numbers(tmp_path / "j") == list(range(500))
    assert writer.written == writer.synced
    assert writer.written.bytes == writer.segment.stat().st_size


def test_closing_drains_the_queue_first(journal: Callable[..., Journal], tmp_path: Path) -> None:
    writer = journal(queue_bytes=64 << 20).writer
    for i in range(3000):
        writer.append(frame_of(i, filler=1000))

    writer.close()

    assert numbers(tmp_path / "j") == list(range(3000))
    assert writer.synced.frames == 3000
    assert writer.close() == 0


def test_closing_ends_every_thread_and_closes_every_file(
    journal: Callable[..., Journal], tmp_path: Path
) -> None:
    writer = journal(segment_bytes=500).writer
    for i in range(20):
        writer.append(frame_of(i, filler=300))
    writer.close()

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("journal-t")] == []
    files = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
    assert [path for path in files if path.is_relative_to(tmp_path)] == []


def test_segments_stay_within_their_size_and_follow_each_other(
    journal: Callable[..., Journal], tmp_path: Path
) -> None:
    writer = journal(segment_bytes=4000).writer
    for i in range(200):
        writer.append(frame_of(i, filler=300))
    writer.close()

    files = segments(tmp_path / "j")
    assert len(files) > 20
    assert max(path.stat().st_size for path in files) < 4000 + 200  # and the NEXT frame
    assert numbers(tmp_path / "j") == list(range(200))


def test_a_frame_larger_than_a_segment_gets_one_of_its_own(
    journal: Callable[..., Journal], tmp_path: Path
) -> None:
    writer = journal(segment_bytes=1000).writer
    for i, filler in enumerate((10, 5000, 10)):
        writer.append(frame_of(i, filler))
    writer.close()

    assert numbers(tmp_path / "j") == [0, 1, 2]
    assert len(segments(tmp_path / "j")) == 3


def test_a_segment_is_never_written_twice(journal: Callable[..., Journal], tmp_path: Path) -> None:
    first = journal().writer
    first.append(frame_of(0))
    first.close()
    before = first.segment.read_bytes()

    second = journal().writer
    second.append(frame_of(1))
    second.close()

    assert second.segment != first.segment
    assert first.segment.read_bytes() == before
    assert first.segment.stat().st_mode & 0o777 == 0o640


def test_an_overflow_is_refused_counted_and_told_once(
    journal: Callable[..., Journal], tmp_path: Path
) -> None:
    one = journal(queue_bytes=5000)
    stop = _stall(one.writer)
    accepted = [one.writer.append(frame_of(i, filler=400)) for i in range(100)]
    stop()
    one.writer.close()

    assert 1 < sum(accepted) < 100
    assert one.writer.lost == 100 - sum(accepted)
    assert len(one.faults) == 1
    assert "queue" in one.faults[0]
    assert numbers(tmp_path / "j") == [i for i, ok in enumerate(accepted) if ok]


def _stall(writer: JournalWriter) -> Callable[[], None]:
    """Make the disk take nothing until the returned call."""
    gate, sink = threading.Event(), writer._sink
    write = sink.write

    def waiting(frames):
        gate.wait(10)
        return write(frames)

    sink.write = waiting
    return gate.set


def test_losses_are_told_again_after_a_second_with_their_number(journal: Callable[..., Journal]) -> None:
    one = journal(queue_bytes=2000)
    release = _stall(one.writer)
    for i in range(50):
        one.writer.append(frame_of(i, filler=500))
    one.now = 2.0
    one.writer.append(frame_of(50, filler=500))
    release()
    one.writer.close()

    assert len(one.faults) == 2
    assert f"{one.writer.lost - 1} frames" in one.faults[1]


def test_a_fault_may_be_told_to_somebody_whose_lock_the_appender_holds(tmp_path: Path) -> None:
    lock, told = threading.Lock(), threading.Event()

    def on_fault(_what: str) -> None:
        with lock:
            told.set()

    writer = JournalWriter(
        tmp_path,
        prefix="t",
        segment_bytes=1 << 20,
        queue_bytes=1000,
        reserve_bytes=0,
        on_fault=on_fault,
        clock=lambda: 0.0,
    )
    release = _stall(writer)
    with lock:
        for i in range(20):
            writer.append(frame_of(i, filler=500))
    assert told.wait(10)
    release()
    writer.close()


def test_a_topic_without_a_kind_or_a_giant_header_is_refused(journal: Callable[..., Journal]) -> None:
    writer = journal().writer

    with pytest.raises(FrameError, match=r"live\."):
        writer.append(Frame("live.", b"{}", b""))
    with pytest.raises(FrameError, match="larger"):
        writer.append(Frame(EVENT, b" " * 70000, b""))


def test_moving_ends_the_segment_with_a_link_and_keeps_the_order(
    journal: Callable[..., Journal], tmp_path: Path
) -> None:
    writer = journal().writer
    for i in range(10):
        if i == 4:
            writer.move_to(tmp_path / "run" / "guard")
        if i == 8:
            writer.move_to(tmp_path / "j")
        writer.append(frame_of(i))
    writer.close()

    assert numbers(tmp_path / "j") == [0, 1, 2, 3, 8, 9]
    assert numbers(tmp_path / "run" / "guard") == [4, 5, 6, 7]
    assert [path.name for path in segments(tmp_path / "j")] == ["t-000001.evj", "t-000002.evj"]


def test_a_move_that_fails_is_a_fault_and_the_journal_goes_on(
    journal: Callable[..., Journal], tmp_path: Path
) -> None:
    one = journal()
    (tmp_path / "file").touch()
    one.writer.move_to(tmp_path / "file" / "guard")
    one.writer.append(frame_of(7))
    one.writer.close()

    assert numbers(tmp_path / "j") == [7]
    assert "goes on in" in one.faults[0]


def test_appending_after_the_close_is_refused_and_counted(journal: Callable[..., Journal]) -> None:
    writer = journal().writer
    writer.close()

    assert not writer.append(frame_of(0))
    assert writer.lost == 1


def test_a_segment_tells_whether_its_writer_lives(journal: Callable[..., Journal]) -> None:
    writer = journal().writer
    assert is_being_written(writer.segment)

    writer.close()

    assert not is_being_written(writer.segment)


KILLED = """
import sys, time
from pathlib import Path
from evapd.record.journal import JournalWriter
from evapd.stream.frame import EVENT, Framer
writer = JournalWriter(Path(sys.argv[1]), prefix="t", segment_bytes=200_000, queue_bytes=10**6, reserve_bytes=0,
                       on_fault=lambda what: None, clock=time.monotonic)
framer = Framer("one", lambda: 1, lambda: 2)
for i in range(10**9):
    while not writer.append(framer.document(EVENT, {"i": i, "filler": "x" * 3000})):
        framer._next[EVENT] = i
    print(writer.written.frames, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 300, 1500])
def test_every_frame_whose_write_returned_survives_a_kill(tmp_path: Path, lines: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        acknowledged = [int(process.stdout.readline()) for _ in range(lines)][-1]
        process.send_signal(signal.SIGKILL)
        process.wait()
    report = JournalReport()

    events = [message.document["i"] for message in read_journal(tmp_path, report=report)]

    assert len(events) >= acknowledged
    assert events == list(range(len(events)))
    assert report.damaged_bytes == 0
    assert not report.gaps
