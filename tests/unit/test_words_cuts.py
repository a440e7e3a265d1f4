"""Cutting a stream of words: pulses stay whole, damage stays where it is, and nothing depends on how one reads."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.record.wordcuts import FAR, MAX_SPAN, Cut, Pulses, cuts


def pulses_of(*parts: object) -> Pulses:
    return np.concatenate([np.asarray(part, "<u8") for part in parts])


def cut(pulse: Pulses, unit: int, first: int = 0, last: int | None = None) -> list[Cut]:
    """Cut, and check that nothing before what may have been given back is asked for."""
    done = 0

    def read(a: int, b: int) -> Pulses:
        assert a >= done - FAR
        assert 0 <= a < b <= len(pulse)
        return pulse[a:b]

    found = []
    end = int(pulse.max(initial=0)) if last is None else last
    for piece in cuts(read, len(pulse), first, end, unit):
        found.append(piece)
        done = piece.b
    return found


@settings(max_examples=150, deadline=None)
@given(
    pulse=st.lists(st.integers(0, 50) | st.integers(0, 2**64 - 1), max_size=300),
    unit=st.integers(1, 60),
    first=st.integers(0, 30),
)
def test_whatever_the_words_are_the_pieces_hold_each_word_once_and_their_pulses_never_overlap(
    pulse: list[int], unit: int, first: int
) -> None:
    found = cut(pulses_of(pulse), unit, first, max(first, 2**40))
    ends = [0, *(piece.b for piece in found)]
    assert [piece.a for piece in found] == ends[:-1]
    assert ends[-1] == len(pulse)
    assert all(0 < piece.b - piece.a < 2 * unit or piece.b - piece.a == unit for piece in found)
    assert all(piece.last - piece.first < MAX_SPAN for piece in found)
    assert all(b.first >= a.last + (not a.continues) for a, b in pairwise(found))
    assert all(piece.last >= piece.first - 1 for piece in found)
    assert not found or not found[-1].continues


@settings(max_examples=150, deadline=None)
@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=150), unit=st.integers(12, 60))
def test_pulses_of_sound_words_are_never_cut(sizes: list[int], unit: int) -> None:
    pulse = pulses_of(np.repeat(np.arange(len(sizes)), sizes))
    for piece in cut(pulse, unit, 0, len(sizes) - 1):
        inside = pulse[piece.a : piece.b]
        assert not piece.continues
        assert piece.first <= inside.min() <= inside.max() <= piece.last
        assert np.count_nonzero((pulse >= piece.first) & (pulse <= piece.last)) == len(inside)


@pytest.mark.parametrize("wild", [0, 10**15])
def test_wild_words_take_no_sound_word_along(wild: int) -> None:
    pulse = pulses_of(np.repeat(np.arange(1000, 3000), 5))
    rng = np.random.default_rng(1)
    hurt = rng.choice(len(pulse), 1000, replace=False)
    sound = np.ones(len(pulse), bool)
    sound[hurt] = False
    damaged = pulse.copy()
    damaged[hurt] = wild
    for piece in cut(damaged, 500, 0, 10**16):
        inside = pulse[piece.a : piece.b][sound[piece.a : piece.b]]
        assert piece.first <= inside.min() <= inside.max() <= piece.last


def test_a_burst_of_wild_words_takes_no_sound_word_along() -> None:
    pulse = pulses_of(
        np.repeat(np.arange(1000), 5), np.arange(10**12, 10**12 + 200), np.repeat(np.arange(1000, 2000), 5)
    )
    for unit in range(4700, 5300, 7):
        for piece in cut(pulse, unit, 0, 10**13):
            inside = pulse[piece.a : piece.b]
            inside = inside[inside < 10**12]
            assert len(inside) == 0 or piece.first <= inside.min() <= inside.max() <= piece.last


def test_a_pulse_longer_than_a_piece_goes_on_in_the_next() -> None:
    pulse = pulses_of(np.repeat(np.arange(40), 5), [40] * 1000, np.repeat(np.arange(41, 80), 5))
    found = cut(pulse, 100)
    flood = [piece for piece in found if piece.continues]
    assert 8 <= len(flood) <= 10
    assert all(piece.last == 40 for piece in flood)
    after = found[found.index(flood[-1]) + 1]
    assert (after.first, after.continues) == (40, False)
    assert found[-1].last == 79


def test_where_nobody_can_tell_where_a_pulse_ends_no_pulse_is_covered_and_what_follows_is() -> None:
    rng = np.random.default_rng(2)
    garbage = rng.integers(0, 10**6, 3000)
    pulse = pulses_of(np.repeat(np.arange(1000), 5), garbage, np.repeat(np.arange(1000, 2000), 5))
    found = cut(pulse, 500, 0, 10**6)
    assert any(piece.last == piece.first - 1 for piece in found)
    assert sum(piece.b - piece.a for piece in found if piece.b > 9000 and piece.last >= piece.first) > 3000
    assert found[-1].last == 10**6


def test_a_silence_of_more_pulses_than_32_bits_count_is_left_out() -> None:
    far = 2**40
    pulse = pulses_of(np.repeat(np.arange(100), 5), np.repeat(np.arange(far, far + 100), 5))
    found = cut(pulse, 10_000, 0, far + 99)
    assert [(piece.a, piece.b) for piece in found] == [(0, 500), (500, 1000)]
    assert found[0].last >= 99
    assert (found[1].first, found[1].last) == (far, far + 99)


def test_words_that_begin_late_are_counted_from_where_they_begin() -> None:
    far = 2**40
    (piece,) = cut(pulses_of(np.arange(far, far + 100)), 1000)
    assert (piece.first, piece.last) == (far, far + 99)


def test_a_counter_that_wraps_covers_no_pulse_twice() -> None:
    pulse = pulses_of(np.repeat(np.arange(1000), 5), np.repeat(np.arange(1000), 5))
    found = cut(pulse, 100, 0, 999)
    assert sum(max(0, piece.last - piece.first + 1) for piece in found) == 1000
