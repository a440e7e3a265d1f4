"""Acquire's view of the guard: it outlives restarts of the guard and faults in what the guard has written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evapd.acquire.bus import Bus
from evapd.acquire.guard_view import GuardView
from evapd.errors import RecordError
from evapd.rpc import Command, NoArgs, Service
from evapd.stream.frame import EVENT, Frame
from evapd.stream.jsontext import from_json
from support.recorded_runs import Recorder
from support.rig_files import rig_folder
from support.stream_parts import make_framer
from support.wait import wait_for


class Published(list[Frame]):
    """An outlet that keeps what it is given."""

    def publish(self, frame: Frame) -> None:
        self.append(frame)


class Guard:
    """A guard's socket and journal, without instruments behind."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, f"ipc://{folder}/guard.ipc"
        self.status: dict[str, Any] = {
            "instance": "first",
            "journal": str(folder / "first"),
            "energy_state": "off",
        }

    def write(self, name: str, *documents: dict[str, Any]) -> None:
        recorder = Recorder.at(self.folder / name, "guard", "")
        with recorder.journal:
            for document in documents:
                recorder.journal.append(recorder.framer.document(EVENT, document))


@contextmanager
def seen(on_segment: Any = lambda change: None) -> Iterator[tuple[Guard, GuardView, Published]]:
    with rig_folder() as folder:
        guard, out = Guard(folder), Published()
        view = GuardView(guard.address, Bus(make_framer(), out), on_segment)
        with Service(guard.address, [Command("status", NoArgs, lambda _: guard.status)]):
            view.start()
            wait_for(lambda: view.status is not None, "the guard's status")
            yield guard, view, out
            view.stop()


def kinds(out: Published) -> list[str]:
    return [from_json(frame.payload)["kind"] for frame in out]


def open_journals(folder: Path) -> list[str]:
    """Segments below `folder` that this process holds open."""
    targets = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return [target for target in targets if target.startswith(str(folder)) and target.endswith(".evj")]


def test_a_guard_that_was_restarted_is_followed_and_its_predecessor_let_go() -> None:
    with seen() as (guard, _, out):
        guard.write("first", {"kind": "one"})
        wait_for(lambda: "one" in kinds(out), "the first guard's event")
        guard.write("second", {"kind": "two"})
        guard.status = guard.status | {"instance": "second", "journal": str(guard.folder / "second")}
        wait_for(lambda: "two" in kinds(out), "the second guard's event")
        wait_for(lambda: len(open_journals(guard.folder)) == 1, "one open segment")


def test_a_segment_that_cannot_be_recorded_does_not_end_the_following() -> None:
    def full(change: dict[str, Any]) -> None:
        raise RecordError("run.json: No space left on device")

    with seen(full) as (guard, view, out):
        guard.write("first", {"kind": "segment"})
        wait_for(lambda: "guard journal" in kinds(out), "an alarm")
        guard.status = guard.status | {"instance": "second", "journal": str(guard.folder / "second")}
        guard.write("second", {"kind": "two"})
        wait_for(lambda: "two" in kinds(out), "the event after the fault")
        assert view.energy_state == "off"


def test_a_status_that_makes_no_sense_is_a_guard_that_does_not_answer() -> None:
    with seen() as (guard, view, out):
        guard.status = {"energy_state": "off"}
        wait_for(lambda: view.status is None, "an unknown guard")
        assert "guard" in kinds(out)
        assert view.energy_state == "unknown"


def test_a_silent_guard_is_an_alarm_until_it_answers_and_no_new_run_makes_it_forgotten() -> None:
    with rig_folder() as folder:
        guard, bus = Guard(folder), Bus(make_framer(), Published())
        view = GuardView(guard.address, bus, lambda change: None)
        service = [Command("status", NoArgs, lambda _: guard.status)]
        with Service(guard.address, service):
            view.start()
            wait_for(lambda: view.status is not None, "the guard's status")
        wait_for(lambda: view.status is None, "its silence to be noticed")
        bus.event("run", "alarm", "of the last run")
        bus.forget_alarms()
        assert list(bus.alarms) == ["guard"]
        assert "by hand" in bus.alarms["guard"]
        with Service(guard.address, service):
            wait_for(lambda: not bus.alarms, "the alarm to end")
            view.stop()
