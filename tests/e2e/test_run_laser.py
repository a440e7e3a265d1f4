"""A whole run in laser mode as a person types it: the simulated laser heats, the law holds the rate, the file says so."""

import os
import subprocess
import sys

import numpy as np
import pytest

from evapd.record.nxapm import PULSER
from evapd.record.nxs import open_run
from evapd.record.run import list_runs
from support.kernels import NUMBA_CACHE
from support.rig_files import rig_folder, write_rig

# The voltage begins near the threshold, so that seconds are enough to see the law hold the rate.
SHORT = {
    "control": {"v_start_v": 3130},
    "guard": {"start_ramp_v_per_s": 3000.0},
    "end": {"hits": 3000, "time_s": 40},
}


def test_a_run_in_laser_mode_holds_the_rate_and_its_file_has_the_energies() -> None:
    with rig_folder() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "evapd", "run", str(write_rig(folder, SHORT, "laser.yaml"))],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)},
            timeout=280,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (entry,) = list_runs(folder / "data" / "runs")
        assert entry.info is not None
        assert [str(flag) for flag in entry.info.conditions] == ["GOOD"], done.stdout
        assert entry.info.counters["hits"] > 1000
        assert entry.info.devices["laser"]["model"] == "ORIGAMI XP"
        with open_run(entry.folder) as run:
            assert run._file[f"{PULSER}/pulse_mode"].asstr()[()] == "laser"
            assert run._file[f"{PULSER}/source1/pulse_energy"][()] == pytest.approx([20.0])
            measured = run.histories()["pulse_energy"].value
            lit = measured[measured > 1.0]  # the way down, in the dark, may take longer than the run
            assert len(lit) > 10
            assert np.median(lit) == pytest.approx(20.0, rel=0.01)
            hits = run.hits()
            assert (hits.v_p_v == 0.0).all()
            assert hits.mass_to_charge_da is not None
            # Aluminium and the light iron isotope fall together; without a V_p term they stand where they belong.
            near = hits.mass_to_charge_da[np.abs(hits.mass_to_charge_da - 26.98) < 0.3]
            assert len(near) > 200
            assert np.median(near) == pytest.approx(26.98, abs=0.05)
            told = [event["what"] for event in run.events() if event.get("kind") == "rule"]
            assert not [what for what in told if "laser" in what], told
