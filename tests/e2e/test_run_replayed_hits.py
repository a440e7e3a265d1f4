"""A detector that matches in hardware, in a whole daemon: here a `.raw` file whose hits are played by the driver itself."""

import os
import subprocess
import sys

import numpy as np

from evapd.record.journal import read_journal
from evapd.record.run import ACQUIRE_PREFIX, RunStore, list_runs
from evapd.stream.frame import HITS, WORDS
from evapd_sim.raw import write_raw
from evapd_sim.raw_made import make_raw
from support.kernels import NUMBA_CACHE
from support.rig_files import rig_folder, write_rig

RECORDED = 3000
TWIN = {"kind": "atom-probe", "settings": {"data": None, "speed": None, "seed": 1}}


def test_hits_matched_in_hardware_are_recorded_as_they_are_until_the_source_is_exhausted() -> None:
    with rig_folder() as folder:
        raw = make_raw(RECORDED, 1)
        write_raw(folder / "played.raw", raw)
        tdc = {"driver": "replay-hits", "settings": {"connect": f"file:{folder / 'played.raw'}"}}
        config = write_rig(folder, {"devices": {"tdc": tdc}, "twin": TWIN}, "replay-tungsten.yaml")
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)}
        done = subprocess.run(
            [sys.executable, "-m", "evapd", "run", str(config)],
            capture_output=True, text=True, check=False, env=environment, timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        (entry,) = list_runs(folder / "data" / "runs")
        info = RunStore(entry.folder).load()
        assert (info.calibration, info.counters["hits"], info.counters["words"]) == ("hardware", RECORDED, 0)
        assert [str(flag) for flag in info.conditions] == ["GOOD"]
        assert (entry.folder / f"{info.id}.nxs").exists()
        messages = list(read_journal(entry.folder / "journal", ACQUIRE_PREFIX))
        assert not [message for message in messages if message.topic == WORDS]
        blocks = [message.hit_block() for message in messages if message.topic == HITS]
        recorded = np.concatenate([block.tof_ps for block in blocks])
        assert np.array_equal(recorded, np.rint(raw["tof_ns"] * np.float64(1000)).astype(np.int32))
