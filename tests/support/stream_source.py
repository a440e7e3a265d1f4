"""A publisher as a process of its own, so that its memory can be measured: `python stream_source.py BUDGET_BYTES`.

It prints its addresses as JSON; then it publishes what each line of standard input orders (`hits COUNT ROWS`,
`words COUNT ROWS`, `live COUNT BYTES`, `nothing`), as fast as it is taken, and prints its memory and counters.
"""

import json
import resource
import sys
import time
from pathlib import Path

from evapd.stream.frame import Framer
from evapd.stream.publisher import Publisher
from support.stream_parts import make_hits, make_words

TCP = "tcp://127.0.0.1:*"


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def carry_out(publisher: Publisher, framer: Framer, order: str, count: int, size: int, pace_s: float) -> int:
    """Publish; gives the most memory that was in use meanwhile."""
    most = 0
    hits, words = make_hits(size if order == "hits" else 1), make_words(size if order == "words" else 1)
    for number in range(count):
        if order == "hits":
            publisher.publish(framer.hits(hits))
        elif order == "words":
            publisher.publish(framer.words(words))
        elif order == "live":
            publisher.publish_live(
                {"number": number, "t_mono_us": time.monotonic_ns() // 1000, "x": "x" * size}
            )
        time.sleep(pace_s)
        while publisher.stats().queued_bytes:
            time.sleep(0.001)
        if number % 16 == 0:
            most = max(most, resident_bytes())
    return max(most, resident_bytes())


def main(budget_bytes: int) -> None:
    """Serve the orders until standard input ends."""
    encoded = [0]

    def clock() -> int:
        encoded[0] += 1  # asked once for every header that is made
        return time.monotonic_ns() // 1000

    framer = Framer("source", clock, lambda: time.time_ns() // 1000)
    settings = {"instance": "source", "snapshot": dict, "next_seq": framer.next_seq}
    with Publisher(TCP, TCP, TCP, budget_bytes=budget_bytes, **settings) as publisher:
        addresses = {"stream": publisher.address, "live": publisher.live_address}
        print(json.dumps(addresses | {"replay": publisher.replay_address}), flush=True)
        for line in sys.stdin:
            order, *numbers = line.split()
            count, size, pace_ms = (*map(int, numbers), 0, 0, 0)[:3]
            most = carry_out(publisher, framer, order, count, size, pace_ms / 1e3)
            stats = publisher.stats()
            told = {
                "resident": most,
                "encoded": encoded[0],
                "frames": stats.frames,
                "dropped": publisher.dropped,
            }
            print(json.dumps(told | {"subscribers": stats.subscribers}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
