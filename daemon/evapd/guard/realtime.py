"""What keeps a loop on time: a real-time priority where it is granted, a garbage collector that waits, and a record of lateness."""

import gc
import os
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

LOOP_PRIORITY = 20
# Workers and journal too: a thread of normal priority that is put aside while it holds the interpreter's lock would
# hold up the loop, however high the loop's own priority. They wait for instruments nearly all the time.
WORKER_PRIORITY = 10
_SWITCH_S = 0.0005  # a thread that computes gives the interpreter's lock to the loop within this time
_SAMPLES = 4096


def ask_for_realtime(priority: int) -> str:
    """Put the calling thread, and those it starts from now on, under SCHED_FIFO. Gives "" or why it was refused."""
    sys.setswitchinterval(_SWITCH_S)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        return f"{error.strerror}: set LimitRTPRIO={LOOP_PRIORITY} in the unit, or rtprio in limits.conf"
    return ""


def lift_threads(priority: int) -> None:
    """Put the threads that run already (log, libraries) under SCHED_FIFO too, as far as that is granted.

    One of them at normal priority that holds the interpreter's lock while a busy process takes its core keeps the
    loop waiting for that process' slice: measured 3 to 25 ms, some times in a minute.
    """
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has just ended, or the priority is refused as it will be to the loop
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))


def quiet_collector() -> None:
    """Take what exists out of the collector's sight and stop automatic collections; `collect` does them."""
    gc.collect()
    gc.freeze()
    gc.disable()


def collect(*, idle: bool) -> None:
    """Collect young objects, which takes microseconds; everything when nothing is under way."""
    gc.collect(2 if idle else 0)


class Lateness:
    """How late the loop woke up, in microseconds; the newest few thousand ticks."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=_SAMPLES)
        self.max_us = 0.0
        self.skipped = 0  # ticks that were left out because an earlier one took too long

    def note(self, lateness_us: float) -> None:
        """Take in one tick."""
        self._newest.append(lateness_us)
        self.max_us = max(self.max_us, lateness_us)

    def document(self) -> dict[str, float]:
        """Give p50 and p99 of the newest ticks, and the largest since the start."""
        ordered = sorted(self._newest)
        if not ordered:
            return {"p50": 0.0, "p99": 0.0, "max": 0.0, "skipped": self.skipped}
        return {
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
            "max": self.max_us,
            "skipped": self.skipped,
        }
