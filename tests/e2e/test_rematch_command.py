"""`evapd rematch` as a person types it: exit codes, what it prints, and what it leaves when it is stopped."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evapd.blocks import TdcBlock
from support.anodes import hexanode, quad
from support.kernels import NUMBA_CACHE
from support.recorded_words import frames_of, record_words, save_words
from support.signals import SignalModel, simulate
from support.wait import wait_for

STREAM = simulate(SignalModel(detection=0.3), 2000, 7).block


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "evapd", "rematch", *map(str, words)]


def environment() -> dict[str, str]:
    return {**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)}


def evapd(*words: str | Path, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=280,
        **options,
    )  # type: ignore[call-overload]


def anode_file(folder: Path) -> Path:
    path = folder / "anode.yaml"
    path.write_text(json.dumps(quad().model_dump(mode="json", exclude_none=True)))
    return path


def long_words(folder: Path) -> Path:
    """A words file that takes some seconds to match."""
    times, span = 400, STREAM.last_pulse + 1
    shifts = np.repeat(np.arange(times, dtype="<u8") * np.uint64(span), STREAM.n)
    long: TdcBlock = replace(
        STREAM,
        last_pulse=times * span - 1,
        pulse=np.tile(STREAM.pulse, times) + shifts,
        channel=np.tile(STREAM.channel, times),
        time=np.tile(STREAM.time, times),
    )
    return save_words(folder / "long.npz", long)


@contextmanager
def under_way(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A rematch with two processes that has begun to write."""
    out = folder / "h.npz"
    with subprocess.Popen(
        command(long_words(folder), "--anode", anode_file(folder), "-o", out, "--workers", "2", "--block-words", "1", *words),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True,
    ) as process:  # fmt: skip
        wait_for(lambda: len(workers_of(process.pid)) >= 2, "two worker processes", 60.0)
        yield process


def workers_of(parent: int) -> list[int]:
    """The parent's own children, but for the one that looks after shared resources."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        return [
            int(pid)
            for pid in children
            if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
        ]
    except FileNotFoundError:
        return []


def test_a_run_is_rematched_and_compared_with_what_was_recorded(tmp_path: Path) -> None:
    store, recorded = record_words(tmp_path, frames_of(STREAM, 100), seconds=0.05)
    done = evapd(store.folder, "-o", tmp_path / "h.nxs")
    assert done.returncode == 0, done.stderr
    assert f"recorded  {recorded.n:,} hits; +0 now" in done.stdout
    assert "all signals seen" in done.stdout
    assert "words/s" in done.stdout
    assert done.stderr == ""


def test_json_tells_counters_and_speed(tmp_path: Path) -> None:
    words = save_words(tmp_path / "w.npz", STREAM)
    done = evapd(words, "--anode", anode_file(tmp_path), "-o", tmp_path / "h.npz", "--json", "--risky")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["counters"]["words"] == STREAM.n
    assert told["hits"] == sum(told["counters"]["hits_by_quality"].values()) > 0
    assert (told["recorded_hits"], told["risky_methods"]) == (None, ["three-signals"])
    assert told["words_per_s"] > 0


def test_a_bad_anode_file_exits_78_and_names_the_place(tmp_path: Path) -> None:
    anode = anode_file(tmp_path)
    anode.write_text("kind: quad\nradius_mm: 4 kg\n")
    done = evapd(save_words(tmp_path / "w.npz", STREAM), "--anode", anode, "-o", tmp_path / "h.npz")
    assert done.returncode == 78
    assert "anode.yaml:2" in done.stderr


def test_the_wrong_kind_of_anode_exits_78_and_says_so(tmp_path: Path) -> None:
    anode = tmp_path / "anode.yaml"
    anode.write_text(json.dumps(hexanode().model_dump(mode="json", exclude_none=True)))
    done = evapd(save_words(tmp_path / "w.npz", STREAM), "--anode", anode, "-o", tmp_path / "h.npz")
    assert done.returncode == 78
    assert "signals of a quad anode" in done.stderr
    assert not list(tmp_path.glob("h.npz*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("absent.npz", "-o", "h.npz"), "does not exist"),
        (("w.npz", "-o", "h.txt"), ".npz or .nxs"),
        (("w.npz", "-o", "w.npz", "--force"), "part of what is being read"),
        (("cut.npz", "--anode", "anode.yaml", "-o", "h.npz"), "cut off"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_exits_1(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    path = save_words(tmp_path / "w.npz", STREAM)
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:-500])
    anode_file(tmp_path)
    done = evapd(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("h.*"))


def test_ctrl_c_ends_everything_and_leaves_no_file(tmp_path: Path) -> None:
    with under_way(tmp_path) as process:
        workers = workers_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
        assert process.returncode != 0
    assert "Traceback" not in said
    assert not list(tmp_path.glob("h.npz*"))
    wait_for(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the end of the workers", 30.0
    )


def test_a_kill_leaves_no_file_under_the_name_and_no_process(tmp_path: Path) -> None:
    with under_way(tmp_path) as process:
        workers = workers_of(process.pid)
        process.kill()
    assert not (tmp_path / "h.npz").exists()
    wait_for(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the end of the workers", 30.0
    )


def test_a_worker_that_is_killed_ends_the_rematch_with_a_message(tmp_path: Path) -> None:
    with under_way(tmp_path) as process:
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 1
    assert "a worker process ended" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("h.npz*"))


@pytest.mark.parametrize("name", ["h.npz", "h.nxs"])
def test_a_full_disk_leaves_no_file_and_says_what_to_do(tmp_path: Path, name: str) -> None:
    words = save_words(tmp_path / "w.npz", STREAM)

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    done = evapd(words, "--anode", anode_file(tmp_path), "-o", tmp_path / name, preexec_fn=little_room)
    assert done.returncode == 1
    assert "make room" in done.stderr
    assert not list(tmp_path.glob("h.*"))
