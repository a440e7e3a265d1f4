"""Blocks are cut at pulses into parts of bounded size, which joined again are the block."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.blocks import Anchor, HitBlock, Loss, TdcBlock, join_hits, join_words, split


def words(offsets: list[int], first: int, empty_after: int, inhibited: int) -> TdcBlock:
    pulse = first + np.cumsum(offsets, dtype=np.int64)
    last = int(pulse[-1]) + empty_after if len(pulse) else first + empty_after
    at = np.arange(len(pulse))
    return TdcBlock(
        first_pulse=first, last_pulse=last, bin_ps=Fraction(1), pulse=pulse.astype("<u8"), channel=(at % 5).astype("u1"),
        time=at.astype("<i4"), anchor=Anchor(last + 1, 7), loss=Loss.OVERFLOW, inhibited_pulses=min(inhibited, last - first + 1),
    )  # fmt: skip


def hits(block: TdcBlock) -> HitBlock:
    column = block.time.astype("<i4")
    return HitBlock(
        first_pulse=block.first_pulse, last_pulse=block.last_pulse, pulse=(block.pulse - np.uint64(block.first_pulse)).astype("<u4"),
        tof_ps=column, x_um=column.copy(), y_um=column.copy(), quality=block.channel.copy(), multiplicity=block.channel.copy(),
        anchor=block.anchor, loss=block.loss, inhibited_pulses=block.inhibited_pulses, calibration="c",
    )  # fmt: skip


BLOCKS = st.builds(
    words,
    st.lists(st.integers(0, 3), max_size=60),
    st.integers(0, 2**40),
    st.integers(0, 5),
    st.integers(0, 50),
)


@given(block=BLOCKS, most=st.integers(1, 20), of_hits=st.booleans())
def test_parts_joined_are_the_block_and_none_is_too_large(block, most, of_hits):
    whole = hits(block) if of_hits else block
    parts = split(whole, most)
    again = join_hits(parts) if of_hits else join_words(parts)
    for name in (
        "first_pulse",
        "last_pulse",
        "anchor",
        "loss",
        "inhibited_pulses",
    ):
        assert getattr(again, name) == getattr(whole, name)
    for name in ("tof_ps", "pulse") if of_hits else ("time", "channel", "pulse"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    for part in parts:
        assert part.n <= most or len(set(part.pulse.tolist())) == 1
        assert 0 <= part.inhibited_pulses <= part.pulses
        first = 0 if of_hits else part.first_pulse
        assert part.n == 0 or first <= part.pulse[0] <= part.pulse[-1] <= first + part.pulses - 1
    assert all(b.first_pulse == a.last_pulse + 1 for a, b in pairwise(parts))


@pytest.mark.parametrize("n", [0, 5])
def test_a_block_that_is_small_enough_is_itself(n):
    block = words([1] * n, 3, 2, 0)
    assert split(block, 5) == [block]
