"""Our matching as a contender: the whole Matcher, its kernels alone, and the starts before it."""

from collections.abc import Callable

import numpy as np

from evapd.blocks import HitBlock, TdcBlock, join_hits
from evapd.device.starts import StartReducer
from evapd.matching import Anode, Matcher
from evapd.matching.kernel import match_words
from evapd.matching.numbers import numbers_of
from evapd.matching.settings import MatchSettings
from evapd.matching.sound import all_sound
from evapd.matching.workspace import TIME_LIMIT_PS, Columns, make_scratch
from support.bench_matching_c import touched_columns
from support.bench_matching_streams import START_CHANNEL, Stream


def matcher(block: TdcBlock, anode: Anode) -> Callable[[], list[HitBlock]]:
    """The product: a new Matcher, and the hits as it gives them."""
    ours = Matcher(anode)
    ours.match(_nothing_of(block))  # takes the bin width: its numbers are made once per run, not per block
    return lambda: [ours.match(block), ours.flush()]


def kernels(block: TdcBlock, anode: Anode) -> Callable[[], Columns]:
    """The kernels alone, with everything made beforehand, as the C has it."""
    numbers = numbers_of(anode, MatchSettings(), block.bin_ps)
    scratch, columns = make_scratch(anode.channels), touched_columns(block.n // 4)
    words = (block.pulse, block.channel, block.time)
    low, high = np.uint64(block.first_pulse), np.uint64(block.last_pulse)
    limit = min(int(TIME_LIMIT_PS / block.bin_ps), 2**31 - 1)

    def call() -> Columns:
        assert all_sound(words, low, high, anode.channels, limit)
        n, _ = match_words(numbers, scratch, columns, 0, low, *words)
        return Columns(*(column[:n] for column in columns))

    return call


def starts_and_matcher(stream: Stream) -> Callable[[], list[HitBlock]]:
    """The words of a time tagger that sends every start, to hits."""
    words, anode = stream.words, stream.anode
    channels = {channel + START_CHANNEL + 1: channel for channel in range(anode.channels)}
    starts, ours = StartReducer(START_CHANNEL, channels, stream.model.bin_ps), Matcher(anode)

    def call() -> list[HitBlock]:
        blocks = (starts.reduce(words.channel, words.time), starts.flush())
        return [*(ours.match(block) for block in blocks), ours.flush()]

    return call


def starts_alone(stream: Stream) -> Callable[[], TdcBlock]:
    """The same without matching."""
    words = stream.words
    channels = {channel + START_CHANNEL + 1: channel for channel in range(stream.anode.channels)}
    starts = StartReducer(START_CHANNEL, channels, stream.model.bin_ps)
    return lambda: starts.reduce(words.channel, words.time)


def columns_of(hits: Columns | list[HitBlock]) -> Columns:
    """The hits as columns over the whole stream."""
    if isinstance(hits, Columns):
        return hits
    joined = join_hits(hits)
    return Columns(*(getattr(joined, name) for name in Columns._fields))


def same_bytes(one: Columns | list[HitBlock], other: Columns | list[HitBlock]) -> bool:
    """Whether two results are the same, bit for bit."""
    pairs = zip(columns_of(one), columns_of(other), strict=True)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def _nothing_of(block: TdcBlock) -> TdcBlock:
    return TdcBlock(
        first_pulse=block.first_pulse,
        last_pulse=block.first_pulse - 1,
        bin_ps=block.bin_ps,
        pulse=block.pulse[:0],
        channel=block.channel[:0],
        time=block.time[:0],
    )
