"""Finalising that is killed goes on where it stood, and the file is the same to the byte.

EVAPD_KILLS=30 kills it that often; the run is then larger, too.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evapd.errors import RecordError
from evapd.record import finalise as module
from evapd.record.finalise import WORK, finalise
from evapd.record.finalising.pace import Advance, Pace
from evapd.record.finalising.spool import Spool
from evapd.record.nxs import open_run
from evapd.record.run import RunStore
from support.recorded_runs import record_run

KILLS = int(os.environ.get("EVAPD_KILLS", "3"))
SECONDS = 20.0 if KILLS < 10 else 150.0
# A thread of the process kills it at a random moment of its work.
CHILD = """
import os, random, signal, sys, threading, time
from evapd.record import finalise
finalise.KEEP_S, finalise.EVERY_FRAMES = 0.0, 8
def kill(after_s):
    time.sleep(after_s)
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill, args=(float(sys.argv[2]),), daemon=True).start()
sys.exit(finalise.main(["--json", sys.argv[1]]))
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    store, _ = record_run(tmp_path_factory.mktemp("whole"), SECONDS, rate=0.05, state="finished")
    finalise(store.folder)
    return store


@pytest.fixture
def again(undisturbed: RunStore, tmp_path: Path) -> RunStore:
    """The same run, not yet finalised."""
    folder = tmp_path / undisturbed.folder.name
    shutil.copytree(undisturbed.folder, folder)
    store = RunStore(folder)
    store.nexus_path.unlink()
    store.update(nexus=None)
    return store


def test_the_same_journal_gives_the_same_bytes(undisturbed: RunStore, again: RunStore) -> None:
    finalise(again.folder)

    assert again.nexus_path.read_bytes() == undisturbed.nexus_path.read_bytes()


def test_a_kill_at_any_moment_costs_nothing_but_time(undisturbed: RunStore, again: RunStore) -> None:
    rng, killed = np.random.default_rng(7), 0
    for _ in range(20 * KILLS):
        command = [sys.executable, "-c", CHILD, str(again.folder), f"{rng.uniform(0.02, 0.02 * SECONDS):.3f}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0 and killed >= KILLS:
            break
        if done.returncode != 0:
            assert done.returncode == -signal.SIGKILL, done.stderr
            killed += 1
        elif again.nexus_path.exists():
            assert again.nexus_path.read_bytes() == undisturbed.nexus_path.read_bytes()
            again.nexus_path.unlink()
    else:
        finalise(again.folder)

    assert killed >= KILLS
    assert again.nexus_path.read_bytes() == undisturbed.nexus_path.read_bytes()
    assert not (again.folder / WORK).exists()
    assert not list(again.folder.glob("*.part"))


class _Cut(BaseException):
    """The end of a process, as far as this one can act it."""


def cut_at(store: RunStore, part: float) -> None:
    def stop(done: float, hits: int) -> None:
        if done >= part:
            raise _Cut

    with pytest.raises(_Cut):
        finalise(store.folder, tell=stop)


def test_it_goes_on_from_its_safe_point_not_from_the_beginning(
    undisturbed: RunStore, again: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_S", 0.0)
    cut_at(again, 0.7)
    told: list[float] = []

    finalise(again.folder, tell=lambda part, hits: told.append(part))

    assert told[0] > 0.5
    assert again.nexus_path.read_bytes() == undisturbed.nexus_path.read_bytes()


@pytest.mark.parametrize("damage", ["state", "chunks", "settings"])
def test_what_cannot_be_continued_is_begun_anew(
    undisturbed: RunStore, again: RunStore, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(module, "KEEP_S", 0.0)
    cut_at(again, 0.5)
    if damage == "settings":
        again.update(versions={"evapd": "0"})
    else:
        path = again.folder / WORK / damage
        path.write_bytes(path.read_bytes()[:-40])

    finalise(again.folder)

    with open_run(again.folder) as one, open_run(undisturbed.folder) as other:
        np.testing.assert_array_equal(one.hits().tof_ps, other.hits().tof_ps)
        np.testing.assert_array_equal(one.loop()["v_dc_v"], other.loop()["v_dc_v"])


def test_two_never_work_on_one_spool(tmp_path: Path) -> None:
    with Spool(tmp_path / "work", "key"), pytest.raises(BlockingIOError):
        Spool(tmp_path / "work", "key")


def test_a_full_disk_keeps_what_was_done(
    undisturbed: RunStore, again: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_S", 0.0)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000));"
        "from evapd.record import finalise; finalise.KEEP_S = 0.0; sys.exit(finalise.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, again.folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (1, module.NO_SPACE)
    assert "make room" in done.stderr

    told: list[float] = []
    finalise(again.folder, tell=lambda part, hits: told.append(part))

    assert told[0] > 0.0
    assert again.nexus_path.read_bytes() == undisturbed.nexus_path.read_bytes()


def test_an_error_of_another_process_is_told(again: RunStore) -> None:
    with Spool(again.folder / WORK, "key"), pytest.raises(RecordError, match="by another process"):
        finalise(again.folder)


def test_the_pace_tells_hits_per_second_and_what_remains_of_its_own_work_only() -> None:
    told: list[Advance] = []
    now = [100.0]
    pace = Pace(told.append, lambda: now[0])

    pace(0.5, 1_000_000)  # an earlier process had done this
    now[0] += 10.0
    pace(0.75, 6_000_000)

    assert told[0].remaining_s is None
    assert told[1].hits_per_s == pytest.approx(500_000)
    assert told[1].remaining_s == pytest.approx(10.0)
