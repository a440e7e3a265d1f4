"""What the recorder reaches on this machine; run by `make bench`."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from evapd.blocks import HitBlock
from evapd.record.journal import JournalWriter, read_journal, segments
from evapd.stream.frame import Framer
from support.recorded_runs import record_run

pytestmark = pytest.mark.bench


def block_of(hits: int) -> HitBlock:
    rng = np.random.default_rng(1)
    return HitBlock(
        first_pulse=0,
        last_pulse=200_000,
        pulse=np.sort(rng.integers(0, 200_000, hits)).astype(np.uint32),
        tof_ps=rng.integers(0, 5_000_000, hits).astype(np.int32),
        x_um=rng.integers(-40_000, 40_000, hits).astype(np.int32),
        y_um=rng.integers(-40_000, 40_000, hits).astype(np.int32),
        quality=np.zeros(hits, dtype=np.uint8),
        multiplicity=np.ones(hits, dtype=np.uint8),
    )


def test_journal_throughput(tmp_path: Path) -> None:
    framer, block = Framer("bench", lambda: 1, lambda: 2), block_of(10_000)
    writer = JournalWriter(
        tmp_path,
        prefix="bench",
        segment_bytes=256_000_000,
        queue_bytes=64_000_000,
        reserve_bytes=0,
        on_fault=lambda what: None,
        clock=time.monotonic,
    )
    begun, slowest = time.perf_counter(), 0.0
    for _ in range(2000):
        frame = framer.hits(block)
        asked = time.perf_counter()
        while not writer.append(frame):
            time.sleep(0.001)
        slowest = max(slowest, time.perf_counter() - asked)
    writer.close(60.0)
    seconds = time.perf_counter() - begun
    assert writer.synced.frames == 2000
    print(
        f"\njournal: {20 / seconds:.1f} Mhit/s written and synced, {writer.synced.bytes / seconds / 1e6:.0f} MB/s"
    )

    begun = time.perf_counter()
    frames = sum(1 for _ in read_journal(tmp_path))
    size = sum(path.stat().st_size for path in segments(tmp_path))
    print(
        f"journal: read and checked at {size / (time.perf_counter() - begun) / 1e6:.0f} MB/s, {frames} frames"
    )


def test_appending_never_waits(tmp_path: Path) -> None:
    framer, block = Framer("bench", lambda: 1, lambda: 2), block_of(10_000)
    writer = JournalWriter(
        tmp_path,
        prefix="bench",
        segment_bytes=256_000_000,
        queue_bytes=16_000_000,
        reserve_bytes=0,
        on_fault=lambda what: None,
        clock=time.monotonic,
    )
    frames = [framer.hits(block) for _ in range(500)]
    took = []
    for frame in frames:
        begun = time.perf_counter()
        writer.append(frame)
        took.append(time.perf_counter() - begun)
    writer.close(60.0)
    print(
        f"\nappend: median {np.median(took) * 1e6:.0f} us, slowest {max(took) * 1e3:.2f} ms, refused {writer.lost}"
    )


@pytest.mark.parametrize("seconds", [50, 200])
def test_finalising(tmp_path: Path, seconds: int) -> None:
    store, made = record_run(tmp_path, float(seconds), rate=0.05)
    hits = sum(block.n for block in made)
    begun = time.perf_counter()
    code = (
        "import sys, resource; from evapd.record.finalise import main; code = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--json", store.folder], capture_output=True, text=True, check=True
    )
    took = time.perf_counter() - begun
    *_, result, peak_kb = done.stdout.splitlines()
    told = json.loads(result)
    assert told["hits"] == hits
    print(
        f"\nfinalise {hits / 1e6:.1f} Mhit: {hits / took / 1e6:.2f} Mhit/s, peak memory {int(peak_kb) / 1024:.0f} MB, "
        f"{told['bytes_per_hit']:.2f} bytes per hit measured, {told['bytes'] / hits:.2f} with everything (goal 14)"
    )
