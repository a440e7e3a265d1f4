"""Nothing leaks: threads and file descriptors of this process, counted."""

import os
import threading
import time

from evapd.device.conformance.bench import Bench, eventually, outcome
from evapd.device.conformance.cable import Fault
from evapd.device.conformance.check import check

_ROUNDS = 5
_SETTLES_S = 0.3  # a simulated instrument closes its end by itself, a moment later


def open_files() -> int:
    """How many file descriptors are open; counting opens one of its own, every time."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, no paths


def threads() -> int:
    """How many threads run."""
    return threading.active_count()


@check(safety=True)
def nothing_leaks(bench: Bench) -> None:
    """Opening and closing, also where open fails, leaves no thread and no file descriptor behind."""
    driver = bench.driver()
    first = open_files()
    driver.open()
    driver.close()
    # What a library keeps for the whole process, once, is no leak.
    deadline_s = time.monotonic() + _SETTLES_S
    while open_files() > first and time.monotonic() < deadline_s:
        time.sleep(0.002)
    files, running = open_files(), threads()
    for fault in (Fault.NONE, Fault.SILENT, Fault.GARBAGE):
        bench.cable.fault = fault
        for _ in range(_ROUNDS):
            outcome(driver.open, "open")
            if fault is Fault.NONE:
                outcome(driver.open, "open when it is open already")
                driver.close()
    # No close here: what failed to open must have cleared up by itself.
    eventually(
        lambda: open_files() <= files and threads() <= running,
        f"{files} file descriptors and {running} threads again after {3 * _ROUNDS} opens, the last of which failed: "
        "a failed open must close what it opened",
    )
