"""What `evapd run` says at the end, and whether it calls that good."""

import json
from pathlib import Path

import numpy as np
import pytest

from evapd.config import LoadedRig, load_rig
from evapd.record.run import Condition, RunStore
from evapd.report.outcome import report_outcome
from evapd.report.replay_check import RAW_HIT
from support.finished_runs import finished_run, hit_block
from support.recorded_runs import info_of, v_dc_v
from support.rig_files import rig_folder, write_rig


@pytest.fixture
def sim():
    with rig_folder() as folder:
        yield load_rig(write_rig(folder))


@pytest.fixture
def replay():
    with rig_folder() as folder:
        yield load_rig(write_rig(folder, {"record": {"raw_words": False}}, source="replay-tungsten.yaml"))


def told(loaded: LoadedRig, run: Path) -> tuple[bool, str]:
    said: list[str] = []
    good = report_outcome(loaded, run, said.append)
    return good, "\n".join(said)


def play(loaded: LoadedRig, pulses: list[int], v_v: float) -> None:
    hits = np.zeros(len(pulses), RAW_HIT)
    hits["pulse"], hits["tof_ns"], hits["u_base_v"] = pulses, 500.0, v_v
    source = loaded.layout.folder / "played.raw"
    loaded.layout.twin.mkdir(parents=True)
    hits.tofile(source)
    note = {"path": str(source), "generated": True, "hits": len(hits)}
    (loaded.layout.twin / "replay-source.json").write_text(json.dumps(note))


def test_a_whole_run_is_good_and_gets_its_picture(sim: LoadedRig) -> None:
    run = finished_run(sim.layout.runs, [hit_block(0, [1, 2])])

    good, words = told(sim, run)

    assert good
    assert (run / f"{run.name}.png").exists()
    assert f"{run.name}.png" in words
    assert "losses" in words


@pytest.mark.parametrize(
    ("flag", "good"), [(Condition.ABORTED, False), (Condition.INCOMPLETE, False), (Condition.TAINTED, True)]
)
def test_an_aborted_or_incomplete_run_is_not_good(sim: LoadedRig, flag: Condition, good: bool) -> None:
    run = finished_run(sim.layout.runs, [hit_block(0, [1])], conditions=(flag,))

    assert told(sim, run)[0] is good


def test_a_run_that_was_not_finalised_says_how_to(sim: LoadedRig) -> None:
    folder = sim.layout.runs / "r"
    RunStore(folder).create(info_of(folder))

    good, words = told(sim, folder)

    assert not good
    assert f"evapd export {folder}" in words


def test_a_folder_that_is_no_run_is_told_without_an_exception(sim: LoadedRig, tmp_path: Path) -> None:
    good, words = told(sim, tmp_path)

    assert not good
    assert "cannot be read" in words


def test_a_replay_that_agrees_is_good(replay: LoadedRig) -> None:
    run = finished_run(replay.layout.runs, [hit_block(0, [0, 5, 9])])
    play(replay, [100, 105, 109], float(v_dc_v(5_000_000_000)))

    good, words = told(replay, run)

    assert "generated file" in words
    assert good, words


def test_a_replay_that_lost_a_hit_is_not_good(replay: LoadedRig) -> None:
    run = finished_run(replay.layout.runs, [hit_block(0, [0, 5, 9])])
    play(replay, [100, 105, 107, 109], float(v_dc_v(5_000_000_000)))

    good, words = told(replay, run)

    assert not good
    assert "NOT COMPLETE" in words


def test_a_replay_without_its_source_is_not_called_good(replay: LoadedRig) -> None:
    run = finished_run(replay.layout.runs, [hit_block(0, [0])])

    good, words = told(replay, run)

    assert not good
    assert "cannot be compared" in words
