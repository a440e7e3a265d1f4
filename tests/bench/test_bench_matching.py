"""Matching: hits per second of one core, beside the same algorithm in plain C, which must give the same bytes."""

from functools import partial
from typing import Any

import pytest

from evapd.matching.settings import MatchSettings
from support.bench_matching_c import CMatching
from support.bench_matching_ours import (
    columns_of,
    kernels,
    matcher,
    same_bytes,
    starts_alone,
    starts_and_matcher,
)
from support.bench_matching_rounds import interleaved
from support.bench_matching_streams import STREAMS
from support.bench_matching_tables import percent, print_columns

pytestmark = pytest.mark.bench
ROUNDS = 11
GOALS = {"S1b": ("20", "35"), "S2b": ("10", "45")}  # ours in Mhit/s, C in ns per hit


@pytest.fixture(scope="module")
def builds(tmp_path_factory: Any) -> dict[str, CMatching]:
    folder = tmp_path_factory.mktemp("c")
    return {"C -O3": CMatching(folder), "C native": CMatching(folder, "-march=native")}


def test_matching_beside_plain_c(builds: dict[str, CMatching]) -> None:
    rows = []
    for name in ("S1b", "S2b", "S3b", "10 kHz"):
        stream = STREAMS[name]
        block, anode = stream.truth.block, stream.anode
        contenders = {"matcher": partial(matcher, block, anode), "kernels": partial(kernels, block, anode)}
        for build, c in builds.items():
            contenders[build] = partial(c.prepare, block, anode, MatchSettings())
        timed = interleaved(contenders, ROUNDS)
        ours = timed["matcher"].result
        assert all(same_bytes(ours, timing.result) for timing in timed.values())
        hits = len(columns_of(ours).pulse)
        goal, c_goal = GOALS.get(name, ("", ""))
        ns = {build: timing.best_ns / hits for build, timing in timed.items()}
        rows.append(
            (
                f"{name}: {stream.title}",
                f"{block.n / hits:.1f}",
                f"{1e3 / ns['matcher']:.1f}",
                goal,
                f"{ns['matcher']:.1f} ({timed['matcher'].median_ns / hits:.1f})",
                f"{ns['kernels']:.1f}",
                f"{ns['C -O3']:.1f} ({timed['C -O3'].median_ns / hits:.1f})",
                c_goal,
                f"{ns['C native']:.1f}",
                percent(ns["C -O3"] / ns["matcher"], 0),
                percent(ns["C -O3"] / ns["kernels"], 0),
            )
        )
    print_columns(
        "Matching beside plain C, no empty starts, same bytes: ns per hit, best (median)",
        (
            "stream",
            "words/hit",
            "Mhit/s",
            "goal",
            "ours",
            "kernels alone",
            "C -O3",
            "goal",
            "C native",
            "ours of C (goal 60 %)",
            "kernels of C",
        ),
        rows,
    )


def test_matching_with_all_starts_and_hex_anodes() -> None:
    rows = []
    for name in ("S1", "S2", "S3", "1 MHz", "H1b", "H2b"):
        stream = STREAMS[name]
        if stream.starts:
            contenders = {"all": partial(starts_and_matcher, stream), "starts": partial(starts_alone, stream)}
        else:
            contenders = {"all": partial(matcher, stream.truth.block, stream.anode)}
        timed = interleaved(contenders, 5)
        words = len(stream.words.time) if stream.starts else stream.truth.block.n
        hits, ns = len(columns_of(timed["all"].result).pulse), timed["all"].best_ns
        rows.append(
            (
                f"{name}: {stream.title}",
                f"{words / hits:.1f}",
                f"{1e3 * hits / ns:.1f}",
                f"{ns / hits:.0f} ({timed['all'].median_ns / hits:.0f})",
                f"{ns / words:.1f}",
                f"{timed['starts'].best_ns / words:.1f}" if stream.starts else "",
            )
        )
    print_columns(
        "Matching with every start in the stream, and of hex anodes: best (median)",
        ("stream", "words/hit", "Mhit/s", "ns/hit", "ns/word", "of it counting starts"),
        rows,
    )
