"""A loop that does nothing, as late as this machine makes it: the yardstick beside the guard's punctuality.

Run as a program: period in s, priority (0: ordinary). It ends when its standard input does and prints the lateness of every
wake-up in us as JSON.
"""

import json
import os
import select
import sys
import time


def main() -> None:
    """Wake up on absolute deadlines until standard input ends."""
    period_ns, priority = round(float(sys.argv[1]) * 1e9), int(sys.argv[2])
    if priority:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    late_us: list[float] = []
    deadline_ns = time.monotonic_ns()
    print("ready", flush=True)
    while True:
        deadline_ns += period_ns
        ended, _, _ = select.select([sys.stdin], [], [], max(0, deadline_ns - time.monotonic_ns()) / 1e9)
        if ended:
            break
        late_us.append((time.monotonic_ns() - deadline_ns) / 1000)
    json.dump(late_us, sys.stdout)


if __name__ == "__main__":
    main()
