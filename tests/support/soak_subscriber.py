"""A program that follows the stream by the shipped client until its input is closed, then tells what it got, as JSON.

`python soak_subscriber.py RIG TOPICS EVERY_S STALL_S`: topics divided by commas; where `EVERY_S` is not 0 it reads nothing
for `STALL_S` so often. Ages are from the making of a frame to its being decoded here; stalls are left out of them.
"""

import json
import select
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from evapd.client import Client

SILENCE_S = 2.5  # longer than the daemon's beat, which tells of a tail that is missing


def main(rig: str, topics: str, every_s: float, stall_s: float) -> None:
    """Receive until standard input ends and what was made before has come."""
    rows: Counter[str] = Counter()
    ages_s: list[float] = []
    asked_us: int | None = None
    stalls = 0
    with Client.from_rig(Path(rig)) as evapd, evapd.messages(topics.split(",")) as feed:
        print("welcome", flush=True)
        next_stall_s = time.monotonic() + (every_s or float("inf"))
        caught_up_us = 0
        while True:
            message = feed.receive(SILENCE_S)
            now_us = time.monotonic_ns() // 1000
            if asked_us is None and select.select([sys.stdin], [], [], 0)[0]:
                asked_us = now_us
            if asked_us is not None and (message is None or message.header["t_mono_us"] > asked_us):
                break
            if message is not None:
                rows[message.topic] += message.header["n"]
                if message.header["t_mono_us"] > caught_up_us:
                    ages_s.append((now_us - message.header["t_mono_us"]) / 1e6)
            if now_us > 1e6 * next_stall_s and asked_us is None:
                time.sleep(stall_s)
                stalls += 1
                next_stall_s = time.monotonic() + every_s
                caught_up_us = time.monotonic_ns() // 1000
        counts = feed.counts
    ages = np.array(ages_s) if ages_s else np.full(1, np.nan)
    told = {
        "rows": rows,
        "frames": counts.received,
        "lost": sum(counts.lost.values()),
        "recovered": sum(counts.recovered.values()),
        "garbage": counts.garbage,
        "restarts": counts.restarts,
        "stalls": stalls,
        "notices": [notice.text for notice in feed.notices()][-5:],
        "age_ms": [round(1e3 * float(age), 2) for age in (*np.quantile(ages, [0.5, 0.99]), ages.max())],
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3], float(sys.argv[3]), float(sys.argv[4]))
