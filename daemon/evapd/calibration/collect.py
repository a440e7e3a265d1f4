"""From blocks of words to the samples that everything is estimated from; memory does not grow with the run."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import TdcBlock, join_words
from evapd.calibration.signals import MOST_PER_CHANNEL, Floats, PulseTable
from evapd.calibration.spread import Spread
from evapd.errors import StateError, StreamError
from evapd.matching.anode import LAYERS
from evapd.matching.quality import CHANNEL_NAMES

MOST_LONE = 1_000_000  # more would only sharpen what is sharp already
MOST_CROWDED = 40_000
MOST_GAPS = 2_000_000
GAPS_UP_TO_PS = 60_000.0
_CHUNK_WORDS = 200_000
_CHANNELS = {kind: 1 + 2 * len(layers) for kind, layers in LAYERS.items()}
_FIRST_HEX_CHANNEL = 5
# A channel with less than this part of its fellows' words carries noise only.
_SILENT = 0.05
NAMES = {kind: CHANNEL_NAMES[channels] for kind, channels in _CHANNELS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What a stream of words holds of single ions.

    Attributes:
        kind: `quad` or `hex`.
        bin_ps: width of the TDC's bin.
        lone: times in ps of pulses with one word on every channel, shape (n, channels), spread over the stream.
        crowded: times in ps of pulses with more words, shape (m, channels, MOST_PER_CHANNEL), NaN for no word.
        gaps: how often two words of a channel were so many bins apart, shape (channels, bins).
        words, pulses: how many there were in all.
        lone_pulses: how many pulses had one word on every channel, before the sample was thinned.
        words_by_channel: words on each channel of the anode.
    """

    kind: str
    bin_ps: Fraction
    lone: Floats
    crowded: Floats
    gaps: NDArray[np.int64]
    words: int
    pulses: int
    lone_pulses: int
    words_by_channel: tuple[int, ...]


def collect(blocks: Iterable[TdcBlock], kind: str | None = None) -> Signals:
    """Read blocks once and keep samples of them.

    Args:
        blocks: consecutive blocks of one TDC.
        kind: of the anode; found from the channels that have words when None.

    Raises:
        StateError: when there are no words, or a channel of the anode has none.
        StreamError: when the bin width changes.
    """
    collector = _Collector(kind)
    waiting: list[TdcBlock] = []
    words = 0
    for block in blocks:
        collector.note(block)
        waiting.append(block)
        words += block.n
        if words >= _CHUNK_WORDS:
            waiting, words = collector.take(waiting, last=False), 0
    if waiting:
        collector.take(waiting, last=True)
    return collector.signals()


class _Collector:
    def __init__(self, kind: str | None) -> None:
        self._kind = kind
        self._bin_ps: Fraction | None = None
        self._lone, self._crowded = Spread(MOST_LONE), Spread(MOST_CROWDED)
        self._gaps = np.zeros((0, 0), np.int64)
        self._by_channel = np.zeros(256, np.int64)
        self._words = self._pulses = 0

    def note(self, block: TdcBlock) -> None:
        """Count a block and check its bin width."""
        if self._bin_ps is None:
            self._bin_ps = block.bin_ps
        if block.bin_ps != self._bin_ps:
            raise StreamError(
                f"the TDC's bin width changes from {self._bin_ps} to {block.bin_ps} ps within these words: "
                "calibrate each part by itself"
            )
        self._words += block.n
        self._pulses += block.pulses
        self._by_channel += np.bincount(block.channel, minlength=256)

    def take(self, blocks: list[TdcBlock], *, last: bool) -> list[TdcBlock]:
        """Look at blocks; gives back the words of the last pulse, which may go on in the next block."""
        block = join_words(blocks)
        cut = block.n if last or not block.n else int(np.searchsorted(block.pulse, block.pulse[-1], "left"))
        rest = [_part(block, cut, block.n)] if cut < block.n else []
        if self._kind is None:
            self._kind = kind_of(self._by_channel)
        table = PulseTable(_part(block, 0, cut), _CHANNELS[self._kind])
        self._lone.add(table.lone())
        self._crowded.add(table.crowded())
        self._add_gaps(table, block.bin_ps)
        return rest

    def _add_gaps(self, table: PulseTable, bin_ps: Fraction) -> None:
        most = max(2, round(GAPS_UP_TO_PS / bin_ps))
        if not self._gaps.size:
            self._gaps = np.zeros((table.channels, most), np.int64)
        if self._gaps.sum() > MOST_GAPS:
            return
        channel, gap = table.gaps()
        near = (gap >= 0) & (gap < most)
        cells = np.bincount(channel[near] * most + gap[near], minlength=self._gaps.size)
        self._gaps += cells.reshape(self._gaps.shape)

    def signals(self) -> Signals:
        """Close the samples."""
        if not self._words or self._bin_ps is None or self._kind is None:
            raise StateError(
                "there are no words to calibrate from; record a run with `record: raw_words: true`"
            )
        channels = _CHANNELS[self._kind]
        _check_channels(self._kind, self._by_channel)
        width = float(self._bin_ps)
        return Signals(
            kind=self._kind,
            bin_ps=self._bin_ps,
            lone=self._lone.rows().reshape(-1, channels) * width,
            crowded=self._crowded.rows().reshape(-1, channels, MOST_PER_CHANNEL) * width,
            gaps=self._gaps,
            words=self._words,
            pulses=self._pulses,
            lone_pulses=self._lone.seen,
            words_by_channel=tuple(int(n) for n in self._by_channel[:channels]),
        )


def kind_of(words_by_channel: NDArray[np.int64]) -> str:
    """Tell the kind of anode from the channels that have words."""
    lines = float(np.median(words_by_channel[1:_FIRST_HEX_CHANNEL]))
    third = words_by_channel[_FIRST_HEX_CHANNEL : _CHANNELS["hex"]]
    return "hex" if float(third.min()) > _SILENT * lines else "quad"


def _check_channels(kind: str, words_by_channel: NDArray[np.int64]) -> None:
    if kind == "quad" and kind_of(words_by_channel) == "hex":
        raise StateError(
            "channels 5 and 6 have words too: these are signals of a hex anode, the anode file says quad"
        )
    here = words_by_channel[: _CHANNELS[kind]]
    silent = [
        f"{channel} ({name})"
        for channel, name in enumerate(NAMES[kind])
        if here[channel] <= _SILENT * float(np.median(here))
    ]
    if silent:
        raise StateError(
            f"channel {', '.join(silent)} has no words, or noise only: a {kind} anode needs all of "
            f"{', '.join(NAMES[kind])}; look at the cable, the threshold, and the kind of the anode file"
        )


def _part(block: TdcBlock, a: int, b: int) -> TdcBlock:
    return TdcBlock(
        first_pulse=block.first_pulse,
        last_pulse=block.last_pulse,
        bin_ps=block.bin_ps,
        pulse=block.pulse[a:b],
        channel=block.channel[a:b],
        time=block.time[a:b],
    )
