"""Finished runs get what they still need, one thing at a time, and a run that begins comes first."""

import json
import shutil
from pathlib import Path

from evapd.acquire.backlog import Backlog, needs, unfinalised
from evapd.config.record import Record, Retention
from evapd.record.finalise import finalise
from evapd.record.recover import recover_run
from evapd.record.run import RunStore
from support.recorded_runs import T_UTC, Recorder, record_run
from support.wait import wait_for

Told = list[tuple[str, str, str]]


def left_behind(runs: Path, seconds: float = 0.2) -> RunStore:
    """A run whose process died, recovered."""
    store, _ = record_run(runs, seconds)
    recover_run(store.folder)
    return store


def unwanted(store: RunStore) -> RunStore:
    """The same run, not to be finalised: children cost seconds."""
    store.change(lambda info: {"configuration": {**info.configuration, "record": {"finalise": False}}})
    return store


def finish(backlog: Backlog) -> None:
    def done() -> bool:
        backlog.tick()
        return backlog.idle

    wait_for(done, "end of the backlog", 30.0)


def test_a_recovered_run_is_finalised_and_both_ends_are_told(tmp_path: Path) -> None:
    store, told = left_behind(tmp_path), Told()
    finish(Backlog(tmp_path, lambda *event: told.append(event)))
    assert store.nexus_path.exists()
    assert store.load().nexus is not None
    assert [(kind, severity) for kind, severity, _ in told] == [("run", "info"), ("run", "info")]


def test_a_run_that_is_finalised_or_was_not_to_be_or_is_open_is_left_alone(tmp_path: Path) -> None:
    open_one, _ = record_run(tmp_path / "a", 0.1)
    other = unwanted(left_behind(tmp_path / "b"))
    waiting = left_behind(tmp_path / "c")
    assert unfinalised(open_one.folder.parent) == []
    assert unfinalised(other.folder.parent) == []
    assert unfinalised(waiting.folder.parent) == [waiting.folder]


def test_a_run_that_begins_interrupts_and_the_interrupted_one_is_done_again(tmp_path: Path) -> None:
    store = left_behind(tmp_path)
    backlog = Backlog(tmp_path, lambda *_: None)
    wait_for(lambda: backlog.tick() or backlog._present is not None, "a child", 30.0)
    backlog.pause()
    assert backlog.progress == 0.0
    finish(backlog)
    assert store.nexus_path.exists()


def test_one_that_fails_is_told_with_what_to_do_and_not_tried_for_ever(tmp_path: Path) -> None:
    store, told = left_behind(tmp_path), Told()
    backlog = Backlog(tmp_path, lambda *event: told.append(event))
    wait_for(lambda: backlog.tick() or backlog.progress is not None, "a job", 30.0)
    store.path.write_text("{")
    finish(backlog)
    assert told[-1][:2] == ("finalise", "alarm")
    assert f"evapd export {store.folder}" in told[-1][2]


def test_a_run_closed_in_haste_is_counted_copied_and_finalised_in_this_order(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path / "runs", 0.2)
    store.update(
        configuration={"record": {"second_copy": str(tmp_path / "other")}} | store.load().configuration
    )
    recover_run(store.folder, most_bytes=0)
    assert list(needs(store.load())) == ["recover"]
    told = Told()
    finish(Backlog(tmp_path / "runs", lambda *event: told.append(event)))
    info = store.load()
    assert (info.second_copy.state, info.recovery["pending"]) == ("whole", False)
    assert info.nexus is not None
    kinds = [kind for kind, _, what in told if "finalised in" in what or kind != "run"]
    assert kinds == ["recovery", "second copy", "run"]


def test_from_the_start_until_the_last_job_is_done_there_is_a_progress_to_wait_for(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 0.2)
    guard = Recorder.at(store.guard_journal, "guard", store.folder.name)
    now, seen = [0.0], []
    backlog = Backlog(tmp_path, lambda *_: None, mono=lambda: now[0])

    def done() -> bool:
        seen.append(backlog.progress)
        backlog.tick()
        return backlog.idle

    wait_for(done, "the guard's journal to be found open", 30.0)
    seen.append(backlog.progress)
    guard.journal.close()
    now[0] = 10.0
    backlog.tick()
    wait_for(done, "recovery and finalising", 30.0)
    assert store.load().nexus is not None
    assert None not in seen
    assert backlog.progress is None


