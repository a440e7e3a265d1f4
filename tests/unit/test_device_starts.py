"""Starts in the stream become pulse numbers, however the stream is cut, wraps or is damaged."""

import os
import subprocess
import sys
from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import Anchor, Loss, TdcBlock
from evapd.device.starts import StartReducer

START, CHANNELS = 7, {1: 0, 2: 1, 3: 2, 4: 3, 9: 4}
BIN_PS = Fraction(1000)  # so that 1 ms is 10^6 bins
Word = tuple[int, int]  # channel, time


def reducer(**settings: Any) -> StartReducer:
    return StartReducer(START, CHANNELS, BIN_PS, **settings)


def feed(to: StartReducer, words: list[Word], cuts: list[int] | None = None) -> list[TdcBlock]:
    """Blocks of the words, cut into calls, and of the flush."""
    ends = [0, *sorted(cut for cut in cuts or [] if cut < len(words)), len(words)]
    columns = (
        [np.array(column, np.int64) for column in zip(*words, strict=True)]
        if words
        else [np.zeros(0, int)] * 2
    )
    return [*(to.reduce(columns[0][a:b], columns[1][a:b]) for a, b in pairwise(ends)), to.flush()]


def stops_of(blocks: list[TdcBlock]) -> list[tuple[int, int, int]]:
    return [
        (int(p), int(c), int(t))
        for block in blocks
        for p, c, t in zip(block.pulse, block.channel, block.time, strict=True)
    ]


def loss_of(blocks: list[TdcBlock]) -> Loss:
    loss = Loss.NONE
    for block in blocks:
        loss |= block.loss
    return loss


def model(words: list[Word], first_pulse: int = 0) -> list[tuple[int, int, int]]:
    """What must come out of words in order: for every stop the last start before it."""
    starts = sorted({time for channel, time in words if channel == START})
    at = [bisect_right(starts, time) - 1 for _, time in words]
    return [
        (first_pulse + n, CHANNELS[channel], time - starts[n])
        for (channel, time), n in zip(words, at, strict=True)
        if channel in CHANNELS and n >= 0
    ]


steps = st.one_of(st.integers(0, 3), st.integers(1, 5000))
ordered = st.lists(st.tuples(st.sampled_from([START, START, *CHANNELS]), steps), max_size=120).map(
    lambda rows: [
        (channel, int(time))
        for (channel, _), time in zip(
            rows, np.cumsum([0, *(step for _, step in rows)])[1:] + 10**6, strict=True
        )
    ]
)
# Damage of every kind: channels nobody knows, times anywhere.
garbage = st.lists(
    st.tuples(st.integers(-5, 300), st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 10**7))),
    max_size=60,
)
cuts = st.lists(st.integers(0, 120), max_size=12)


def starts_first(words: list[Word]) -> list[Word]:
    return sorted(words, key=lambda word: (word[1], word[0] != START))


@settings(max_examples=150, deadline=None)
@given(words=ordered, cut=cuts)
def test_every_stop_belongs_to_the_last_start_before_it(words: list[Word], cut: list[int]) -> None:
    words = starts_first(words)
    to = reducer(first_pulse=5)
    assert stops_of(feed(to, words, cut)) == model(words, 5)
    assert to.counters.starts == len({time for channel, time in words if channel == START})


@settings(max_examples=150, deadline=None)
@given(
    words=st.one_of(ordered, garbage),
    cut=cuts,
    reorder=st.sampled_from([0, 50]),
    bits=st.sampled_from([24, 63]),
)
def test_how_the_stream_is_cut_changes_nothing(
    words: list[Word], cut: list[int], reorder: int, bits: int
) -> None:
    whole, parts = (reducer(reorder_bins=reorder, counter_bits=bits, period_bins=900) for _ in range(2))
    one, many = feed(whole, words), feed(parts, words, cut)
    assert stops_of(many) == stops_of(one)
    assert parts.counters == whole.counters
    assert loss_of(many) == loss_of(one)


@settings(max_examples=150, deadline=None)
@given(words=garbage, cut=cuts, reorder=st.sampled_from([0, 50]))
def test_garbage_is_counted_and_what_comes_out_is_in_order(
    words: list[Word], cut: list[int], reorder: int
) -> None:
    to = reducer(reorder_bins=reorder)
    blocks = feed(to, words, cut)
    now = to.counters
    assert now.words == len(words)
    assert now.words == sum(
        (now.starts, now.duplicate_starts, now.stops, now.orphans, now.late, now.damaged, now.held)
    )
    assert [row[::2] for row in stops_of(blocks)] == sorted(row[::2] for row in stops_of(blocks))
    assert [b.first_pulse for b in blocks[1:]] == [b.last_pulse + 1 for b in blocks[:-1]]
    assert blocks[-1].last_pulse == now.starts + now.missing_starts - 1


