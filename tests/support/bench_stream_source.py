"""A busy publisher with a journal: `python bench_stream_source.py FOLDER FRAMES RING_BYTES`.

It journals FRAMES frames of 10 000 hits, of which the ring keeps the newest, tells its addresses, then publishes 100 such
frames a second until standing input ends, and tells what it did.
"""

import json
import sys
import threading
import time
from pathlib import Path

from evapd.acquire.bus import Bus
from evapd.record.journal import JournalWriter
from evapd.record.journal.older import OlderFrames
from evapd.stream.frame import HITS, Framer
from evapd.stream.publisher import Publisher
from support.stream_parts import make_hits

TCP = "tcp://127.0.0.1:*"
HITS_PER_FRAME = 10_000
PERIOD_S = 0.01


def main(folder: Path, frames: int, ring_bytes: int) -> None:
    """Serve until standard input ends."""
    framer = Framer("bench", lambda: time.monotonic_ns() // 1000, lambda: time.time_ns() // 1000)
    older = OlderFrames("bench")
    older.follow(folder, "bench")
    older.start()
    status = {"devices": {f"device-{k}": {"state": "online", "reading": [1.0] * 8} for k in range(20)}}
    publisher = Publisher(
        TCP, TCP, TCP, instance="bench", budget_bytes=ring_bytes, snapshot=lambda: status,
        next_seq=framer.next_seq, older=older,
    )  # fmt: skip
    journal = JournalWriter(
        folder, prefix="bench", segment_bytes=256_000_000, queue_bytes=512_000_000, reserve_bytes=0,
        on_fault=print, clock=time.monotonic,
    )  # fmt: skip
    bus, block = Bus(framer, publisher, older), make_hits(HITS_PER_FRAME)
    bus.open_journal(journal, "bench")
    ending = threading.Event()
    threading.Thread(target=lambda: sys.stdin.read() or ending.set(), daemon=True).start()
    with publisher:
        for _ in range(frames):
            while journal.queued_bytes > 100_000_000 or publisher.stats().queued_bytes > 10_000_000:
                time.sleep(0.001)
            bus.emit(framer.hits(block))
        while journal.queued_bytes:
            time.sleep(0.01)
        print(json.dumps({"stream": publisher.address, "replay": publisher.replay_address}), flush=True)
        begun_s, sent = time.monotonic(), 0
        while not ending.is_set():
            bus.emit(framer.hits(block))
            sent += 1
            time.sleep(max(0.0, begun_s + sent * PERIOD_S - time.monotonic()))
        took_s = time.monotonic() - begun_s
    older.stop()
    journal.close(60.0)
    numbers = {
        "hits_per_s": sent * HITS_PER_FRAME / took_s,
        "dropped": publisher.dropped,
        "lost": journal.lost,
    }
    print(json.dumps(numbers | {"frames": framer.next_seq()[HITS]}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
