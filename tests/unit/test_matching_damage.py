"""Words that cannot be are set aside and told, and never stop the matching."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evapd.blocks import HitBlock, Loss, TdcBlock
from evapd.matching import Matcher, Quality
from support.anodes import quad
from support.signals import Ion, SignalModel, ideal_block, rows, simulate

CLEAN = ideal_block([Ion(k, 300_000, k, -k) for k in range(1, 30, 3)], 40)


def match(block: TdcBlock) -> tuple[HitBlock, Matcher]:
    matcher = Matcher(quad())
    return matcher.match(block), matcher


def changed(at: int, **values: int) -> TdcBlock:
    columns: dict[str, NDArray[np.generic]] = {}
    for name, value in values.items():
        column = getattr(CLEAN, name).copy()
        column[at] = value
        columns[name] = column
    return replace(CLEAN, **columns)


@pytest.mark.parametrize(
    "values",
    [
        {"channel": 5},
        {"channel": 255},
        {"time": 2**31 - 1},
        {"time": -(2**31)},
        {"pulse": 2**63},
        {"pulse": 39},
    ],
)
def test_an_impossible_word_costs_its_own_hit_a_signal_and_nothing_else(values: dict[str, int]) -> None:
    hits, matcher = match(changed(5, **values))
    assert hits.loss == Loss.DAMAGED
    assert matcher.counters.damaged == 1
    assert hits.quality.tolist() == [0, Quality.MCP_MISSING] + [0] * 8  # word 5 is the MCP of the second ion


def test_a_word_before_its_time_is_discarded() -> None:
    hits, matcher = match(changed(9, time=0))
    assert (hits.loss, matcher.counters.damaged) == (Loss.DAMAGED, 1)
    assert hits.n == 10


def test_words_of_pulses_outside_their_block_are_discarded() -> None:
    hits, matcher = match(replace(CLEAN, first_pulse=10, last_pulse=20))
    assert {row[0] for row in rows(hits)} <= set(range(10, 21))
    assert matcher.counters.damaged == int(np.sum((CLEAN.pulse < 10) | (CLEAN.pulse > 20)))


def test_words_in_a_block_without_pulses_are_discarded() -> None:
    hits, matcher = match(replace(CLEAN, first_pulse=0, last_pulse=-1))
    assert (hits.n, hits.loss, matcher.counters.damaged) == (0, Loss.DAMAGED, CLEAN.n)


def test_damage_in_a_held_pulse_is_told_with_its_hits() -> None:
    block = replace(changed(CLEAN.n - 1, channel=9), last_pulse=28)
    matcher = Matcher(quad())
    matcher.match(block)
    assert matcher.flush().loss == Loss.DAMAGED


@settings(max_examples=100, deadline=None)
@given(data=st.data(), n=st.integers(0, 60))
def test_garbage_never_stops_the_matching_and_every_word_is_counted(data: st.DataObject, n: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    garbage = TdcBlock(
        first_pulse=1000,
        last_pulse=1003,
        bin_ps=CLEAN.bin_ps,
        pulse=rng.choice(np.array([0, 1000, 1001, 1002, 1003, 1004, 2**64 - 1], np.uint64), n),
        channel=rng.integers(0, 7, n).astype("u1"),
        time=rng.choice(np.array([-(2**31), -1, 0, 7000, 7001, 30_000, 2**31 - 1], np.int32), n),
    )
    hits, matcher = match(garbage)
    tail = matcher.flush()
    counters = matcher.counters
    assert counters.words == n == counters.used + counters.unused + counters.damaged
    assert (hits.first_pulse, tail.last_pulse) == (1000, 1003)
    assert all(1000 <= row[0] <= 1003 for row in rows(hits) + rows(tail))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), at=st.integers(0, 200), bit=st.integers(0, 103))
def test_one_flipped_bit_changes_no_hit_of_another_pulse(seed: int, at: int, bit: int) -> None:
    clean = simulate(SignalModel(detection=0.5, multi=0.3), 200, 3).block
    at %= clean.n
    columns = {name: getattr(clean, name).copy() for name in ("pulse", "channel", "time")}
    name, shift = ("pulse", bit) if bit < 64 else ("channel", bit - 64) if bit < 72 else ("time", bit - 72)
    view = columns[name].view(f"u{columns[name].itemsize}")
    view[at] ^= view.dtype.type(1 << shift)
    touched = {int(clean.pulse[at]), int(columns["pulse"][at])} | set(
        clean.pulse[max(at - 1, 0) : at + 2].tolist()
    )
    hits, before = match(replace(clean, **columns))[0], match(clean)[0]
    assert [row for row in rows(hits) if row[0] not in touched] == [
        row for row in rows(before) if row[0] not in touched
    ]


def test_a_burst_of_a_million_words_is_told_and_leaves_the_next_pulses_alone() -> None:
    rng = np.random.default_rng(1)
    n = 1_000_000
    after = ideal_block([Ion(1, 300_000), Ion(2, 300_000)], 4)
    burst = TdcBlock(
        first_pulse=0,
        last_pulse=3,
        bin_ps=after.bin_ps,
        pulse=np.r_[np.zeros(n, np.uint64), after.pulse],
        channel=np.r_[rng.integers(0, 5, n).astype("u1"), after.channel],
        time=np.r_[np.sort(rng.integers(0, 8000, n)).astype("i4"), after.time],
    )
    hits, matcher = match(burst)
    assert hits.loss == Loss.SATURATED | Loss.DAMAGED  # so many words in so few bins are not all different
    assert matcher.counters.saturated_pulses == 1
    assert [row[0] for row in rows(hits) if row[0] > 0] == [1, 2]


def test_a_burst_that_goes_on_over_many_blocks_is_held_in_bounded_memory() -> None:
    matcher = Matcher(quad())
    for block in range(50):
        n = 2000
        matcher.match(
            TdcBlock(
                first_pulse=0,
                last_pulse=0,
                bin_ps=CLEAN.bin_ps,
                pulse=np.zeros(n, np.uint64),
                channel=(np.arange(n) % 5).astype("u1"),
                time=np.arange(n * block, n * (block + 1), dtype=np.int32),
            )
        )
    assert matcher.counters.held <= 8193
    assert matcher.flush().loss == Loss.SATURATED | Loss.DAMAGED  # no channel fires every 65 ps
    counters = matcher.counters
    assert counters.words == 100_000 == counters.used + counters.unused + counters.damaged


@pytest.mark.parametrize("again", [(0,), (3,), (0, 1, 2, 3, 4)])
def test_words_that_come_twice_are_counted_as_damaged_and_change_no_hit(again: tuple[int, ...]) -> None:
    block = ideal_block([Ion(0, 300_000, 5, 5), Ion(2, 400_000, -5, 9)], 4)
    twice = np.sort(np.r_[np.arange(block.n), [k for k in range(5) if block.channel[k] in again]])
    doubled = replace(block, pulse=block.pulse[twice], channel=block.channel[twice], time=block.time[twice])
    hits, matcher = match(doubled)
    assert rows(hits) == rows(match(block)[0])
    assert hits.loss == Loss.DAMAGED
    assert matcher.counters.damaged == len(again)
