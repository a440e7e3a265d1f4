"""Matching: how long a fresh process takes to its first hits, and the same source as plain Python."""

import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from support.bench_matching_ours import columns_of, matcher
from support.bench_matching_rounds import interleaved
from support.bench_matching_streams import STREAMS
from support.bench_matching_tables import print_columns
from support.bench_table import Row, print_table
from support.signals import part_of

pytestmark = pytest.mark.bench
WARM_STARTS = 5
PLAIN_WORDS = 6000

START = """
import json, time
begin = time.perf_counter(), time.process_time()
from evapd.matching import Anode, Matcher
imported = time.perf_counter()
layer = {"time_sum_ps": 110000, "mm_per_ns": 0.8}
names = ("x", "y") if kind == "quad" else ("u", "v", "w")
Matcher(Anode.model_validate({"kind": kind, "radius_mm": 40, "dead_time_ps": 10000, "jitter_ps": 100,
                              "layers": {name: layer for name in names}})).warm_up()
print(json.dumps([imported - begin[0], time.perf_counter() - begin[0], time.process_time() - begin[1]]))
"""

PLAIN = """
import json, sys, time
from fractions import Fraction
import numpy as np
from evapd.blocks import TdcBlock
from support.bench_matching_ours import columns_of, matcher
from support.anodes import quad
words = np.load(sys.argv[1])
block = TdcBlock(first_pulse=0, last_pulse=int(words["last"]), bin_ps=Fraction(*words["bin_ps"].tolist()),
                 pulse=words["pulse"], channel=words["channel"], time=words["time"])
run = matcher(block, quad())
begin = time.thread_time_ns()
hits = run()
ns = time.thread_time_ns() - begin
hits = columns_of(hits)
print(json.dumps([ns, len(hits.pulse), [column.tobytes().hex() for column in hits]]))
"""


def python(code: str, *arguments: str, **environment: str) -> list[object]:
    """Run code in a process of its own; give what it printed as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result: list[object] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("kind", ["quad", "hex"])
def test_start_of_the_matching(kind: str, tmp_path: Path) -> None:
    start = partial(python, f"kind = {kind!r}" + START, NUMBA_CACHE_DIR=str(tmp_path))
    cold = start()
    warm = np.array([start() for _ in range(WARM_STARTS)], float)
    print_table(
        f"matching, {kind}: from nothing imported to kernels that ran, a fresh process",
        [
            Row("cold: kernels compiled", f"{cold[1]:.1f} s ({cold[2]:.1f} s of processor time)"),
            Row(
                "warm: kernels from the cache, best (median)",
                f"{warm[:, 1].min():.2f} s ({statistics.median(warm[:, 1]):.2f} s)",
                "< 0.5 s",
            ),
            Row("of it importing", f"{warm[:, 0].min():.2f} s"),
        ],
    )
    assert any(tmp_path.rglob("*.nbi"))


def test_the_same_source_as_plain_python(tmp_path: Path) -> None:
    rows = []
    for name in ("S1b", "S2b", "S3b"):
        stream = STREAMS[name]
        whole = stream.truth.block
        block = part_of(whole, 0, PLAIN_WORDS, 0, int(whole.pulse[PLAIN_WORDS - 1]))
        np.savez(
            tmp_path / name,
            pulse=block.pulse,
            channel=block.channel,
            time=block.time,
            last=block.last_pulse,
            bin_ps=np.array(block.bin_ps.as_integer_ratio()),
        )
        path = os.pathsep.join(sys.path)
        ns, hits, columns = python(
            PLAIN, str(tmp_path / f"{name}.npz"), NUMBA_DISABLE_JIT="1", PYTHONPATH=path
        )
        ours = interleaved({"ours": partial(matcher, block, stream.anode)}, 20)["ours"]
        assert [column.tobytes().hex() for column in columns_of(ours.result)] == columns
        rows.append(
            (
                f"{name}: {stream.title}",
                str(hits),
                f"{ns / hits / 1000:.0f}",
                f"{ours.best_ns / hits / 1000:.3f}",
                f"{ns / ours.best_ns:.0f}",
            )
        )
    print_columns(
        "The same source as plain Python (NUMBA_DISABLE_JIT=1), same bytes",
        ("stream", "hits", "plain Python, us/hit", "compiled, us/hit", "times faster"),
        rows,
    )
