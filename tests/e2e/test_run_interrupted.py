"""`evapd run` when its parts, or its terminal, go away: the exit code is honest, and nothing is left behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from evapd.record.run import RunInfo, list_runs
from support.kernels import NUMBA_CACHE
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for

RIG = {"control": {"v_start_v": 2400}, "guard": {"start_ramp_v_per_s": 2000.0}, "end": {"time_s": 60}}


@contextmanager
def run_under_way(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """`evapd run` once its run records."""
    with start(write_rig(folder, RIG)) as process:
        wait_for(lambda: state(folder) == "running", "a run under way", 60.0)
        yield process


def start(config: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "evapd", "run", str(config)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)},
    )  # fmt: skip


def info(folder: Path) -> RunInfo | None:
    """The only run below the folder, as far as it can be read."""
    found = [entry.info for entry in list_runs(folder / "data" / "runs")]
    return found[0] if found else None


def state(folder: Path) -> str:
    found = info(folder)
    return found.state if found else ""


def processes(folder: Path, word: str = "") -> list[int]:
    """Processes whose command line names the folder and the word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if f"{folder}/" in words and word in words:
            found.append(int(path.parent.name))
    return found


def test_acquire_killed_the_run_is_lost_recovered_and_finalised_and_the_exit_code_says_so() -> None:
    with rig_folder() as folder, run_under_way(folder) as process:
        (acquire,) = processes(folder, "evapd.acquire")
        os.kill(acquire, signal.SIGKILL)
        out, _ = process.communicate(timeout=200.0)
        assert process.returncode == 1, out
        assert "was interrupted, because acquire died" in out
        left = info(folder)
        assert left is not None
        assert {"INTERRUPTED", "RECOVERED"} <= set(left.conditions)
        assert left.nexus is not None, "finalised by the next acquire"
        assert processes(folder) == []


def test_acquire_killed_while_the_run_is_closed_is_said_and_is_no_success() -> None:
    with rig_folder() as folder, run_under_way(folder) as process:
        (acquire,) = processes(folder, "evapd.acquire")
        os.kill(acquire, signal.SIGSTOP)  # so that it cannot close the run first
        process.send_signal(signal.SIGINT)
        os.kill(acquire, signal.SIGKILL)
        out, _ = process.communicate(timeout=200.0)
        assert process.returncode == 1, out
        assert "before it had closed the run" in out
        assert processes(folder) == []


def test_a_terminal_that_is_closed_ends_the_run_like_ctrl_c() -> None:
    with rig_folder() as folder, run_under_way(folder) as process:
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=200.0)
        assert process.returncode == 0, out
        left = info(folder)
        assert left is not None
        assert left.state == "finished"
        assert processes(folder) == []


def test_what_a_killed_supervisor_left_is_named_and_ends_in_order_when_asked() -> None:
    with rig_folder() as folder, run_under_way(folder) as process:
        process.kill()
        process.wait(60.0)
        with start(folder / "rig.yaml") as second:
            out, _ = second.communicate(timeout=120)
        assert second.returncode == 1
        for name in ("acquire", "guard"):
            (one,) = processes(folder, f"evapd.{name}")
            assert f"process {one}" in out
            os.kill(one, signal.SIGTERM)
            wait_for(lambda name=name: not processes(folder, f"evapd.{name}"), f"end of {name}", 60.0)
        for twin in processes(folder, "evapd_sim"):
            os.kill(twin, signal.SIGTERM)
        wait_for(lambda: not processes(folder), "end of the twin")
        left = info(folder)
        assert left is not None
        assert left.state == "finished"


@pytest.mark.parametrize("what", ["control", "twin"])
def test_a_part_that_cannot_start_is_one_message_without_a_traceback(what: str) -> None:
    with rig_folder() as folder, socket.socket() as taken:
        config = write_rig(folder, RIG)
        content = yaml.safe_load(config.read_text())
        twin, control = content["devices"]["trigger"]["settings"]["connect"], content["sockets"]["control"]
        taken.bind(("127.0.0.1", int((twin if what == "twin" else control).rsplit(":", 1)[1])))
        taken.listen()
        with start(config) as process:
            out, _ = process.communicate(timeout=120)
        assert process.returncode == (78 if what == "twin" else 1)
        assert "before it was ready" in out
        assert "cannot listen on" in out
        assert "Traceback" not in out
        assert processes(folder) == []
