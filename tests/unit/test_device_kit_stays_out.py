"""The conformance kit is for tests: neither it nor pytest is ever in a process that runs."""

import subprocess
import sys

PROCESSES = """
import sys
from importlib.metadata import entry_points
import evapd.acquire.daemon, evapd.cli, evapd.guard.service, evapd.supervisor
for one in entry_points(group="evapd.drivers"):
    one.load()
print(*sorted(name for name in sys.modules if name.startswith(("pytest", "_pytest", "hypothesis", "evapd.device.conformance"))))
"""


def test_no_process_imports_the_kit_or_pytest():
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""
