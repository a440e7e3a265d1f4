"""A second copy: the same bytes elsewhere, no harm to the first, and whole again after the run."""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evapd.errors import RecordError
from evapd.record.journal import JournalReport, JournalWriter, read_journal, segments
from evapd.record.journal.merge import merge_journals
from evapd.record.livecopy import LiveCopy
from evapd.record.run import RunStore
from evapd.record.secondcopy import SUMS, complete_copy, copy_of, main
from evapd.stream.frame import EVENT, STATE, Framer
from support.recorded_runs import info_of, record_guard, record_run
from support.wait import wait_for

FRAMES = 300


class Scene:
    """A run that is recorded twice."""

    def __init__(self, tmp_path: Path) -> None:
        self.store = RunStore(tmp_path / "runs" / "20261120T204000Z-tip")
        self.root = tmp_path / "other"
        self.copy_store = RunStore(self.root / self.store.folder.name)
        configuration = {"record": {"second_copy": str(self.root)}}
        self.store.create(info_of(self.store.folder, configuration=configuration))
        self.faults: list[str] = []
        self.framer = Framer("one", lambda: time.monotonic_ns() // 1000, lambda: 6)
        sizes = {"segment_bytes": 20_000, "queue_bytes": 1 << 24, "reserve_bytes": 0}
        self.first = JournalWriter(
            self.store.journal, prefix="acquire", on_fault=print, clock=time.monotonic, **sizes
        )
        self.live = LiveCopy(
            self.first, self.store, self.root, on_fault=self.faults.append, clock=time.monotonic, **sizes
        )

    def record(self, count: int = FRAMES) -> bool:
        made = (
            self.framer.document(STATE if i % 3 else EVENT, {"i": i, "f": "x" * 300}) for i in range(count)
        )
        return sum(self.live.journal.append(frame) for frame in made) == count

    def close(self) -> None:
        self.first.close()
        standing = self.live.close()
        counters = {"journal_frames": self.first.written.frames, "journal_lost": self.first.lost}
        self.store.update(state="finished", second_copy=standing, counters=counters)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.first.close()
    made.live.close()


def sums(folder: Path) -> dict[str, str]:
    found = folder.rglob("*.evj")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_both_copies_are_the_same_to_the_byte_and_the_guard_s_follows_as_it_grows(scene: Scene) -> None:
    assert scene.record()
    record_guard(scene.store, 0.5)
    scene.close()
    assert len(segments(scene.store.journal)) > 3
    assert sums(scene.copy_store.folder) == sums(scene.store.folder)
    assert len(segments(scene.copy_store.guard_journal)) == 1
    assert complete_copy(scene.store.folder, scene.root).state == "whole"
    assert scene.store.load().second_copy.mended == ()
    assert scene.copy_store.load().second_copy.state == "whole"


def test_the_sums_are_those_that_sha256sum_checks(scene: Scene) -> None:
    scene.record()
    scene.close()
    complete_copy(scene.store.folder, scene.root)
    lines = (scene.copy_store.folder / SUMS).read_text().splitlines()
    assert dict(reversed(line.split("  ")) for line in lines) == sums(scene.store.folder)


def test_a_second_disk_that_cannot_be_written_harms_nothing_is_told_and_made_good_afterwards(
    tmp_path: Path,
) -> None:
    (tmp_path / "other").touch()
    scene = Scene(tmp_path)
    assert scene.record()
    wait_for(lambda: len(scene.faults) == 2, "both writers' faults", 30.0)
    scene.close()
    standing = scene.store.load().second_copy
    assert (scene.first.lost, standing.state) == (0, "incomplete")
    assert standing.lost == FRAMES
    assert all(fault.startswith("second copy: ") for fault in scene.faults)
    (tmp_path / "other").unlink()
    found = complete_copy(scene.store.folder, scene.root)
    assert (found.state, found.lost) == ("whole", FRAMES)
    assert len(found.mended) == found.files > 3
    assert sums(scene.copy_store.folder) == sums(scene.store.folder)


@pytest.mark.parametrize("failing", ["first", "second"])
def test_whichever_disk_fails_on_the_way_all_frames_are_readable_afterwards(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    real, broken = os.writev, []
    folder = scene.store if failing == "first" else scene.copy_store

    def writev(fd: int, parts) -> int:
        if broken and Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(folder.folder):
            real(fd, [bytes(parts[0])[:7]])
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, parts)

    monkeypatch.setattr(os, "writev", writev)
    scene.record(100)
    assert scene.first.sync()
    wait_for(lambda: scene.live.as_dict()["frames"] == 100, "the second to follow", 30.0)
    broken.append(True)
    scene.record(100)
    wait_for(lambda: scene.first.broken or scene.faults, "the fault", 30.0)
    scene.close()
    broken.clear()
    before = sums(scene.store.folder)
    assert complete_copy(scene.store.folder, scene.root).state == "whole"
    report = JournalReport()
    assert len(list(read_journal(scene.store.journal, "acquire", report))) == 200
    assert report.whole
    after = sums(scene.store.folder)
    assert {name: after[name] for name in before} == before  # the originals are as they were
    assert (scene.first.lost > 0) == (failing == "first")


def test_frames_that_came_back_lift_the_mark_of_an_incomplete_run(scene: Scene) -> None:
    scene.record()
    scene.close()
    last = segments(scene.store.journal)[-1]
    last.write_bytes(last.read_bytes()[:-50])
    scene.store.update(conditions=("INCOMPLETE",))
    complete_copy(scene.store.folder, scene.root)
    info = scene.store.load()
    assert info.conditions == ("GOOD",)
    assert info.counters["journal_regained"] == 1


def test_a_copy_that_rotted_is_found_and_made_anew(scene: Scene) -> None:
    scene.record()
    scene.close()
    complete_copy(scene.store.folder, scene.root)
    rotten = segments(scene.copy_store.journal)[1]
    data = bytearray(rotten.read_bytes())
    data[4000] ^= 1
    rotten.write_bytes(data)
    assert complete_copy(scene.store.folder, scene.root).mended == (f"journal/{rotten.name}",)
    assert sums(scene.copy_store.folder) == sums(scene.store.folder)


def test_a_disk_that_is_away_leaves_the_copy_named_as_incomplete(scene: Scene, tmp_path: Path) -> None:
    scene.record()
    scene.close()
    (tmp_path / "no").touch()
    found = complete_copy(scene.store.folder, tmp_path / "no")
    assert found.state == "incomplete"
    assert "Not a directory" in found.problem
    assert scene.store.load().second_copy == found


def test_an_open_run_is_refused(scene: Scene) -> None:
    with pytest.raises(RecordError, match="not closed"):
        complete_copy(scene.store.folder, scene.root)


def test_merging_takes_each_frame_once_in_the_order_of_framing(tmp_path: Path) -> None:
    store, made = record_run(tmp_path / "a", 1.0)
    other = tmp_path / "b" / "journal"
    other.mkdir(parents=True)
    (path,) = segments(store.journal)
    data = path.read_bytes()
    (other / path.name).write_bytes(data)
    half = bytearray(data)
    half[len(half) // 3] ^= 0xFF
    path.write_bytes(half[: 2 * len(half) // 3])
    gained = merge_journals([store.journal, other], "acquire", tmp_path / "merged")
    assert gained > 1
    merged = list(read_journal(tmp_path / "merged"))
    assert [(m.topic, m.seq) for m in merged] == [(m.topic, m.seq) for m in read_journal(other)]
    assert len([m for m in merged if m.topic == "hits."]) == len(made)
    assert not (tmp_path / "merged.part").exists()


def test_merging_what_is_whole_writes_nothing(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path / "a", 0.5)
    assert merge_journals([store.journal, store.journal], "acquire", tmp_path / "merged") == 0
    assert not (tmp_path / "merged").exists()


def test_the_command_tells_how_the_copy_stands(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda _: 0)  # of the whole test process, for good
    scene.record(10)
    scene.close()
    assert copy_of(scene.store.load()) == scene.root
    assert main([str(scene.store.folder), "--json"]) == 0
    assert '"state": "whole"' in capsys.readouterr().out
