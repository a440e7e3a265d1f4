"""UTC is a label: a clock that is set by an hour in a run breaks neither folders, nor order, nor recovery."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from evapd.record.finalise import finalise
from evapd.record.journal import JournalFollower, read_journal
from evapd.record.nxs import RunFile
from evapd.record.recover import TEXT, recover_run
from evapd.record.run import RunStore, list_runs, new_run_folder
from evapd.stream.frame import HITS
from support.recorded_runs import T_MONO, T_UTC, Recorder, blocks, info_of, record_guard

HOUR_US = 3_600_000_000


def stepped_run(runs: Path, step_us: int) -> tuple[RunStore, int]:
    """A run of a second in whose middle the clock was set; its process died."""
    store = RunStore(new_run_folder(runs, "tip", T_UTC))
    store.create(info_of(store.folder))
    record_guard(store, 1.0)
    acquire, hits = Recorder.at(store.journal, "acquire", store.folder.name), 0
    for number, block in enumerate(blocks(1.0)):
        acquire.now_us[0] = block.anchor.t_mono_us
        if number == 10:
            acquire.framer.t_utc_us = lambda: T_UTC + acquire.now_us[0] - T_MONO + step_us
        acquire.journal.append(acquire.framer.hits(block))
        hits += block.n
    acquire.journal.close()
    return store, hits


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US], ids=["forwards", "backwards"])
def test_a_run_in_which_the_clock_was_set_is_recovered_and_finalised_whole(
    tmp_path: Path, step_us: int
) -> None:
    store, hits = stepped_run(tmp_path, step_us)
    report = recover_run(store.folder)
    info = store.load()
    assert report.lost == []
    assert info.counters["journal"]["hits"] == hits
    assert 900_000 < info.t_end_mono_us - info.t_start_mono_us < 1_500_000
    assert "the guard's record ends +0." in (store.folder / TEXT).read_text()
    with RunFile(finalise(store.folder)) as file:
        assert file.n_hits == hits
    labels = [m.header["t_utc"] for m in read_journal(store.journal) if m.topic == HITS]
    assert any(abs(after - before - step_us) < 1_000_000 for before, after in pairwise(labels))


def test_runs_that_begin_in_the_hour_that_comes_twice_have_folders_of_their_own(tmp_path: Path) -> None:
    made = []
    for t_utc_us in (T_UTC, T_UTC + HOUR_US, T_UTC, T_UTC):  # set back by an hour, and once more
        store = RunStore(new_run_folder(tmp_path, "tip", t_utc_us))
        store.create(info_of(store.folder, t_start_utc=t_utc_us))
        made.append(store.folder.name)
    assert len(set(made)) == 4
    assert {entry.folder.name for entry in list_runs(tmp_path) if entry.info} == set(made)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0], ids=["forwards", "backwards"])
def test_a_follower_finds_the_next_writer_s_segment_whatever_the_clock_says(
    tmp_path: Path, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Recorder.at(tmp_path, "t", "")
    first.journal.append(first.framer.document("state.", {"i": 0}))
    first.journal.close()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + round(step_s * 1e9))
    with JournalFollower(tmp_path) as follower:
        assert len(follower.poll()) == 1
        assert follower.poll() == []
        second = Recorder.at(tmp_path, "t", "")
        second.journal.append(second.framer.document("state.", {"i": 1}))
        second.journal.close()
        assert [message.document["i"] for message in follower.poll()] == [1]
