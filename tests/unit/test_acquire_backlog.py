"""Runs that were left without their file are finalised, one at a time, and a run that begins comes first."""

from pathlib import Path

from evapd.acquire.backlog import Backlog, unfinalised
from evapd.record.recover import recover_run
from evapd.record.run import RunStore
from support.recorded_runs import record_run
from support.wait import wait_for

Told = list[tuple[str, str, str]]


def left_behind(runs: Path, seconds: float = 0.2) -> RunStore:
    """A run whose process died, recovered."""
    store, _ = record_run(runs, seconds)
    recover_run(store.folder)
    return store


def finish(backlog: Backlog) -> None:
    def done() -> bool:
        backlog.tick()
        return backlog.progress is None

    wait_for(done, "end of the backlog", 30.0)


def test_a_recovered_run_is_finalised_and_both_ends_are_told(tmp_path: Path) -> None:
    store, told = left_behind(tmp_path), Told()
    finish(Backlog(tmp_path, lambda *event: told.append(event)))
    assert store.nexus_path.exists()
    assert store.load().nexus is not None
    assert [(kind, severity) for kind, severity, _ in told] == [("run", "info"), ("run", "info")]


def test_a_run_that_is_finalised_or_was_not_to_be_or_is_open_is_left_alone(tmp_path: Path) -> None:
    open_one, _ = record_run(tmp_path / "a", 0.1)
    unwanted = left_behind(tmp_path / "b")
    unwanted.change(lambda info: {"configuration": {**info.configuration, "record": {"finalise": False}}})
    waiting = left_behind(tmp_path / "c")
    assert unfinalised(open_one.folder.parent) == []
    assert unfinalised(unwanted.folder.parent) == []
    assert unfinalised(waiting.folder.parent) == [waiting.folder]


def test_a_run_that_begins_interrupts_and_the_interrupted_one_is_done_again(tmp_path: Path) -> None:
    store = left_behind(tmp_path)
    backlog = Backlog(tmp_path, lambda *_: None)
    backlog.tick()
    backlog.pause()
    assert backlog.progress == 0.0
    finish(backlog)
    assert store.nexus_path.exists()


def test_one_that_fails_is_told_with_what_to_do_and_not_tried_for_ever(tmp_path: Path) -> None:
    store, told = left_behind(tmp_path), Told()
    backlog = Backlog(tmp_path, lambda *event: told.append(event))
    store.path.write_text("{")
    finish(backlog)
    assert told[-1][:2] == ("finalise", "alarm")
    assert f"evapd export {store.folder}" in told[-1][2]
