"""Compiled kernels for tests: one cache for all processes, filled before a test with a deadline needs it."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

NUMBA_CACHE = Path(__file__).resolve().parents[2] / ".pytest_cache" / "numba"
_WARM_UP = """
from evapd.acquire.live import make_analysis
from evapd.config import load_rig
from evapd.live.voltages import Voltages
from evapd.matching import Anode, Matcher
Matcher(Anode.load("config/anode-dld80.yaml")).warm_up()
make_analysis(load_rig("config/sim.yaml"), Voltages(), Voltages()).warm_up()
"""


@cache
def warm_kernels() -> None:
    """Compile the kernels of a quad anode, as a daemon does at its first start: half a minute, or half a second."""
    subprocess.run(
        [sys.executable, "-c", _WARM_UP],
        check=True,
        cwd=NUMBA_CACHE.parents[1],
        env={**os.environ, "NUMBA_CACHE_DIR": str(NUMBA_CACHE)},
    )