@settings(max_examples=100, deadline=None)
@given(words=ordered, cut=cuts, shift=st.integers(0, 2**24 - 1))
def test_a_counter_that_wraps_changes_nothing(words: list[Word], cut: list[int], shift: int) -> None:
    wrapped = [(channel, (time + shift) % 2**24) for channel, time in words]
    assert stops_of(feed(reducer(counter_bits=24), wrapped, cut)) == stops_of(feed(reducer(), words))


@settings(max_examples=100, deadline=None)
@given(words=ordered, cut=cuts, late=st.lists(st.integers(0, 40), min_size=120, max_size=120))
def test_words_a_little_out_of_order_are_put_in_order(
    words: list[Word], cut: list[int], late: list[int]
) -> None:
    words = [(channel, 20 * time + channel) for channel, time in starts_first(words)]  # no two at one time
    words = list(dict.fromkeys(sorted(words, key=lambda word: word[1])))
    arrival = sorted(range(len(words)), key=lambda i: (words[i][1] + late[i], i))
    to = reducer(reorder_bins=40)
    assert stops_of(feed(to, [words[i] for i in arrival], cut)) == stops_of(feed(reducer(), words))
    assert to.counters.damaged == 0


def regular(pulses: int, stop_after: int = 300, period: int = 1000) -> list[Word]:
    """A start every period, and one stop after each."""
    return [word for p in range(pulses) for word in ((START, p * period), (1, p * period + stop_after))]


def test_the_words_of_the_last_pulse_wait_for_the_next_start() -> None:
    to = reducer()
    begun = to.reduce(np.array([START]), np.array([100]))
    stopped = to.reduce(np.array([1]), np.array([150]))
    over = to.reduce(np.array([START]), np.array([1100]))
    assert (begun.pulses, stopped.pulses, over.first_pulse, over.last_pulse) == (0, 0, 0, 0)
    assert stops_of([over]) == [(0, 0, 50)]


def test_pulses_without_stops_are_covered() -> None:
    block = reducer(first_pulse=3).reduce(np.full(11, START), np.arange(11) * 1000)
    assert (block.first_pulse, block.last_pulse, block.n) == (3, 12, 0)


def test_stops_before_the_first_start_are_orphans() -> None:
    to = reducer()
    assert stops_of(feed(to, [(1, 5), (2, 9), (START, 20), (1, 30)])) == [(0, 0, 10)]
    assert to.counters.orphans == 2


def test_a_start_seen_twice_counts_once() -> None:
    to = reducer(min_period_bins=100)
    assert stops_of(feed(to, [(START, 0), (START, 0), (START, 99), (1, 120), (START, 1000)])) == [(0, 0, 120)]
    assert (to.counters.starts, to.counters.duplicate_starts) == (2, 2)


def test_missing_starts_are_counted_as_pulses_where_the_period_is_known() -> None:
    words = [word for word in regular(10) if word not in {(START, 4000), (START, 5000)}]
    to = reducer(period_bins=1000)
    blocks = feed(to, words)
    assert blocks[-1].last_pulse == 9
    assert stops_of(blocks)[-1] == (9, 0, 300)
    assert to.counters.missing_starts == 2
    assert Loss.WORDS_LOST in loss_of(blocks)


def test_a_pause_of_the_pulser_is_one_pulse() -> None:
    words = [*regular(3), *((channel, time + 200_000) for channel, time in regular(3))]
    to = reducer(period_bins=1000)
    blocks = feed(to, words)
    assert (blocks[-1].last_pulse, to.counters.missing_starts, loss_of(blocks)) == (5, 0, Loss.NONE)


def test_a_long_silence_is_no_jump() -> None:
    words = [*regular(3), *((channel, time + 5 * 10**9) for channel, time in regular(3))]
    to = reducer()
    blocks = feed(to, words)
    assert stops_of(blocks) == [(p, 0, 300) for p in range(6)]
    assert (to.counters.jumps, loss_of(blocks)) == (0, Loss.NONE)


def test_one_time_stamp_far_from_its_neighbours_is_damaged_and_the_rest_stays() -> None:
    words = regular(6)
    to = reducer()
    blocks = feed(to, [*words[:5], (1, 10**12), *words[5:8], (2, 2**62), *words[8:]])
    assert stops_of(blocks) == [(p, 0, 300) for p in range(6)]
    assert to.counters.damaged == 2
    assert loss_of(blocks) == Loss.DAMAGED


