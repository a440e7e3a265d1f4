"""Killing a process that records, at a moment that nobody chose, and holding its journals against what is known otherwise."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import zmq

from evapd.record.journal import JournalReport, read_journal, segments
from evapd.record.journal.reader import scan
from evapd.record.recover import is_pending
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunStore
from evapd.record.secondcopy import copy_of
from evapd.stream.frame import EVENT, HITS, STATE, WORDS
from support.faults_machine import Shim
from support.faults_rig import FaultRig, fault_rig
from support.wait import wait_for

_OWN = (HITS, WORDS, EVENT, STATE)  # what acquire frames itself; the rest it passes on for the guard
Key = tuple[str, str, int]  # instance, topic, sequence number


class Ears(threading.Thread):
    """A subscriber that remembers of each frame of a run its number and its count of rows."""

    def __init__(self, address: str) -> None:
        super().__init__(name="ears", daemon=True)
        self.heard: dict[str, dict[Key, int]] = {}  # by run
        self.passed_on: dict[str, set[Key]] = {}  # the guard's, by run, under its own numbers
        self._ending = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm = 0
        self._socket.reconnect_ivl = 20
        self._socket.subscribe(b"")
        self._socket.connect(address)

    def run(self) -> None:
        while not self._ending.is_set():
            if not self._socket.poll(100):
                continue
            parts = self._socket.recv_multipart()
            if len(parts) != 3 or not parts[1]:
                continue
            topic, header = parts[0].decode(), json.loads(parts[1])
            run = header.get("run", "")
            if origin := header.get("origin"):
                key = (origin["instance"], topic, origin["seq"])
                self.passed_on.setdefault(run, set()).add(key)
            elif topic in _OWN:
                self.heard.setdefault(run, {})[header["instance"], topic, header["seq"]] = header["n"]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.join(5.0)
        self._context.destroy(0)


@dataclass
class Sums:
    """What came of the kills of one process.

    Attributes:
        returned: frames whose write had returned, as the C library's side counted them.
        read: frames read back from the same files.
        missing: of those returned, frames that were not read back, or wrongly.
        compared: frames of runs that both journal and subscriber have, count of rows for count of rows.
        unequal: of those, that differ.
        holes: frames that a subscriber got, that lie before the journal's last one and are not in it.
        tail: frames that the subscriber got and that were still on their way to the disk.
        ahead: frames on the disk that were not heard any more.
        torn: segments that ended in a torn frame.
    """

    process: str
    kills: int = 0
    returned: int = 0
    read: int = 0
    missing: int = 0
    compared: int = 0
    unequal: int = 0
    holes: int = 0
    tail: int = 0
    ahead: int = 0
    torn: int = 0

    def cells(self) -> tuple[str, ...]:
        """One row of the table."""
        return tuple(str(value) for value in vars(self).values())

    @staticmethod
    def markdown(sums: list["Sums"]) -> str:
        """The table."""
        head = (
            "killed", "kills", "writes returned (frames)", "read back", "missing", "compared with the subscriber", "unequal",
            "holes", "tail at the subscriber", "ahead on the disk", "torn tails cut",
        )  # fmt: skip
        rows = [head, tuple("---" for _ in head), *(one.cells() for one in sums)]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


class KillScene:
    """A rig under load, a subscriber, and a ledger of what the writes returned."""

    def __init__(self, rig: FaultRig, shim: Shim, ears: Ears) -> None:
        self.rig, self.shim, self.ears = rig, shim, ears

    def kill(self, name: str, chance: random.Random, sums: Sums) -> None:
        """Begin a run, kill at some moment of its life, let the successor recover, and compare."""
        rig = self.rig
        rig.finish_run("the next kill is due")
        rig.await_ready()
        self.shim.forget()
        before = set(self._runs())
        rig.daemon.ask("start")
        phase = chance.random()
        if phase > 0.15:  # else: while it begins
            rig.await_run("running")
            wait_for(
                lambda: rig.twin.plant.specimen.v_v > 2000.0, lambda: f"voltage\n{rig.daemon.logs()}", 30.0
            )
        if phase > 0.85:  # while it ends
            rig.wait(0.3)
            rig.daemon.ask("stop", reason="the last kill of this run comes")
        rig.wait(chance.uniform(0.0, 0.4 if phase > 0.85 else 1.0 if phase <= 0.15 else 2.5))
        rig.daemon.kill(name)
        rig.daemon.reap(name)
        self._compare_writes(sums)
        rig.daemon.spawn(name)
        rig.daemon.await_answer()
        rig.await_run("idle", 90.0)
        sums.kills += 1
        for run in set(self._runs()) - before:
            store = RunStore(rig.daemon.loaded.layout.runs / run)
            wait_for(
                lambda store=store: _settled(store),
                f"recovery and copy\n{rig.daemon.logs()}",
                60.0,
                every_s=0.2,
            )  # type: ignore[misc]
            self._compare_run(store, sums)

    def _runs(self) -> list[str]:
        return [path.name for path in self.rig.daemon.loaded.layout.runs.iterdir()]

    def _compare_writes(self, sums: Sums) -> None:
        ledger = self.shim.ledger()
        layout = self.rig.daemon.loaded.layout
        series = [(layout.guard_journal, GUARD_PREFIX)]
        for run in self._runs():
            store = RunStore(layout.runs / run)
            series += [(store.journal, ACQUIRE_PREFIX), (store.guard_journal, GUARD_PREFIX)]
        for folder, prefix in series:
            for path in segments(folder, prefix):
                # Read first, then asked: a live process goes on writing, so that the file may only hold more.
                if (entry := ledger.get(path.stat().st_ino)) is not None:
                    self._compare_file(path, *entry, sums)

    def _compare_file(self, path: Path, size: int, frames: int, sums: Sums) -> None:
        report = JournalReport()
        read = sum(1 for _ in scan(path, report))
        sums.returned += frames
        sums.read += read
        sums.missing += max(0, frames - read) + (report.bytes < size)
        sums.torn += report.torn_bytes > 0
        assert not report.damaged_bytes, report.problems

    def _compare_run(self, store: RunStore, sums: Sums) -> None:
        journal: dict[Key, int] = {}
        for message in read_journal(store.journal, ACQUIRE_PREFIX):
            journal[message.instance, message.topic, message.seq] = message.header["n"]
        heard = self.ears.heard.pop(store.folder.name, {})
        last: dict[tuple[str, str], int] = {}
        for instance, topic, seq in journal:
            last[instance, topic] = max(seq, last.get((instance, topic), -1))
        for (instance, topic, seq), n in heard.items():
            here = journal.get((instance, topic, seq))
            if here is not None:
                sums.compared += 1
                sums.unequal += here != n
            elif seq <= last.get((instance, topic), -1):
                sums.holes += 1
            else:
                sums.tail += 1
        sums.ahead += len(journal.keys() - heard.keys())
        guard = {(m.instance, m.topic, m.seq) for m in read_journal(store.guard_journal, GUARD_PREFIX)}
        passed_on = self.ears.passed_on.pop(store.folder.name, set())
        sums.compared += len(guard & passed_on)
        sums.holes += len({key for key in passed_on - guard if self._of_run(key, guard)})

    @staticmethod
    def _of_run(key: Key, guard: set[Key]) -> bool:
        """Whether a frame lies between the first and the last that the guard wrote into the run's folder."""
        numbers = [seq for instance, topic, seq in guard if (instance, topic) == key[:2]]
        return bool(numbers) and min(numbers) <= key[2] <= max(numbers)


def _settled(store: RunStore) -> bool:
    """Whether the backlog is done with a run: counted, and its second copy compared."""
    info = store.load()
    copied = info.second_copy is not None and info.second_copy.state == "whole"
    # A run.json that recovery made anew does not know of a copy.
    return info.finished and not is_pending(info) and (copied or copy_of(info) is None)


def _changes(second: str) -> dict[str, Any]:
    return {
        "guard": {"start_ramp_v_per_s": 3000, "ramp_down_v_per_s": 6000},
        "record": {"segment_mb": 1, "second_copy": second},
    }


@contextmanager
def kill_scene() -> Iterator[KillScene]:
    """A rig whose law has hits at once, in segments small enough to be killed between two."""
    shims: list[Shim] = []
    with (
        TemporaryDirectory(prefix="second") as second,
        fault_rig(_changes(second), prepare=lambda daemon: shims.append(Shim(daemon))) as rig,
        Ears(rig.daemon.loaded.rig.sockets.stream) as ears,
    ):
        yield KillScene(rig, shims[0], ears)
