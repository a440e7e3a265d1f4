"""Tailing: every whole frame once, in order, across segments, folders and dead writers."""

import subprocess
import sys
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.record.journal import JournalFollower, JournalWriter, read_journal, segment_path
from evapd.record.journal.layout import KIND_OF_TOPIC, pack_head, pack_next
from evapd.stream.frame import EVENT, Framer


def frames(first: int, count: int) -> list[bytes]:
    framer = Framer("one", lambda: 5, lambda: 6)
    framer._next[EVENT] = first
    made = [framer.document(EVENT, {"i": first + i}) for i in range(count)]
    return [
        pack_head(KIND_OF_TOPIC[frame.topic], frame.header, frame.payload)
        + frame.header
        + bytes(frame.payload)
        for frame in made
    ]


def polled(follower: JournalFollower) -> list[int]:
    return [message.document["i"] for message in follower.poll()]


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@given(cuts=st.lists(st.integers(0, 2000), max_size=30))
@settings(max_examples=40, deadline=None)
def test_a_frame_appears_once_and_only_when_it_is_whole(tmp_path_factory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("follow")
    parts = frames(0, 8)
    data, path = b"".join(parts), segment_path(folder, "t", 1)
    seen: list[int] = []
    with JournalFollower(folder) as follower:
        for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
            add(path, data[start:stop])
            seen += polled(follower)
            whole = sum(len(b"".join(parts[: i + 1])) <= max(stop, 0) for i in range(8))
            assert seen == list(range(whole))
    assert seen == list(range(8))


def test_nothing_there_yet_is_no_error(tmp_path: Path) -> None:
    with JournalFollower(tmp_path / "later") as follower:
        assert polled(follower) == []
        (tmp_path / "later").mkdir()
        segment_path(tmp_path / "later", "t", 1).write_bytes(b"".join(frames(0, 2)))
        assert polled(follower) == [0, 1]


def test_it_follows_the_links_through_folders_and_back(tmp_path: Path) -> None:
    home, run = tmp_path / "home", tmp_path / "run"
    writer = JournalWriter(
        home,
        prefix="guard",
        segment_bytes=900,
        queue_bytes=1 << 20,
        reserve_bytes=0,
        on_fault=lambda what: None,
        clock=time.monotonic,
    )
    framer, seen = Framer("one", lambda: 5, lambda: 6), []
    with JournalFollower(home) as follower, writer:
        for i in range(60):
            if i in (20, 40):
                writer.move_to(run if i == 20 else home)
            writer.append(framer.document(EVENT, {"i": i}))
            if i % 7 == 0:
                assert writer.sync()
                seen += polled(follower)
        writer.close()
        seen += polled(follower)
    assert seen == list(range(60))
    assert follower.report.whole


def test_a_dead_writer_in_another_folder_is_succeeded_by_the_next_one_at_home(tmp_path: Path) -> None:
    home, run = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    run.mkdir()
    away = segment_path(run, "guard", 1)
    segment_path(home, "guard", 1).write_bytes(
        b"".join(frames(0, 2)) + pack_next(away, segment_path(home, "guard", 1))
    )
    away.write_bytes(b"".join(frames(2, 2)) + frames(4, 1)[0][:30])  # killed in the middle of a frame
    with JournalFollower(home) as follower:
        assert polled(follower) == [0, 1, 2, 3]
        segment_path(home, "guard", 2).write_bytes(b"".join(frames(10, 2)))
        assert polled(follower) == [10, 11]
        assert polled(follower) == []


def test_beginning_at_the_end_gives_only_what_comes_later(tmp_path: Path) -> None:
    segment_path(tmp_path, "t", 1).write_bytes(b"".join(frames(0, 3)))
    newest = segment_path(tmp_path, "t", 2)
    newest.write_bytes(b"".join(frames(3, 3)))
    with JournalFollower(tmp_path, from_end=True) as follower:
        assert polled(follower) == []
        add(newest, frames(6, 1)[0])
        assert polled(follower) == [6]


def test_damage_is_passed_over_as_soon_as_a_whole_frame_follows(tmp_path: Path) -> None:
    path = segment_path(tmp_path, "t", 1)
    good = frames(0, 4)
    path.write_bytes(good[0] + b"\0" * 50)
    with JournalFollower(path) as follower:
        assert polled(follower) == [0]
        assert polled(follower) == []
        add(path, good[2])
        assert polled(follower) == [2]
        assert follower.report.damaged_bytes == 50
        assert follower.report.gaps == {EVENT: 1}


def test_a_torn_frame_that_its_writer_cuts_off_is_no_restart(tmp_path: Path) -> None:
    path = segment_path(tmp_path, "t", 1)
    first, second = frames(0, 2)
    path.write_bytes(first + second[:40])
    with JournalFollower(path) as follower:
        assert polled(follower) == [0]
        path.write_bytes(first)
        add(path, second)
        assert polled(follower) == [1]
        assert follower.restarts == 0


def test_a_replaced_file_is_noticed_and_read_from_its_beginning(tmp_path: Path) -> None:
    path = segment_path(tmp_path, "t", 1)
    path.write_bytes(b"".join(frames(0, 3)))
    with JournalFollower(path) as follower:
        polled(follower)
        other = tmp_path / "other"
        other.write_bytes(b"".join(frames(7, 2)))
        other.rename(path)
        assert polled(follower) == [7, 8]
        assert follower.restarts == 1


def test_a_file_cut_under_the_follower_is_noticed(tmp_path: Path) -> None:
    path = segment_path(tmp_path, "t", 1)
    parts = frames(0, 3)
    path.write_bytes(b"".join(parts))
    with JournalFollower(path) as follower:
        polled(follower)
        path.write_bytes(parts[0])
        assert polled(follower) == []
        add(path, parts[1])
        assert polled(follower) == [1]
        assert follower.restarts == 1


WRITES = """
import sys, time
from pathlib import Path
from evapd.record.journal import JournalWriter
from evapd.stream.frame import EVENT, Framer
writer = JournalWriter(Path(sys.argv[1]), prefix="t", segment_bytes=30_000, queue_bytes=10**9, reserve_bytes=0,
                       on_fault=lambda what: None, clock=time.monotonic)
framer = Framer("one", lambda: 1, lambda: 2)
for i in range(4000):
    writer.append(framer.document(EVENT, {"i": i, "filler": "x" * (i % 900)}))
writer.close()
"""


def test_tailing_another_process_gives_what_reading_gives_afterwards(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITES, tmp_path])
    seen: list[int] = []
    deadline = time.monotonic() + 60
    with JournalFollower(tmp_path) as follower:
        while len(seen) < 4000 and time.monotonic() < deadline:
            seen += polled(follower)
    assert process.wait(60) == 0
    assert seen == list(range(4000))
    assert seen == [message.document["i"] for message in read_journal(tmp_path)]
    assert follower.report.whole
