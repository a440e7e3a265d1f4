"""Single ions out of words: what counts as one, and that memory and blocks do not matter."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import TdcBlock
from evapd.calibration import lone_signals
from evapd.calibration.collect import collect, kind_of
from evapd.calibration.signals import PulseTable
from evapd.calibration.single import pick_consistent
from evapd.calibration.spread import Spread
from evapd.errors import StateError, StreamError
from support.anodes import hexanode, quad
from support.blocks import words
from support.calibrations import stream
from support.signals import Ion, ideal_block, part_of

ALL_FIVE = [(7, channel, 100 + channel) for channel in range(5)]


def test_a_pulse_with_one_word_on_every_channel_is_lone() -> None:
    assert lone_signals(words(0, 9, ALL_FIVE), 5).tolist() == [[2500, 2525, 2550, 2575, 2600]]


@pytest.mark.parametrize("extra", [(7, 3, 900), (7, 0, 900)])
def test_a_pulse_with_a_second_word_on_a_channel_is_not_lone(extra: tuple[int, int, int]) -> None:
    assert len(lone_signals(words(0, 9, [*ALL_FIVE, extra]), 5)) == 0


def test_a_pulse_without_a_word_on_one_channel_is_not_lone() -> None:
    assert len(lone_signals(words(0, 9, ALL_FIVE[:-1]), 5)) == 0


def test_words_on_channels_that_the_anode_has_not_are_ignored() -> None:
    assert len(lone_signals(words(0, 9, [*ALL_FIVE, (7, 200, 5)]), 5)) == 1


def test_an_empty_block_has_no_lone_pulses() -> None:
    assert lone_signals(words(0, 9), 5).shape == (0, 5)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(-50, 50)), max_size=60))
def test_any_words_whatsoever_give_lone_pulses_that_are_in_them(rows: list[tuple[int, int, int]]) -> None:
    table = PulseTable(words(0, 9, rows), 5)
    present = {(channel, time) for _, channel, time in rows}
    for row in table.lone():
        assert {(channel, int(time)) for channel, time in enumerate(row)} <= present
    crowded = table.crowded()
    assert np.isfinite(crowded[:, :, 0]).all()
    assert table.gaps()[1].min(initial=0) >= 0


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 50))
def test_rows_are_kept_evenly_whatever_the_blocks_were(sizes: list[int], most: int) -> None:
    rows = np.arange(sum(sizes))[:, None]
    spread, at = Spread(most), 0
    for size in sizes:
        spread.add(rows[at : at + size])
        at += size
    kept = spread.rows().reshape(-1)
    assert len(kept) <= most
    assert (np.diff(kept) == round(1 / spread.share)).all()
    assert len(kept) * 2 + 2 > min(len(rows), most)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400))
def test_the_sample_does_not_depend_on_the_blocks(size: int) -> None:
    block = stream(quad(), 300).block
    parts = [
        part_of(
            block,
            a,
            min(a + size, block.n),
            int(block.pulse[a]),
            int(block.pulse[min(a + size, block.n) - 1]),
        )
        for a in range(0, block.n, size)
    ]
    whole, cut = collect([block]), collect(parts)
    assert np.array_equal(whole.lone, cut.lone)
    assert np.array_equal(whole.crowded, cut.crowded, equal_nan=True)
    assert np.array_equal(whole.gaps, cut.gaps)


def test_quad_and_hex_are_told_from_the_channels_that_have_words() -> None:
    assert collect([stream(quad(), 500).block]).kind == "quad"
    assert collect([stream(hexanode(), 500).block]).kind == "hex"
    assert kind_of(np.bincount([0, 1, 2, 3, 4], minlength=256)) == "quad"


def test_a_silent_channel_is_named() -> None:
    block = stream(quad(), 500).block
    with pytest.raises(StateError, match=r"channel 3 \(y1\) has no words"):
        collect([_without(block, 3)])


def test_words_of_a_hex_anode_are_not_calibrated_as_quad() -> None:
    with pytest.raises(StateError, match="signals of a hex anode"):
        collect([stream(hexanode(), 500).block], "quad")


def test_no_words_at_all_is_said() -> None:
    with pytest.raises(StateError, match="no words"):
        collect([words(0, 9)])
    with pytest.raises(StateError, match="no words"):
        collect([])


def test_a_bin_width_that_changes_is_refused() -> None:
    other = TdcBlock(
        first_pulse=10,
        last_pulse=19,
        bin_ps=Fraction(13),
        pulse=np.zeros(0, np.uint64),
        channel=np.zeros(0, np.uint8),
        time=np.zeros(0, np.int32),
    )
    with pytest.raises(StreamError, match="bin width changes"):
        collect([words(0, 9, ALL_FIVE), other])


def test_two_ions_of_one_pulse_are_both_picked_out() -> None:
    block = ideal_block([Ion(3, 400_000, 10, 5), Ion(3, 900_000, -20, 8)], 10)
    crowded = PulseTable(block, 5).crowded() * float(block.bin_ps)
    picked = pick_consistent(crowded, (110_000.0, 112_000.0), 1_000.0)
    assert sorted(np.round(picked[:, 0], -3).tolist()) == [400_000, 900_000]


def _without(block: TdcBlock, channel: int) -> TdcBlock:
    kept = block.channel != channel
    return TdcBlock(
        first_pulse=block.first_pulse,
        last_pulse=block.last_pulse,
        bin_ps=block.bin_ps,
        pulse=block.pulse[kept],
        channel=block.channel[kept],
        time=block.time[kept],
    )
