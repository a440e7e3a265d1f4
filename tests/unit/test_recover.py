"""Recovery: what a killed process left is counted to the frame, and the journals stay as they are."""

import hashlib
from pathlib import Path

import pytest

from evapd.errors import RecordError, StateError
from evapd.record.journal import segments
from evapd.record.reader import read_run
from evapd.record.recover import recover_run, recover_unfinished
from evapd.record.run import RunStore
from evapd.stream.frame import HITS, LOOP
from support.recorded_runs import Recorder, blocks, info_of, record_run


def content(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.evj")}


def test_an_unfinished_run_is_closed_and_its_frames_are_counted(tmp_path: Path) -> None:
    store, made = record_run(tmp_path, 2.0)

    report = recover_run(store.folder)

    info = store.load()
    assert report.changed
    assert report.lost == []
    assert report.counters["hits"] == sum(block.n for block in made)
    assert report.counters["pulses"] == 400_000
    assert (info.state, info.finished) == ("recovered", True)
    assert info.conditions == ("INTERRUPTED", "RECOVERED")
    assert info.t_end_mono_us is not None
    assert info.t_end_mono_us > info.t_start_mono_us + 1_900_000


def test_journals_are_never_altered_and_recovering_again_changes_nothing(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 1.0)
    before = content(store.folder)
    first = recover_run(store.folder)
    written = store.path.read_bytes()

    second = recover_run(store.folder)

    assert not second.changed
    assert second.counters == first.counters
    assert store.path.read_bytes() == written
    assert content(store.folder) == before


def test_a_torn_tail_is_told_to_the_byte(tmp_path: Path) -> None:
    store, made = record_run(tmp_path, 1.0)
    last = segments(store.journal)[-1]
    last.write_bytes(last.read_bytes()[:-10])

    report = recover_run(store.folder)

    assert report.acquire["torn_bytes"] > 0
    assert report.acquire["per_topic"][HITS] == len(made) - 1
    assert "torn frame" in report.lost[0]
    assert "INCOMPLETE" in store.load().conditions


def test_a_damaged_frame_is_told_as_a_missing_one(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 1.0)
    first = segments(store.journal)[0]
    data = bytearray(first.read_bytes())
    data[5000] ^= 0xFF
    first.write_bytes(data)

    report = recover_run(store.folder)

    assert f"acquire: 1 frames of {HITS} missing" in report.lost
    assert "INCOMPLETE" in store.load().conditions


def test_a_run_that_died_while_being_finalised_was_not_interrupted(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 1.0, state="finalising", end_reason="hits reached")

    recover_run(store.folder)

    assert store.load().conditions == ("RECOVERED",)
    assert store.load().end_reason == "hits reached"


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 0.5, state="finished")
    before = store.path.read_bytes()

    assert not recover_run(store.folder).changed
    assert recover_unfinished(tmp_path) == []
    assert store.path.read_bytes() == before


def test_a_run_that_is_being_recorded_is_refused(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "20261120T204000Z-live")
    store.create(info_of(store.folder))
    live = Recorder.at(store.journal, "acquire", store.folder.name)

    with pytest.raises(StateError, match="still being recorded"):
        recover_run(store.folder)
    assert recover_unfinished(tmp_path) == []
    live.journal.close()
    assert recover_run(store.folder).changed


@pytest.mark.parametrize("damage", ["missing", "garbage", "empty"])
def test_without_a_readable_run_json_one_is_made_from_the_frames(tmp_path: Path, damage: str) -> None:
    store, made = record_run(tmp_path, 1.0)
    if damage == "missing":
        store.path.unlink()
    else:
        store.path.write_bytes(b"" if damage == "empty" else b'{"id": ')

    report = recover_run(store.folder)

    info = store.load()
    assert info.id == store.folder.name
    assert info.conditions == ("INCOMPLETE", "INTERRUPTED", "RECOVERED")
    assert report.counters["hits"] == sum(block.n for block in made)
    assert store.path.with_suffix(".json.damaged").exists() == (damage != "missing")


def test_a_run_of_a_newer_program_is_told_and_left_alone(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 0.5)
    store.path.write_text('{"format": 99}')

    (report,) = recover_unfinished(tmp_path)

    assert "newer evapd" in str(report)
    assert store.path.read_text() == '{"format": 99}'


def test_one_bad_folder_does_not_keep_the_others_from_being_recovered(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 0.5)
    bad = tmp_path / "00000000T000000Z-bad"
    bad.mkdir()
    (bad / "journal").mkdir()
    (bad / "journal" / "acquire-000001.evj").mkdir()

    reports = recover_unfinished(tmp_path)

    assert [bool(report.problem) for report in reports] == [True, False]
    assert store.load().finished


def test_an_empty_folder_becomes_a_run_without_data(tmp_path: Path) -> None:
    (tmp_path / "20260101T000000Z-x").mkdir()

    report = recover_run(tmp_path / "20260101T000000Z-x")

    assert report.counters["hits"] == 0
    with pytest.raises(RecordError, match="not a run folder"):
        recover_run(tmp_path / "nothing")


def test_the_merged_messages_of_a_run_ascend_in_time(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 1.0)

    messages = list(read_run(store.folder))

    times = [message.header["t_mono_us"] for message in messages]
    assert times == sorted(times)
    assert {HITS, LOOP} <= {message.topic for message in messages}
    assert sum(message.topic == HITS for message in messages) == len(list(blocks(1.0)))


def test_recovery_of_a_long_journal_gives_signs_of_life(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 60.0)
    signs: list[None] = []
    report = recover_run(store.folder, lambda: signs.append(None))
    frames = report.acquire["frames"] + report.guard["frames"]
    assert len(signs) == -(-frames // 1000) > 1
