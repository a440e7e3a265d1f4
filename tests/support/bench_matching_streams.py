"""Streams on which the matching is measured; each is made once per session."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import TdcBlock
from evapd.matching import Anode
from support.anodes import hexanode, quad
from support.signals import SignalModel, Truth, part_of, simulate

SEED = 1
START_CHANNEL = 0  # of the hardware; the block's channel c is its channel c + 1


@dataclass(frozen=True)
class Stream:
    """What the detector sees, for how long, and whether the hardware sends every start."""

    title: str
    model: SignalModel
    pulses: int
    starts: bool = False

    @property
    def truth(self) -> Truth:
        """The words without starts, and the ions behind them."""
        return _simulated(self.model, self.pulses)

    @property
    def anode(self) -> Anode:
        """The perfectly known anode."""
        return quad() if self.model.kind == "quad" else hexanode()

    @property
    def words(self) -> "Words":
        """The words as a time tagger sends them, starts among them."""
        return _with_starts(self.model, self.pulses)


class Words(NamedTuple):
    """Flat columns of a time tagger: channel and absolute time in bins, ascending."""

    channel: NDArray[np.uint8]
    time: NDArray[np.int64]
    period_bins: int


def _stream(title: str, pulses: int, *, starts: bool = False, **model: Any) -> Stream:
    return Stream(title, SignalModel(**model), pulses, starts)


_SINGLES = {"detection": 0.01, "multi": 0.10}
_MULTI = {"detection": 0.05, "multi": 0.30}
_CROWDS = {"detection": 0.05, "multi": 0.90}
STREAMS = {
    "S1": _stream("1 % detection, 10 % multi, all starts", 4_000_000, starts=True, **_SINGLES),
    "S1b": _stream("1 % detection, 10 % multi", 8_000_000, **_SINGLES),
    "S2": _stream("5 % detection, 30 % multi, all starts", 1_500_000, starts=True, **_MULTI),
    "S2b": _stream("5 % detection, 30 % multi", 1_500_000, **_MULTI),
    "S3": _stream("5 % detection, 90 % multi up to 8, all starts", 400_000, starts=True, **_CROWDS),
    "S3b": _stream("5 % detection, 90 % multi up to 8", 400_000, **_CROWDS),
    "10 kHz": _stream(
        "10 kHz, 0.2 % detection, 10 % multi", 4_000_000, detection=0.002, multi=0.10, pulse_rate_hz=1e4
    ),
    "1 MHz": _stream(
        "1 MHz, 1 % detection, all starts", 4_000_000, starts=True, **_SINGLES, pulse_rate_hz=1e6
    ),
    "H1b": _stream("hex, 1 % detection, 10 % multi", 4_000_000, **_SINGLES, kind="hex"),
    "H2b": _stream("hex, 5 % detection, 30 % multi", 700_000, **_MULTI, kind="hex"),
}


@cache
def _simulated(model: SignalModel, pulses: int) -> Truth:
    return simulate(model, pulses, SEED)


@cache
def _with_starts(model: SignalModel, pulses: int) -> Words:
    block = _simulated(model, pulses).block
    period = round(1e12 / model.pulse_rate_hz / float(model.bin_ps))
    starts = np.arange(pulses, dtype=np.int64) * period
    stops = block.pulse.astype(np.int64) * period + block.time
    order = np.argsort(stops, kind="stable")  # at 1 MHz the slowest ions come after the next start
    stops, channel = stops[order], block.channel[order]
    at = np.searchsorted(starts, stops, "right")
    return Words(
        channel=np.insert(np.full(pulses, START_CHANNEL, np.uint8), at, channel + 1),
        time=np.insert(starts, at, stops),
        period_bins=period,
    )


def blocks_of(block: TdcBlock, words: int) -> list[TdcBlock]:
    """Cut into blocks of about so many words, every pulse whole, no pulse left out."""
    cuts = np.unique(np.searchsorted(block.pulse, block.pulse[words::words], "left"))
    ends = [0, *(int(cut) for cut in cuts if cut > 0), block.n]
    firsts = [block.first_pulse, *(int(block.pulse[end]) for end in ends[1:-1]), block.last_pulse + 1]
    return [
        part_of(block, a, b, first, after - 1)
        for (a, b), (first, after) in zip(pairwise(ends), pairwise(firsts), strict=True)
    ]
