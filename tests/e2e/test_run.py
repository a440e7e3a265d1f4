"""`evapd run` as a person types it: a whole short experiment, from nothing to a finalised run and its report."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import zmq

from evapd.config import load_rig
from evapd.live.arrays import unpacked
from evapd.record.nxs import RunFile
from evapd.record.run import RunStore, list_runs
from support.kernels import NUMBA_CACHE
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for

# A target that is reached low and soon, so that the test sees evaporation without waiting for the demo's whole ramp.
SHORT = {
    "control": {"v_start_v": 2400, "max_slew_up_hunting": 0.03},
    "guard": {"start_ramp_v_per_s": 2000.0},
    "end": {"time_s": 20},
}


def evapd(*words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "evapd", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        **options,
    )


def environment() -> dict[str, str]:
    return {**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)}


LIVE_IPC = {
    "sockets": {"live": "ipc://live.ipc"}
}  # a port that is connected to before it is bound may be lost


class LiveDocuments:
    """What the live socket of a rig publishes, kept until it is asked for."""

    def __init__(self, config: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.subscribe(b"live.")
        self._socket.connect(load_rig(config).rig.sockets.live)

    def newest(self) -> dict[str, Any]:
        """The newest document in which hits are analysed."""
        newest: dict[str, Any] = {}
        while self._socket.poll(0):
            document = json.loads(self._socket.recv()[5:])
            newest = document if document["spectrum"] else newest
        return newest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close(0)
        self._context.term()


def moved(spectrum: dict[str, Any], nexus: Path) -> float:
    """Largest difference between the shares of hits below a mass, in a live spectrum and in the finalised run."""
    live = unpacked(spectrum["run"]).astype(np.int64)
    edges = (np.arange(len(live) + 1) / len(live)) ** 2 * spectrum["max_da"]
    with RunFile(nexus) as run:
        masses = np.concatenate([np.asarray(chunk.mass_to_charge_da) for chunk in run.iter_hits()])
    recorded = np.histogram(masses, edges)[0]
    assert abs(int(live.sum()) - int(recorded.sum())) <= 0.01 * recorded.sum()
    return float(np.abs(np.cumsum(live) / live.sum() - np.cumsum(recorded) / recorded.sum()).max())


def test_a_whole_experiment_runs_ends_by_itself_and_is_finalised() -> None:
    with rig_folder() as folder, LiveDocuments(config := write_rig(folder, SHORT | LIVE_IPC)) as live:
        done = evapd("run", str(config), timeout=280)
        assert done.returncode == 0, done.stdout + done.stderr
        shown = live.newest()["spectrum"]
        places_da = {peak["label"]: peak["mass_da"] for peak in shown["peaks"]}
        assert abs(places_da["27Al+ / 54Fe2+"] - 26.98) < 0.2, "what displays were shown meanwhile"
        assert abs(places_da["56Fe2+"] - 27.97) < 0.2
        (entry,) = list_runs(folder / "data" / "runs")
        assert entry.info is not None
        assert [str(flag) for flag in entry.info.conditions] == ["GOOD"]
        assert entry.info.counters["loss"] == 0
        assert entry.info.counters["hits"] > 1000
        # Live masses are made with the voltage known by then, which a busy machine brings late while it rises.
        assert moved(shown, entry.folder / f"{entry.info.id}.nxs") < 0.1, (
            "part of the hits that live stood elsewhere"
        )
        assert list(entry.folder.glob("*.png")), "the report"
        assert "peaks" in done.stdout


def test_a_replay_gives_back_every_hit_and_says_where_its_input_came_from() -> None:
    with rig_folder() as folder:
        changes = {"twin": {"settings": {"data": "not-there.raw", "generated_hits": 3000, "speed": 0.25}}}
        done = evapd("run", str(write_rig(folder, changes, "replay-tungsten.yaml")), timeout=280)
        assert "matched        3,000" in done.stdout, done.stdout + done.stderr
        assert "unmatched      0" in done.stdout
        assert "extra          0" in done.stdout
        # The generated file turns the knob by 2 V every 150 ms; a reading that a busy machine delays sees two steps at once.
        found = re.search(r"V_dc +largest ([0-9.]+) V", done.stdout)
        assert found is not None
        assert float(found.group(1)) < 4.5
        assert "generated" in done.stdout


def test_ctrl_c_goes_to_safe_closes_the_run_and_exits_0() -> None:
    with rig_folder() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "evapd", "run", str(write_rig(folder, SHORT | {"end": None}))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(), start_new_session=True,
        )  # fmt: skip
        runs = folder / "data" / "runs"
        wait_for(lambda: _state(runs) == "running", "a run under way", 60.0)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=200.0)
        assert process.returncode == 0, out
        assert _state(runs) == "finished"
        assert "Traceback" not in out


def _state(runs: Path) -> str:
    for entry in list_runs(runs):
        if entry.info is not None:
            return entry.info.state
    return ""


def test_a_wrong_configuration_opens_no_port_and_exits_78() -> None:
    with rig_folder() as folder:
        config = write_rig(folder, {"specimen": {"v_dc_max_v": "8 mm"}, "colour": "blue"})
        done = evapd("run", str(config), timeout=60)
        assert done.returncode == 78
        assert "wrong unit 'mm'" in done.stderr
        assert "colour" in done.stderr
        assert not (folder / "data").exists()


@pytest.mark.parametrize(
    "command", [["drivers", "--json"], ["check", "config/sim.yaml", "--json"], ["schema"]]
)
def test_commands_that_report_speak_json(command: list[str]) -> None:
    done = evapd(*command, timeout=60, cwd=Path(__file__).resolve().parents[2])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_without_a_daemon_a_command_says_what_to_do() -> None:
    since_s = time.monotonic()
    done = evapd("status", "--control", "tcp://127.0.0.1:9", timeout=60)
    assert done.returncode == 1
    assert "evapd run" in done.stderr
    assert time.monotonic() - since_s < 30.0


def test_run_record_has_everything_needed_to_repeat_it() -> None:
    with rig_folder() as folder:
        evapd("run", str(write_rig(folder, SHORT | {"end": {"time_s": 3}})), timeout=280)
        (entry,) = list_runs(folder / "data" / "runs")
        info = RunStore(entry.folder).load()
        assert info.configuration["control"]["law"] == "imm"
        assert info.configuration["matching"]["risky"] is False
        assert info.segments[0].settings["risky_methods"] == []
        assert info.configuration_source.startswith("name:")
        assert info.anode["kind"] == "quad"
        assert info.calibration.startswith("quad-")
        assert set(info.devices) == {"specimen-supply", "trigger", "pulse-supply", "vacuum", "cryo", "tdc"}
        assert info.versions["evapd"]
        assert info.segments[0].settings["target_rate"] == 0.01
