"""Joining and repairing beside a busy stream: how long a welcome takes, how fast missed frames come back.

The publisher is a process of its own with a journal, as acquire is, and publishes 10 000 hits every 10 ms (1 Mhit/s) while it is asked.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from evapd.stream.frame import HITS
from support.bench_table import Row, print_table

pytestmark = pytest.mark.bench
SOURCE = Path(__file__).parents[1] / "support" / "bench_stream_source.py"
JOINS = 300
ROUNDS = 5


class Busy:
    """The publishing process."""

    def __init__(self, folder: Path, frames: int, ring_bytes: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SOURCE), str(folder), str(frames), str(ring_bytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(SOURCE.parents[1])},
        )  # fmt: skip
        self.told: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.context = zmq.Context()

    def close(self) -> dict[str, Any]:
        self.context.destroy(linger=0)
        told, _ = self._process.communicate("", timeout=60)
        return dict(json.loads(told))


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    made = Busy(tmp_path, frames=6_000, ring_bytes=64_000_000)
    yield made
    if made._process.poll() is None:
        made.close()


def join_ms(busy: Busy, nonce: int) -> tuple[float, float]:
    """Connect and be welcomed; time from the connection's begin, and from the subscription over a standing connection."""
    socket = busy.context.socket(zmq.SUB)
    socket.linger = 0
    begun = time.perf_counter()
    socket.connect(busy.told["stream"])
    socket.subscribe(b"welcome.%08d" % nonce)
    socket.recv_multipart()
    joined = time.perf_counter()
    socket.subscribe(b"welcome.%08d" % (10_000 + nonce))
    socket.recv_multipart()
    again = time.perf_counter()
    socket.close()
    return 1e3 * (joined - begun), 1e3 * (again - joined)


def replayed(busy: Busy, first: int, last: int) -> tuple[float, float, int]:
    """Megabytes per second of a range, milliseconds to its first frame, and the newest number at its end."""
    dealer = busy.context.socket(zmq.DEALER)
    dealer.linger, dealer.rcvhwm, dealer.rcvtimeo = 0, 32, 10_000
    dealer.connect(busy.told["replay"])
    request = {"v": 1, "id": "r", "instance": "bench", "topic": HITS, "first_seq": first, "last_seq": last}
    begun = time.perf_counter()
    dealer.send(json.dumps(request).encode())
    nbytes, first_ms = 0, 0.0
    while (parts := dealer.recv_multipart())[0] != b"replay.":
        first_ms = first_ms or 1e3 * (time.perf_counter() - begun)
        nbytes += len(parts[1]) + len(parts[2])
    took_s = time.perf_counter() - begun
    dealer.close()
    end = json.loads(parts[2])
    assert (end["missing"], end["error"], end["sent"]) == ([], "", last - first + 1)
    return nbytes / took_s / 1e6, first_ms, end["newest"]


def percentiles(values: list[float]) -> str:
    hundred = statistics.quantiles(values, n=100)
    return f"{hundred[49]:.2f}, {hundred[98]:.2f}, {max(values):.2f} ms"


def test_welcome_and_replay_beside_a_busy_stream(busy: Busy) -> None:
    joins = [join_ms(busy, number) for number in range(JOINS)]
    in_journal = [replayed(busy, 1000 * k, 1000 * k + 499) for k in range(ROUNDS)]
    in_ring, newest = [], in_journal[-1][2]
    for _ in range(ROUNDS):
        in_ring.append(replayed(busy, newest - 200, newest - 1))
        newest = in_ring[-1][2]
    told = busy.close()
    print_table(
        f"joining and repairing beside {told['hits_per_s'] / 1e6:.2f} Mhit/s into stream and journal",
        [
            Row("connect, subscribe, welcome: p50, p99, most", percentiles([join for join, _ in joins])),
            Row("welcome on a standing connection: p50, p99, most", percentiles([again for _, again in joins]), "< 5 ms"),
            Row("replay from memory, median", f"{statistics.median(rate for rate, *_ in in_ring):.0f} MB/s"),
            Row("replay from the journal, median", f"{statistics.median(rate for rate, *_ in in_journal):.0f} MB/s"),
            Row("request to first frame from the journal, most", f"{max(first for _, first, _ in in_journal):.1f} ms"),
            Row("dropped by queue, lost by journal", f"{told['dropped']}, {told['lost']}", "0, 0"),
        ],
    )  # fmt: skip
    assert (told["dropped"], told["lost"]) == (0, 0)
