"""Recovery: to the frame, in words, in time, from both processes and both copies, and again after its own death."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from evapd.errors import StateError
from evapd.record.journal import segments
from evapd.record.journal.index import frame_places
from evapd.record.recover import EXIT_BUSY, TEXT, is_pending, main, recover_run, recover_unfinished
from evapd.record.run import RunStore
from evapd.stream.frame import EVENT, HITS
from support.recorded_runs import T_MONO, Recorder, info_of, record_guard, record_run


def sums(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix in {".evj", ".npz"})
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def cut_out(path: Path, kind: int, numbers: range) -> None:
    """Take frames of a kind out of a segment, by their position among their kind."""
    places = [place for place in frame_places(path) if place.kind == kind][numbers.start : numbers.stop]
    data = path.read_bytes()
    path.write_bytes(data[: places[0].offset] + data[places[-1].end :])


def event(recorder: Recorder, t_us: int, **content) -> None:
    recorder.now_us[0] = t_us
    recorder.journal.append(recorder.framer.document(EVENT, {"severity": "info", **content}))


def test_what_is_missing_is_named_by_topic_instance_and_numbers(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 1.0)
    cut_out(segments(store.journal)[0], 1, range(5, 8))
    recover_run(store.folder)
    recovery = store.load().recovery
    assert recovery["acquire"]["missing"] == [{"instance": "acquire", "topic": HITS, "first": 5, "last": 7}]
    text = (store.folder / TEXT).read_text()
    assert "hits. of instance acquire: frames 5 to 7 are missing" in text
    assert "3 frames of hits. missing" in text


def test_the_report_for_people_says_where_each_record_ends(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 1.0)
    recover_run(store.folder)
    text = (store.folder / TEXT).read_text()
    assert "acquire: the last frame is of 2026-11-20T20:40:01" in text
    assert "pulse 199999" in text
    assert "the guard's record ends +0." in text
    assert "no frame is missing" in text
    assert store.load().recovery["ends"]["acquire"]["pulse"] == 199_999


def test_segments_and_notes_that_only_the_journals_know_come_into_run_json(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 0.5)
    guard = Recorder.at(store.guard_journal, "guard", store.folder.name)
    guard.framer._next[EVENT] = 1  # behind the event of record_guard
    event(guard, T_MONO + 1, kind="segment", what="begun", pulse=0, settings={"target_rate": 0.01})
    event(
        guard,
        T_MONO + 800_000,
        kind="segment",
        what="target changed",
        pulse=-1,
        settings={"target_rate": 0.02},
    )
    guard.journal.close()
    acquire = Recorder.at(store.journal, "acquire", store.folder.name)
    event(acquire, T_MONO + 810_000, kind="note", what="it glows", source="acquire", pulse=60_000)
    acquire.journal.close()
    recover_run(store.folder)
    info = store.load()
    assert [(s.number, s.reason, s.first_pulse) for s in info.segments] == [
        (0, "", 0),
        (1, "target changed", 100_000),
    ]
    assert info.segments[1].settings == {"target_rate": 0.02}
    assert [(note.text, note.pulse) for note in info.notes] == [("it glows", 60_000)]


def test_a_run_in_haste_is_closed_at_once_and_counted_later(tmp_path: Path) -> None:
    store, made = record_run(tmp_path, 1.0)
    before = sums(store.folder)
    first = recover_run(store.folder, most_bytes=1000)
    info = store.load()
    assert (first.pending, info.state, is_pending(info)) == (True, "recovered", True)
    assert info.conditions == ("INTERRUPTED", "RECOVERED")
    assert abs(info.t_end_mono_us - T_MONO - 1_000_000) < 300_000
    assert not recover_run(store.folder, most_bytes=1000).changed
    second = recover_run(store.folder)
    info = store.load()
    assert (second.changed, is_pending(info), second.state) == (True, False, "running")
    assert info.counters["journal"]["hits"] == sum(block.n for block in made)
    assert len(info.states) == 1
    assert sums(store.folder) == before


def test_a_run_that_the_guard_still_writes_is_closed_in_haste_only(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("os.nice", lambda _: 0)  # of the whole test process, for good
    store, _ = record_run(tmp_path, 0.2)
    guard = Recorder.at(store.guard_journal, "guard", store.folder.name)
    with pytest.raises(StateError, match="guard still writes"):
        recover_run(store.folder)
    assert main([str(store.folder)]) == EXIT_BUSY
    assert recover_run(store.folder, most_bytes=10**9).pending
    guard.journal.close()
    assert recover_run(store.folder).changed


def test_many_and_large_runs_do_not_hold_up_a_start(tmp_path: Path) -> None:
    for number in range(40):
        store = RunStore(tmp_path / f"20261120T2040{number:02}Z-tip")
        store.create(info_of(store.folder))
    clock = count(0.0, 0.6)  # each look at the clock costs a run's time
    reports = recover_unfinished(tmp_path, haste=True, clock=lambda: next(clock))
    pending = [report.pending for report in reports]
    assert 10 < pending.index(True) < len(pending) < 40
    assert all(pending[pending.index(True) :])
    again = recover_unfinished(tmp_path)
    assert len(again) == 40 - pending.index(True)
    assert recover_unfinished(tmp_path) == []


def test_a_thousand_closed_runs_are_passed_by_at_a_glance(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path / "one", 0.1)
    recover_run(store.folder)
    text = store.path.read_bytes()
    for number in range(1000):
        folder = tmp_path / "runs" / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_bytes(text)
    begun_s = time.process_time()
    assert recover_unfinished(tmp_path / "runs", haste=True) == []
    assert time.process_time() - begun_s < 6.0


KILLED = """
import os, sys
from pathlib import Path
from evapd.record import recover, run, wholefile
left = int(sys.argv[2])
def counted(real):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return real(*args, **kwargs)
    return call
