"""A laser that only the trigger generator gates, as any laser without a driver: its light comes and goes with the generator's pulses."""

import os
import subprocess
import sys

from evapd.record.run import list_runs
from support.kernels import NUMBA_CACHE
from support.rig_files import free_ports, rig_folder, write_rig


def other_instruments() -> dict:
    """The laser has no protocol; trigger, gauges and thermometer are by other makers than the demo's."""
    trigger, thermometer = free_ports(2)
    return {
        "laser": None,
        "trigger": {
            "driver": "bnc-577",
            "settings": {"connect": f"tcp:127.0.0.1:{trigger}", "rate_max_hz": "250 kHz"},
        },
        "vacuum": {"driver": "edwards-tic"},
        "cryo": {
            "driver": "cryocon-24c",
            "settings": {"connect": f"tcp:127.0.0.1:{thermometer}", "sensors": {"stage": "A", "tip": "B"}},
        },
    }


def test_a_laser_gated_by_the_trigger_generator_alone_gives_a_good_run() -> None:
    with rig_folder() as folder:
        changes = {
            "devices": other_instruments(),
            "control": {"v_start_v": 3130},
            "guard": {"start_ramp_v_per_s": 3000.0},
            "end": {"hits": 1500, "time_s": 40},
        }
        done = subprocess.run(
            [sys.executable, "-m", "evapd", "run", str(write_rig(folder, changes, "laser.yaml"))],
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
        devices = entry.info.devices
        assert [devices[name]["model"] for name in ("trigger", "vacuum", "cryo")] == [
            "577-4",
            "TIC200",
            "24C",
        ]
        assert "laser" not in devices
