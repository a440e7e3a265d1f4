"""Matching: what the size of a block costs, beside plain C called as often."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from evapd.blocks import TdcBlock
from evapd.matching import Anode, Matcher
from evapd.matching.settings import MatchSettings
from support.bench_matching_c import CMatching
from support.bench_matching_rounds import interleaved
from support.bench_matching_streams import STREAMS, blocks_of
from support.bench_matching_tables import print_columns
from support.signals import part_of

pytestmark = pytest.mark.bench
SIZES = (64, 512, 4096, 32_768, 1_000_000)
MOST_WORDS = 1_200_000  # per round, in as many blocks as that makes, but
MOST_BLOCKS = 3000


def matched_in_blocks(blocks: list[TdcBlock], anode: Anode) -> Callable[[], int]:
    ours = Matcher(anode)
    ours.match(part_of(blocks[0], 0, 0, blocks[0].first_pulse, blocks[0].first_pulse - 1))
    return lambda: sum(ours.match(block).n for block in blocks) + ours.flush().n


def c_in_blocks(c: CMatching, blocks: list[TdcBlock], anode: Anode) -> Callable[[], int]:
    calls = [c.prepare(block, anode, MatchSettings()) for block in blocks]
    return lambda: sum(len(call().pulse) for call in calls)


def test_matching_by_block_size(tmp_path: Path) -> None:
    rows = []
    c = CMatching(tmp_path)
    for name in ("S1b", "S2b"):
        stream = STREAMS[name]
        anode, whole = stream.anode, stream.truth.block
        for size in SIZES:
            words = min(whole.n, MOST_WORDS, MOST_BLOCKS * size)
            blocks = blocks_of(part_of(whole, 0, words, 0, int(whole.pulse[words - 1])), size)
            timed = interleaved(
                {
                    "ours": partial(matched_in_blocks, blocks, anode),
                    "C": partial(c_in_blocks, c, blocks, anode),
                },
                5,
            )
            assert timed["ours"].result == timed["C"].result
            ns, c_ns = timed["ours"].best_ns, timed["C"].best_ns
            rows.append(
                (
                    name,
                    f"{words / len(blocks):.0f}",
                    f"{ns / timed['ours'].result:.0f}",
                    f"{ns / len(blocks) / 1000:.1f}",
                    "< 20" if size == SIZES[0] else "",
                    f"{c_ns / timed['C'].result:.0f}",
                    f"{c_ns / len(blocks) / 1000:.1f}",
                )
            )
    print_columns(
        "Matching by block size, best of interleaved rounds",
        ("stream", "words per block", "ns/hit", "us/block", "goal", "C, ns/hit", "C, us/block"),
        rows,
    )
