"""Blocks of words and hits."""

import pytest

from evapd.blocks import Loss, join_hits, join_words
from support.blocks import hits, words


def test_arrays_of_a_block_cannot_be_written() -> None:
    block = hits(0, 9, [(1, 1000)])
    with pytest.raises(ValueError, match="read-only"):
        block.tof_ps[0] = 5


def test_empty_pulses_count() -> None:
    assert words(100, 199).pulses == 100
    assert words(100, 99).pulses == 0


def test_joined_hits_keep_their_absolute_pulses() -> None:
    joined = join_hits([hits(10, 19, [(3, 1)]), hits(20, 39, [(0, 2), (19, 3)])])
    assert (joined.pulse + joined.first_pulse).tolist() == [13, 20, 39]
    assert (joined.first_pulse, joined.last_pulse, joined.n) == (10, 39, 3)


def test_joined_blocks_carry_every_loss_and_the_last_anchor() -> None:
    joined = join_words([words(0, 9, loss=Loss.SATURATED), words(10, 19, [(12, 0, 5)], loss=Loss.WORDS_LOST)])
    assert joined.loss == Loss.SATURATED | Loss.WORDS_LOST
    assert joined.anchor.pulse == 19
    assert joined.pulse.tolist() == [12]


def test_nothing_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="at least one"):
        join_hits([])
