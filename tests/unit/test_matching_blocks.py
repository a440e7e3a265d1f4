"""A stream cut into blocks gives the hits of the whole, each pulse covered once."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import Anchor, HitBlock, Loss, TdcBlock
from evapd.errors import StreamError
from evapd.matching import Matcher
from support.anodes import hexanode, quad
from support.signals import Ion, SignalModel, ideal_block, part_of, rows, simulate

STREAM = simulate(SignalModel(detection=0.4, multi=0.4), 300, 5).block
WHOLE = Matcher(quad())
HITS = rows(WHOLE.match(STREAM)) + rows(WHOLE.flush())


def with_repeats(block: TdcBlock) -> TdcBlock:
    """Every seventh word twice, and some of these a bin later."""
    twice = np.sort(np.r_[np.arange(block.n), np.arange(0, block.n, 7)])
    time = block.time[twice].copy()
    time[np.flatnonzero(np.diff(twice) == 0)[::2] + 1] += 1
    order = np.lexsort((time, block.pulse[twice]))
    return replace(
        block, pulse=block.pulse[twice][order], channel=block.channel[twice][order], time=time[order]
    )


# A pulse with 100 ions far apart, one with more words than are looked at, and the quiet around them.
LONG = ideal_block([Ion(k // 100, 300_000 + 200_000 * (k % 100), k % 30, -k % 20) for k in range(200)], 5)
BURST = replace(
    LONG,
    pulse=np.r_[LONG.pulse, np.full(20_000, 3, "<u8")],
    channel=np.r_[LONG.channel, (np.arange(20_000) % 5).astype("u1")],
    time=np.r_[LONG.time, np.arange(0, 60_000, 3, dtype="<i4")],
)
STREAMS = {
    "quad": (quad(), STREAM),
    "hex": (hexanode(), simulate(SignalModel(kind="hex", detection=0.4, multi=0.6), 200, 5).block),
    "repeats": (quad(), with_repeats(STREAM)),
    "long": (quad(), LONG),
    "burst": (quad(), BURST),
}


def cut_at(cuts: list[int], stream: TdcBlock, matcher: Matcher, *, hasty: bool = False) -> list[HitBlock]:
    """Hits of a stream that comes in blocks which end at these words."""
    out, first = [], 0
    ends = [*sorted(set(cuts) - {0, stream.n}), stream.n]
    for a, b in zip([0, *ends], ends, strict=False):
        last = int(stream.pulse[b - 1]) if b < stream.n else stream.last_pulse
        begin = min(first, int(stream.pulse[min(a, stream.n - 1)]))
        out.append(matcher.match(part_of(stream, a, b, begin, last)))
        first = last + 1 if hasty else last
    return [*out, matcher.flush()]


def heartbeat(next_pulse: int, pulses: int = 0) -> TdcBlock:
    return part_of(STREAM, 0, 0, next_pulse, next_pulse + pulses - 1)


def follows(blocks: list[HitBlock], first: int, last: int) -> bool:
    """Whether the blocks cover the pulses first to last without gap or overlap."""
    ends = [first - 1, *(block.last_pulse for block in blocks)]
    return ends[-1] == last and all(
        block.first_pulse == end + 1 for block, end in zip(blocks, ends, strict=False)
    )


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), hasty=st.booleans())
def test_cutting_the_stream_anywhere_never_changes_hits_or_counts(
    name: str, data: st.DataObject, hasty: bool
) -> None:
    anode, stream = STREAMS[name]
    cuts = data.draw(st.lists(st.integers(0, stream.n), max_size=40))
    whole, matcher = Matcher(anode), Matcher(anode)
    expected = [whole.match(stream), whole.flush()]
    out = cut_at(cuts, stream, matcher, hasty=hasty)
    assert [row for block in out for row in rows(block)] == [row for block in expected for row in rows(block)]
    assert matcher.counters == whole.counters
    assert join_loss(out) == join_loss(expected)
    assert follows(out, 0, stream.last_pulse)
    assert all(row[0] <= block.last_pulse for block in out for row in rows(block))


def join_loss(blocks: list[HitBlock]) -> Loss:
    loss = Loss.NONE
    for block in blocks:
        loss |= block.loss
    return loss


def test_a_pulse_of_many_ions_is_matched_whole() -> None:
    hits = Matcher(quad()).match(LONG)
    assert hits.n == 200
    assert hits.loss == Loss.NONE
    assert set(hits.multiplicity.tolist()) == {100}


def test_blocks_of_one_word_give_the_hits_of_the_whole() -> None:
    matcher, out = Matcher(quad()), []
    for k in range(STREAM.n):
        pulse = int(STREAM.pulse[k])
        first = int(STREAM.pulse[k - 1]) if k else 0
        out += rows(matcher.match(part_of(STREAM, k, k + 1, first, pulse)))
    assert out + rows(matcher.flush()) == HITS


def test_the_last_pulse_is_held_back_while_it_may_continue() -> None:
    block = ideal_block([Ion(3, 300_000), Ion(4, 300_000)], 5)
    hits = Matcher(quad()).match(block)
    assert [row[0] for row in rows(hits)] == [3]
    assert (hits.first_pulse, hits.last_pulse) == (0, 3)


@pytest.mark.parametrize("pulses", [0, 1, 1000])
def test_a_heartbeat_lets_the_held_pulse_go(pulses: int) -> None:
    matcher = Matcher(quad())
    matcher.match(ideal_block([Ion(4, 300_000)], 5))
    hits = matcher.match(heartbeat(5, pulses))
    assert [row[0] for row in rows(hits)] == [4]
    assert (hits.first_pulse, hits.last_pulse) == (4, 4 + pulses)


def test_a_last_pulse_without_words_is_not_waited_for() -> None:
    hits = Matcher(quad()).match(ideal_block([Ion(3, 300_000)], 5))
    assert (hits.n, hits.last_pulse) == (1, 4)


def test_flush_gives_the_held_pulse_once_and_begins_anew() -> None:
    matcher = Matcher(quad())
    matcher.match(ideal_block([Ion(4, 300_000)], 5))
    assert [row[0] for row in rows(matcher.flush())] == [4]
    assert rows(matcher.flush()) == []
    assert matcher.match(heartbeat(0, 3)).first_pulse == 0


def test_an_empty_block_covers_its_pulses() -> None:
    hits = Matcher(quad()).match(heartbeat(100, 50))
    assert (hits.n, hits.first_pulse, hits.last_pulse, hits.loss) == (0, 100, 149, Loss.NONE)


def test_loss_stays_with_words_that_are_held_back() -> None:
    matcher = Matcher(quad())
    lossy = replace(ideal_block([Ion(4, 300_000)], 5), loss=Loss.WORDS_LOST)
    assert matcher.match(lossy).loss == Loss.WORDS_LOST
    assert matcher.match(heartbeat(5, 1)).loss == Loss.WORDS_LOST
    assert matcher.match(heartbeat(6, 1)).loss == Loss.NONE


def test_missing_pulses_are_covered_and_flagged() -> None:
    matcher = Matcher(quad())
    matcher.match(heartbeat(0, 10))
    hits = matcher.match(heartbeat(20, 10))
    assert (hits.first_pulse, hits.last_pulse, hits.loss) == (10, 29, Loss.SEQUENCE_GAP)


@pytest.mark.parametrize("first", [3, 2**40])
def test_pulse_numbers_that_make_no_sense_are_flagged_and_discarded(first: int) -> None:
    matcher = Matcher(quad())
    matcher.match(heartbeat(0, 100))
    words = ideal_block([Ion(0, 300_000)], 1)
    hits = matcher.match(replace(words, first_pulse=first, last_pulse=first + 1, pulse=words.pulse + first))
    assert hits.loss == Loss.COUNTER_JUMP | Loss.DAMAGED
    assert (hits.n, hits.first_pulse, hits.last_pulse) == (0, 100, 99)
    assert matcher.match(heartbeat(100, 1)).loss == Loss.NONE


def test_anchor_calibration_and_inhibited_pulses_are_handed_on() -> None:
    anchor = Anchor(7, 123_456)
    matcher = Matcher(quad())
    hits = matcher.match(replace(heartbeat(0, 10), anchor=anchor, inhibited_pulses=4))
    assert (hits.anchor, hits.inhibited_pulses, hits.calibration) == (anchor, 4, quad().calibration_id)


def test_no_block_tells_more_inhibited_pulses_than_it_covers() -> None:
    matcher = Matcher(quad())
    first = matcher.match(replace(ideal_block([Ion(0, 300_000)], 1), inhibited_pulses=1))
    assert (first.pulses, first.inhibited_pulses) == (0, 0)
    assert matcher.match(heartbeat(1, 1)).inhibited_pulses == 1


def test_another_bin_width_needs_a_flush() -> None:
    matcher = Matcher(quad())
    matcher.match(heartbeat(0, 1))
    with pytest.raises(StreamError, match="bin width changed"):
        matcher.match(replace(heartbeat(1, 1), bin_ps=Fraction(27)))
    matcher.flush()
    assert matcher.match(replace(heartbeat(1, 1), bin_ps=Fraction(27))).pulses == 1


def test_pulse_numbers_beyond_32_bits_are_no_trouble() -> None:
    far = 2**50
    block = replace(
        STREAM, first_pulse=far, last_pulse=far + STREAM.last_pulse, pulse=STREAM.pulse + np.uint64(far)
    )
    matcher = Matcher(quad())
    hits = rows(matcher.match(block)) + rows(matcher.flush())
    assert [(row[0] - far, *row[1:]) for row in hits] == HITS


def test_counters_account_for_every_word() -> None:
    matcher = Matcher(quad())
    matcher.match(part_of(STREAM, 0, 200, 0, int(STREAM.pulse[199])))
    counters = matcher.counters
    assert counters.words == 200 == counters.used + counters.unused + counters.damaged + counters.held
    assert counters.held > 0
    matcher.flush()
    assert matcher.counters.held == 0


def test_columns_of_a_foreign_layout_are_matched_all_the_same() -> None:
    packed = np.zeros(STREAM.n, np.dtype([("channel", "u1"), ("time", "<i4"), ("pulse", "<u8")]))
    for name in ("pulse", "channel", "time"):
        packed[name] = getattr(STREAM, name)
    strided = replace(STREAM, pulse=packed["pulse"], channel=packed["channel"], time=packed["time"])
    matcher = Matcher(quad())
    assert rows(matcher.match(strided)) + rows(matcher.flush()) == HITS


def test_warming_up_changes_nothing() -> None:
    matcher = Matcher(quad())
    before = matcher.counters
    matcher.warm_up()
    assert matcher.counters == before
    assert matcher.match(heartbeat(9, 1)).first_pulse == 9