def test_a_run_that_an_earlier_start_had_no_time_for_is_recovered(tmp_path: Path) -> None:
    store = unwanted(record_run(tmp_path, 0.2)[0])
    finish(Backlog(tmp_path, lambda *_: None))
    assert store.load().state == "recovered"


def test_a_run_that_the_guard_still_writes_waits(tmp_path: Path) -> None:
    store = unwanted(record_run(tmp_path, 0.2)[0])
    now = [0.0]
    backlog = Backlog(tmp_path, lambda *_: None, mono=lambda: now[0])
    guard = Recorder.at(store.guard_journal, "guard", store.folder.name)
    finish(backlog)
    guard.journal.close()
    finish(backlog)
    assert store.load().state == "running"
    now[0] = 10.0
    finish(backlog)
    assert store.load().state == "recovered"


def test_a_copy_whose_disk_is_away_is_told_and_tried_again(tmp_path: Path) -> None:
    store, now, told = left_behind(tmp_path / "runs"), [0.0], Told()
    (tmp_path / "other").touch()
    store.update(configuration={"record": {"second_copy": str(tmp_path / "other"), "finalise": False}})
    backlog = Backlog(tmp_path / "runs", lambda *event: told.append(event), mono=lambda: now[0])
    finish(backlog)
    assert told[-1][:2] == ("second copy", "alarm")
    (tmp_path / "other").unlink()
    now[0] = 700.0
    backlog.tick()
    finish(backlog)
    assert store.load().second_copy.state == "whole"


def pruning(store: RunStore, utc_step_s: float) -> Told:
    told, now = Told(), [0.0]
    rules = Record(retention=Retention(keep_days=1))
    backlog = Backlog(
        store.folder.parent,
        lambda *event: told.append(event),
        rules,
        mono=lambda: now[0],
        utc=lambda: now[0] + utc_step_s * (now[0] > 0),
    )
    now[0] = 4000.0
    finish(backlog)
    wait_for(lambda: backlog.tick() or (told and backlog.idle), "what retention says", 30.0)
    return told


def test_what_rules_allow_is_removed_in_idle_hours(tmp_path: Path) -> None:
    store = left_behind(tmp_path)
    finalise(store.folder)
    text = json.loads(store.path.read_text())
    store.path.write_text(json.dumps(text | {"t_end_utc": T_UTC - 10 * 365 * 86_400_000_000}))
    told = pruning(store, 0.0)
    assert told[0][:2] == ("retention", "info")
    assert not any(store.folder.rglob("*.evj"))
    assert store.nexus_path.exists()


def test_after_a_step_of_the_clock_nothing_is_removed_by_rule(tmp_path: Path) -> None:
    store = unwanted(left_behind(tmp_path))
    told = pruning(store, 3 * 3600.0)
    assert told[0][:2] == ("retention", "warning")
    assert "clock was set by +3.0 h" in told[0][2]
    assert any(store.folder.rglob("*.evj"))


def test_many_finished_runs_are_looked_at_a_few_at_a_time(tmp_path: Path) -> None:
    store = unwanted(left_behind(tmp_path))
    for number in range(60):
        shutil.copytree(store.folder, tmp_path / f"{store.folder.name}-{number}")
    ticking = [0.0]

    def mono() -> float:
        ticking[0] += 0.001
        return ticking[0]

    backlog = Backlog(tmp_path, lambda *_: None, mono=mono)
    ticks = 0
    while not backlog.idle:
        backlog.tick()
        ticks += 1
    assert ticks > 5


def test_a_run_that_was_recorded_meanwhile_is_looked_at_too(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path / "runs", lambda *_: None)
    finish(backlog)
    backlog.pause()  # a run begins
    store, _ = record_run(tmp_path / "runs", 0.1)
    store.update(
        state="finished",
        configuration={"record": {"second_copy": str(tmp_path / "other"), "finalise": False}},
    )
    finish(backlog)
    assert store.load().second_copy.state == "whole"
