"""A subscriber as a program of its own: takes frames until its input is closed, then tells what it got, as JSON.

`python bench_subscriber.py STREAM REPLAY TOPICS PULSE_RATE_HZ`, topics divided by commas; with a pulse rate above 0 it
also tells how old the oldest hit of each frame was when the frame had been decoded here.
"""

import json
import select
import sys
import time
from collections import Counter

import numpy as np

from evapd.stream.frame import HITS, Message
from evapd.stream.subscriber import Subscriber

WELCOME_S = 10.0
SILENCE_S = 0.5


def oldest_hit_s(message: Message, pulse_rate_hz: float, now_us: int) -> float:
    """Time since the pulse of the frame's first hit; the anchor is the instant at which the TDC's frame was received."""
    pulse = message.header["first_pulse"] + int(message.columns["pulse"][0])
    anchor_pulse, anchor_us = message.header["anchor"]
    return (now_us - anchor_us) / 1e6 + (anchor_pulse - pulse) / pulse_rate_hz


def main(stream: str, replay: str, topics: str, pulse_rate_hz: float) -> None:
    """Receive until standard input ends and nothing more comes."""
    rows: Counter[str] = Counter()
    ages_s: list[float] = []
    asked_us: int | None = None  # when the end was asked for
    with Subscriber(stream, replay, topics.split(",")) as subscriber:
        print("welcome" if subscriber.await_welcome(WELCOME_S) else "no welcome", flush=True)
        while True:
            message = subscriber.receive(SILENCE_S)
            now_us = time.monotonic_ns() // 1000
            if asked_us is None and select.select([sys.stdin], [], [], 0)[0]:
                asked_us = now_us
            # What was made before the end was asked for is still taken.
            if asked_us is not None and (message is None or message.header["t_mono_us"] > asked_us):
                break
            if message is None:
                continue
            rows[message.topic] += message.header["n"]
            if message.topic == HITS and pulse_rate_hz and message.header["n"]:
                ages_s.append(oldest_hit_s(message, pulse_rate_hz, now_us))
        counts = subscriber.counts
    told = {
        "rows": rows,
        "frames": counts.received,
        "lost": sum(counts.lost.values()),
        "recovered": sum(counts.recovered.values()),
        "ages_s": [float(age) for age in np.sort(ages_s)],
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4], float(sys.argv[4]))
