"""What live analysis costs: of a core at 200 k hits/s, per hit, and bytes per document."""

import threading
import time

import numpy as np
import pytest

from evapd.blocks import Anchor, HitBlock
from evapd.stream.jsontext import to_json
from support.bench_live import live_bench_service
from support.bench_table import Row, print_table
from support.flown_hits import flown
from support.live_bench import LiveBench, hit_block

pytestmark = pytest.mark.bench

SECONDS, HITS_PER_S, BLOCKS_PER_S = 10.0, 200_000, 200


def blocks() -> list[HitBlock]:
    """Hits of aluminium and iron at 3 kV, as the matcher gives them every 5 ms."""
    hits, n = flown(50_000), HITS_PER_S // BLOCKS_PER_S
    rows = [slice(begin, begin + n) for begin in range(0, hits.n, n)]
    return [
        hit_block(
            hits.tof_ps[part] * np.sqrt(hits.v_dc_v[part] / 3000.0), hits.x_um[part], hits.y_um[part],
            pulse=np.arange(n), last_pulse=n - 1,
        )
        for part in rows
    ]  # fmt: skip


def test_cost_of_live_analysis() -> None:
    sizes: list[int] = []
    live = live_bench_service(lambda document: sizes.append(len(to_json(document))))
    made, wait = blocks(), threading.Event()
    live.start()
    begun_s = time.monotonic()
    for k in range(round(SECONDS * BLOCKS_PER_S)):
        wait.wait(max(0.0, begun_s + k / BLOCKS_PER_S - time.monotonic()))
        n = HITS_PER_S // BLOCKS_PER_S
        block = made[k % len(made)]
        live.tap.offer(
            HitBlock(
                first_pulse=k * n, last_pulse=(k + 1) * n - 1, pulse=block.pulse, tof_ps=block.tof_ps, x_um=block.x_um,
                y_um=block.y_um, quality=block.quality, multiplicity=block.multiplicity,
                anchor=Anchor((k + 1) * n - 1, time.monotonic_ns() // 1000),
            )
        )  # fmt: skip
    took_s = time.monotonic() - begun_s
    live.stop()
    told = live.last["analysis"]
    print_table(
        f"live analysis at {HITS_PER_S / 1e3:.0f} k hits/s in blocks of 5 ms, {took_s:.0f} s",
        [
            Row("processor time of its thread, encoding included", f"{100 * live.cpu_s / took_s:.2f} % of a core", "< 5 %"),
            Row("per million hits", f"{1e9 * live.cpu_s / told['analysed_hits']:.1f} ms"),
            Row("analysed", f"{100 * told['analysed_hits'] / told['hits']:.1f} % of {told['hits']:,d} hits", "100 %"),
            Row("bytes per document, least, mean, most", f"{min(sizes):,d}, {np.mean(sizes):,.0f}, {max(sizes):,d}", "<= 250,000"),
            Row("counting alone", f"{counting_ns(made):.1f} ns per hit"),
        ],
    )  # fmt: skip
    assert told["analysed_hits"] == told["hits"]
    assert max(sizes) <= 250_000


def counting_ns(made: list[HitBlock]) -> float:
    """Nanoseconds per hit of taking blocks, without documents."""
    bench = LiveBench()
    bench.read(3000.0, 600.0)
    for block in made:
        bench.tap.offer(block)
    batch, best = bench.tap.take(), np.inf
    for _ in range(20):
        begun_s = time.perf_counter()
        bench.analysis.take(batch)
        best = min(best, (time.perf_counter() - begun_s) / sum(block.n for block in batch.blocks))
    return 1e9 * best
