"""A whole daemon whose TDC plays words from memory at a rate of choice, with programs that follow its stream."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from evapd.record.journal import JournalReport, read_journal
from evapd.record.run import ACQUIRE_PREFIX, RunStore
from evapd.stream.frame import HITS, WORDS
from evapd_sim.wire.fug_probus import FugProbusWire
from support.daemon import Daemon
from support.rig_files import rig_folder, write_rig
from support.signals import SignalModel
from support.soak_source import BLOCK_PULSES, SCHEME, write_words
from support.wait import wait_for

TESTS = Path(__file__).parents[1]
HITS_PER_BLOCK = 4200.0  # about, of words as `SignalModel` makes them
_SUBSCRIBER = Path(__file__).with_name("soak_subscriber.py")
V_DC_V = 3000.0


class FollowingProcess:
    """`soak_subscriber` in a process of its own; made when the daemon has welcomed it."""

    def __init__(
        self, rig: "SoakRig", topics: str = HITS, *, every_s: float = 0.0, stall_s: float = 0.0
    ) -> None:
        self.topics = topics
        self.process = subprocess.Popen(
            [sys.executable, str(_SUBSCRIBER), str(rig.config), topics, str(every_s), str(stall_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **rig.env["acquire"]},
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "welcome\n"

    def end(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """Let it take what is left; gives what it counted."""
        told, _ = self.process.communicate(timeout=timeout_s)
        return dict(json.loads(told))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def end_all(followers: list[FollowingProcess]) -> list[dict[str, Any]]:
    """Ask all of them at once to end; gives what each counted."""
    for one in followers:
        assert one.process.stdin is not None
        one.process.stdin.close()
        one.process.stdin = None
    return [one.end() for one in followers]


class SoakRig(Daemon):
    """Guard, acquire and, where asked for, the display, on words in memory."""

    @property
    def words(self) -> Path:
        """The file of words."""
        return self.config.parent / "words.npz"

    def pid(self, name: str) -> int:
        """Of one process."""
        return self.processes[name].pid

    def energise(self) -> None:
        """Turn the simulated supply's knob, so that hits have masses."""
        for wire in self.twin.wires.values():
            if isinstance(wire, FugProbusWire):
                wire.front_panel(V_DC_V, output=True)

    def begin(self) -> None:
        """Start a run and wait for hits."""
        wait_for(
            lambda: all(
                one["state"] == "online" for one in (self.status() or {}).get("devices", {}).values()
            ),
            lambda: f"every device\n{self.logs()}",
            30.0,
        )
        self.ask("start")
        self.await_run("running")
        wait_for(
            lambda: (self.status() or {}).get("hits", 0) > 0, lambda: f"hits; {self.status()}\n{self.logs()}", 30.0
        )  # fmt: skip

    def finish(self) -> dict[str, Any]:
        """Stop the run; gives its counters."""
        self.ask("stop", reason="the proof is over")
        status = self.await_run("idle", 300.0)
        return dict(status)

    def metrics(self) -> dict[str, float]:
        """Values of the metrics page, by name with labels."""
        with urllib.request.urlopen(
            f"http://{self.loaded.rig.metrics.address}/metrics", timeout=10.0
        ) as page:
            lines = page.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def store(self) -> RunStore:
        """The newest run."""
        return RunStore(max(self.loaded.layout.runs.iterdir()))


def recorded(store: RunStore) -> tuple[dict[str, int], dict[str, int], JournalReport]:
    """Rows and frames by topic in a run's journal, every checksum tried, and what else was found in it."""
    rows, frames, report = {HITS: 0, WORDS: 0}, {HITS: 0, WORDS: 0}, JournalReport()
    for frame in read_journal(store.journal, ACQUIRE_PREFIX, report=report):
        if frame.topic in rows:
            rows[frame.topic] += frame.header["n"]
            frames[frame.topic] += 1
    return rows, frames, report


@contextmanager
def soak_rig(
    hits_per_s: float, changes: dict[str, Any] | None = None, *names: str, folder: Path | None = None
) -> Iterator[SoakRig]:
    """A daemon that gets about `hits_per_s`; the processes `names` run, guard and acquire by default."""
    rate_hz = hits_per_s * BLOCK_PULSES / HITS_PER_BLOCK
    with rig_folder() as place:
        where = folder or place
        words = place / "words.npz"
        write_words(words, SignalModel(detection=0.05, multi=0.30))
        source = {
            "driver": "words-in-memory",
            "settings": {"connect": f"{SCHEME}{words}", "pulse_rate_hz": rate_hz},
        }
        own = {
            "folder": str(where / "data"),
            "devices": {"trigger": None, "pulse-supply": None, "tdc": source},
            "pulse": {"mode": "laser", "rate_hz": rate_hz, "fraction": 0},
            "control": {"law": "monitor"},
            "end": None,
            "start": None,
            "record": {"finalise": False, "reserve_mb": 2000},
        }
        config = write_rig(place, own | (changes or {}))
        with _installed(place) as path:
            rig = SoakRig(config)
            for name in ("guard", "acquire", "web"):
                rig.env.setdefault(name, {})["PYTHONPATH"] = path
            try:
                rig.start(*(names or ("guard", "acquire")))
                rig.energise()
                yield rig
            finally:
                rig.close()


@contextmanager
def _installed(place: Path) -> Iterator[str]:
    """Offer the source's driver as an installed package would; gives the path on which other processes find it."""
    folder = place / "plugin"
    about = folder / "words_in_memory-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: words-in-memory\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[evapd.drivers]\nwords-in-memory = support.soak_source:WordsInMemory\n"
    )
    sys.path.append(str(folder))
    try:
        yield os.pathsep.join([str(folder), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    finally:
        sys.path.remove(str(folder))
