"""Real-time priority of the guard's process, tried in a process of its own."""

import subprocess
import sys

LIFT = """
import os, threading
from evapd.guard.realtime import ask_for_realtime, lift_threads
done = threading.Event()
early = threading.Thread(target=done.wait)
early.start()
refused = ask_for_realtime(10)
lift_threads(10)
policies = {os.sched_getscheduler(0), os.sched_getscheduler(early.native_id)}
done.set()
print("refused" if refused else "granted", "fifo" if policies == {os.SCHED_FIFO} else policies)
"""


def test_threads_that_ran_before_are_lifted_too_where_that_is_granted() -> None:
    told = subprocess.run([sys.executable, "-c", LIFT], capture_output=True, text=True, check=True)
    assert told.stdout.split()[0] == "refused" or told.stdout == "granted fifo\n"
