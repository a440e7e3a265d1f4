"""Counting what the guard is told."""

from evapd.acquire.counts import Counter
from evapd.blocks import Loss
from evapd.config.model import Instrument
from support.blocks import hits, words

INSTRUMENT = Instrument(flight_path_mm=110, tof_window_ns=(1.0, 2.0), background_window_ns=(3.0, 4.0))


def test_hits_are_sorted_into_window_and_background() -> None:
    counter = Counter(INSTRUMENT)
    counter.add(None, hits(0, 9, [(0, 999), (1, 1000), (2, 1999), (3, 2000), (4, 3500)]))
    assert (counter.now.hits, counter.now.hits_window, counter.now.hits_background) == (5, 2, 1)


def test_counts_are_cumulative_over_blocks() -> None:
    counter = Counter(INSTRUMENT)
    for first in (0, 10):
        counter.add(words(first, first + 9, [(first, 0, 1)]), hits(first, first + 9, [(0, 1500)]))
    assert (counter.now.pulses, counter.now.words, counter.now.hits_window) == (20, 2, 2)


def test_a_damaged_word_does_not_make_the_rate_a_lower_bound() -> None:
    counter = Counter(INSTRUMENT)
    counter.add(None, hits(0, 9, loss=Loss.DAMAGED))
    assert counter.now.lost_blocks == 0
    assert counter.now.loss == Loss.DAMAGED


def test_each_kind_of_loss_is_counted_apart() -> None:
    counter = Counter(INSTRUMENT)
    counter.add(None, hits(0, 9, loss=Loss.SATURATED | Loss.WORDS_LOST))
    counter.add(None, hits(10, 19, loss=Loss.COUNTER_JUMP))
    now = counter.now
    assert (now.saturated_blocks, now.lost_blocks, now.jump_blocks) == (1, 1, 1)
