"""The supervisor's own ways: it speaks into the void without harm, owns its folder, and takes note of signals without locks."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evapd.config import load_rig
from evapd.config.layout import Layout
from evapd.device.portlock import PortLock
from evapd.errors import RecordError, StateError
from evapd.supervisor.child import Child
from evapd.supervisor.ownership import owned
from evapd.supervisor.progress import Progress
from evapd.supervisor.supervisor import Supervisor
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for


@pytest.fixture
def supervisor() -> Iterator[tuple[Supervisor, io.StringIO]]:
    with rig_folder() as folder:
        out = io.StringIO()
        made = Supervisor(load_rig(write_rig(folder)), Progress(out))
        yield made, out
        assert made.stop()


def test_output_that_nobody_reads_is_dropped_in_silence() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as out:
        progress = Progress(out)
        progress.say("the first line fails")
        progress.say("the second does not raise either")


def test_a_folder_has_one_supervisor(tmp_path: Path) -> None:
    with (
        owned(tmp_path),
        pytest.raises(StateError, match=f"another `evapd run`.*process {os.getpid()}"),
        owned(tmp_path),
    ):
        pass
    with owned(tmp_path):
        pass  # it was given up


def test_what_a_killed_supervisor_left_behind_is_named_with_its_process(tmp_path: Path) -> None:
    guard = PortLock(f"{tmp_path}/guard")
    with (
        pytest.raises(StateError, match=f"(?s)guard is held by process {os.getpid()}.*kill PROCESS"),
        owned(tmp_path),
    ):
        pass
    guard.release()
    with owned(tmp_path):
        pass  # neither lock was left behind


def test_a_signal_in_the_middle_of_a_write_only_takes_note(
    supervisor: tuple[Supervisor, io.StringIO],
) -> None:
    made, out = supervisor
    made.end(signal.SIGINT, None)
    made.end(signal.SIGTERM, None)
    assert out.getvalue() == ""
    assert made.serve(start_run=True, until_run_ends=True) is None
    assert out.getvalue().splitlines() == [
        "SIGINT: going to safe, closing the run",
        "still stopping: the voltage goes down first",
    ]


def test_asked_to_end_before_the_start_nothing_is_started(supervisor: tuple[Supervisor, io.StringIO]) -> None:
    made, _ = supervisor
    made.end(signal.SIGINT, None)
    made.start()
    assert [child.process for child in made.children.values()] == [None, None, None]


def test_a_folder_that_cannot_be_made_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"file/rig/runs cannot be made: Not a directory; check"):
        Layout(tmp_path / "file" / "rig").make()


def test_a_child_that_asks_for_more_time_is_heard(tmp_path: Path) -> None:
    code = "from evapd.notify import Notifier; Notifier().extend(30.0)"
    child = Child("slow", [sys.executable, "-c", code], tmp_path, tmp_path)
    child.start()
    wait_for(lambda: child.poll() == 0, "its end")
    child.poll()
    assert child.extended_until_s > child.started_s + 29
    assert not child.ready
    child.kill()


def test_a_child_that_takes_long_says_once_what_it_is_doing(tmp_path: Path) -> None:
    code = "from evapd.notify import Notifier; Notifier().status('compiling')"
    child = Child("acquire", [sys.executable, "-c", code], tmp_path, tmp_path)
    child.start()
    wait_for(lambda: child.poll() is not None and child.status == "compiling", "its word")
    assert not child.is_slow()
    child.started_s -= 10.0
    assert [child.is_slow(), child.is_slow()] == [True, False]
    child.terminate(5.0)