def test_after_a_jump_of_the_counter_stops_wait_for_the_next_start() -> None:
    before = [(channel, time + 10**9) for channel, time in regular(3)]
    to = reducer()
    blocks = feed(to, [*before, (1, 70), (2, 80), (START, 1000), (1, 1400)])
    assert stops_of(blocks) == [*((p, 0, 300) for p in range(3)), (3, 0, 400)]
    assert (to.counters.jumps, to.counters.orphans, to.counters.damaged) == (1, 2, 0)
    assert loss_of(blocks) == Loss.COUNTER_JUMP


def test_a_word_out_of_order_is_damaged_where_order_is_promised() -> None:
    to = reducer()
    blocks = feed(to, [(START, 1000), (1, 1300), (2, 1200), (3, 1400)])
    assert stops_of(blocks) == [(0, 0, 300), (0, 2, 400)]
    assert loss_of(blocks) == Loss.DAMAGED


def test_channels_nobody_has_named_are_damaged() -> None:
    to = reducer()
    blocks = feed(to, [(START, 0), (5, 10), (-3, 11), (300, 12), (1, 13)])
    assert stops_of(blocks) == [(0, 0, 13)]
    assert (to.counters.damaged, loss_of(blocks)) == (3, Loss.DAMAGED)


def test_stops_outside_the_window_are_left_out_and_counted() -> None:
    to = reducer(window_bins=500)
    assert stops_of(feed(to, [(START, 0), (1, 500), (1, 501), (START, 1000)])) == [(0, 0, 500)]
    assert to.counters.late == 1


def test_a_stop_that_does_not_fit_32_bits_is_late() -> None:
    to = StartReducer(START, CHANNELS, Fraction(1))
    feed(to, [(START, 0), *((1, k * 10**9) for k in range(1, 5))])
    assert (to.counters.stops, to.counters.late) == (2, 2)


def test_an_empty_call_is_an_empty_block() -> None:
    block = reducer().reduce(
        np.zeros(0, np.uint8), np.zeros(0, np.int64), anchor=Anchor(1, 2), loss=Loss.SATURATED
    )
    assert (block.n, block.pulses, block.anchor, block.loss) == (0, 0, Anchor(1, 2), Loss.SATURATED)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_channels_may_come_as_any_whole_numbers(dtype: Any) -> None:
    channel, time = (np.array(column) for column in zip(*regular(50), strict=True))
    assert reducer().reduce(channel.astype(dtype), time).n == 49


def test_a_million_words_in_one_pulse_are_kept_in_order() -> None:
    n = 1_000_000
    to = reducer()
    to.reduce(np.array([START]), np.array([0]))
    for a in range(0, n, 50_000):
        assert to.reduce(np.ones(50_000, np.uint8), np.arange(a, a + 50_000)).n == 0
    block = to.reduce(np.array([START]), np.array([n]))
    assert block.n == n
    assert np.array_equal(block.time, np.arange(n))


@pytest.mark.parametrize(
    ("channels", "settings"),
    [
        ({START: 0}, {}),
        ({1: 256}, {}),
        ({1: 0, 10**6: 1}, {}),
        ({1: 0}, {"counter_bits": 64}),
        ({1: 0}, {"reorder_bins": 10**9}),
        ({1: 0}, {"window_bins": 2**31}),
        ({1: 0}, {"period_bins": 0}),
    ],
)
def test_impossible_settings_are_refused(channels: dict[int, int], settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"channel_map|_bins|counter_bits"):
        StartReducer(START, channels, BIN_PS, **settings)


@pytest.mark.parametrize("columns", [(np.zeros(2, int), np.zeros(1, int)), (np.zeros(1), np.zeros(1, int))])
def test_columns_that_are_none_are_refused(columns: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"columns|whole numbers"):
        reducer().reduce(*columns)


def test_without_the_compiler_everything_is_the_same() -> None:
    code = "import numpy as np; from test_device_starts import digest_of_a_mixed_stream as digest; print(digest())"
    plain = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert plain.stdout.strip() == digest_of_a_mixed_stream()


def digest_of_a_mixed_stream() -> str:
    """Everything a damaged stream gives, as text."""
    rng = np.random.default_rng(3)
    time = np.cumsum(rng.integers(0, 400, 3000))
    channel = rng.choice([START, *CHANNELS, 5], 3000)
    time[::97] += rng.integers(-(10**12), 10**12, len(time[::97]))
    time[50::211] += rng.integers(-300, 300, len(time[50::211]))
    to = reducer(period_bins=1200, reorder_bins=100, counter_bits=40)
    words = list(zip(channel.tolist(), time.tolist(), strict=True))
    blocks = feed(to, words, [100, 2000])
    return repr((stops_of(blocks), to.counters, loss_of(blocks)))