os.fsync, Path.rename, Path.open = counted(os.fsync), counted(Path.rename), counted(Path.open)
recover.recover_run(Path(sys.argv[1]))
"""


def test_a_recovery_that_dies_at_any_moment_is_done_again(tmp_path: Path) -> None:
    store, made = record_run(tmp_path / "runs", 0.2)
    store.path.write_bytes(b'{"id": ')
    kept = tmp_path / "kept"
    shutil.copytree(store.folder, kept)
    before = sums(store.folder)
    for steps in (4, 7, 9, 11, 14, 17):
        shutil.rmtree(store.folder)
        shutil.copytree(kept, store.folder)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, store.folder, str(steps)], check=False, capture_output=True
        )
        assert done.returncode in (0, 9), done.stderr
        recover_run(store.folder)
        info = store.load()
        assert info.conditions == ("INCOMPLETE", "INTERRUPTED", "RECOVERED")
        assert info.counters["journal"]["hits"] == sum(block.n for block in made)
        assert sums(store.folder) == before
        assert next(store.folder.glob("*.damaged*")).read_bytes() == b'{"id": '


def test_what_the_original_lacks_comes_back_from_the_second_copy(tmp_path: Path) -> None:
    store, made = record_run(tmp_path / "runs", 1.0)
    shutil.copytree(store.folder, tmp_path / "other" / store.folder.name)
    store.update(configuration={"record": {"second_copy": str(tmp_path / "other")}})
    (path,) = segments(store.journal)
    path.write_bytes(path.read_bytes()[:-20_000])
    damaged, theirs = sums(store.folder), sums(tmp_path / "other")
    report = recover_run(store.folder)
    info = store.load()
    assert report.regained > 1
    assert info.counters["journal"]["hits"] == sum(block.n for block in made)
    assert info.conditions == ("INTERRUPTED", "RECOVERED")
    now = sums(store.folder)
    assert {name: now[name] for name in damaged} == damaged
    assert sums(tmp_path / "other") == theirs
    assert "from the second copy" in (store.folder / TEXT).read_text()


def test_a_lost_first_disk_is_recovered_from_the_copy_alone(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "20261120T204000Z-tip")
    store.original("acquire").mkdir(parents=True)
    record_guard(store, 0.3)
    report = recover_run(store.folder)
    assert report.guard["frames"] > 0
    assert store.load().state == "recovered"


def test_the_command_prints_the_report(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("os.nice", lambda _: 0)  # of the whole test process, for good
    store, _ = record_run(tmp_path, 0.2)
    assert main([str(store.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"]
    assert main([str(store.folder / "no")]) == 1
