"""Memory that is free between things that stay goes back to the system; a process of its own shows it undisturbed."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
SHOWN = """
from evapd.acquire.handback import HandBack
from support.bench_processes import rss_mb
from support.wait import wait_for
import os
kept, gone = [], []
for _ in range(1000):
    gone.append(bytearray(b"1" * 100_000))
    kept.append(bytearray(b"1" * 2_000))
gone.clear()
held = rss_mb(os.getpid())
back = HandBack(every_s=0.05)
back.start()
wait_for(lambda: rss_mb(os.getpid()) < held - 50.0, lambda: f"{rss_mb(os.getpid())} of {held} MB", 30.0)
back.stop()
print("given back", len(kept))
"""


def test_what_lies_free_between_things_that_stay_is_given_back() -> None:
    told = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, timeout=120, check=False, cwd=TESTS)  # fmt: skip
    assert told.stdout == "given back 1000\n", told.stderr
