"""What the recorder reaches on this machine; run by `make bench`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evapd.blocks import HitBlock
from evapd.record.journal import JournalWriter, read_journal, segments
from evapd.record.run import RunStore, new_run_folder
from evapd.stream.frame import Framer
from support.recorded_runs import BLOCK_S, RATE_HZ, T_UTC, Recorder, blocks, info_of, record_guard

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


def recorded(runs: Path, hits: int, per_block: int) -> RunStore:
    """A run of about so many hits in blocks of 50 ms, made piece by piece, so that it may be larger than the memory."""
    folder = new_run_folder(runs, f"bench-{hits}", T_UTC)
    store, rate = RunStore(folder), per_block / (RATE_HZ * BLOCK_S)
    store.create(info_of(folder, state="finished"))
    seconds = hits / per_block * BLOCK_S
    record_guard(store, seconds)
    acquire = Recorder.at(store.journal, "acquire", folder.name, segment_bytes=256_000_000)
    for block in blocks(seconds, rate):
        acquire.now_us[0] = block.anchor.t_mono_us + 2000
        acquire.journal.append(acquire.framer.hits(block))
    acquire.journal.close(120.0)
    assert acquire.journal.lost == 0
    return store


def finalised(store: RunStore) -> tuple[dict[str, Any], float, float]:
    """Finalise in a process of its own: what it told last, wall-clock seconds with its start, MB of memory at most."""
    code = (
        "import sys, resource; from evapd.record.finalise import main; code = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "--json", store.folder], capture_output=True, text=True, check=True
    )
    took = time.perf_counter() - begun
    *_, result, peak_kb = done.stdout.splitlines()
    return json.loads(result), took, int(peak_kb) / 1024


# EVAPD_HITS=1e8 measures that many instead, in blocks of 500 or of EVAPD_PER_BLOCK.
LARGE = os.environ.get("EVAPD_HITS")
RUNS = (
    [(float(LARGE), int(os.environ.get("EVAPD_PER_BLOCK", "500")))]
    if LARGE
    else [(1e6, 500), (1e7, 500), (2e6, 100), (1e7, 10_000)]
)


@pytest.mark.parametrize(("hits", "per_block"), RUNS)
def test_finalising(tmp_path: Path, hits: float, per_block: int) -> None:
    store = recorded(tmp_path, int(hits), per_block)
    told, took, peak_mb = finalised(store)
    assert told["hits"] == pytest.approx(hits, rel=0.01)
    print(
        f"\nfinalise {told['hits'] / 1e6:.1f} Mhit in blocks of {per_block}: {told['hits'] / took / 1e6:.2f} Mhit/s "
        f"({took:.1f} s with the start of its process), peak memory {peak_mb:.0f} MB, "
        f"{told['bytes_per_hit']:.2f} bytes per hit measured, "
        f"{told['bytes'] / told['hits']:.2f} with everything (goal 14)"
    )
