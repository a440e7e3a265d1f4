"""Blocks of TDC words and hits: structure of arrays, little endian, integers in physical units.

A block is made once and never changed: its arrays are set read-only, because a published array that is
written again would reach subscribers with the new content (zero copy above 64 KiB).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntFlag
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray


class Column(NamedTuple):
    """One column of a block: name, little-endian dtype string, and unit."""

    name: str
    dtype: str
    unit: str


TDC_COLUMNS = (
    Column("pulse", "<u8", "pulse"),  # absolute, ascending
    Column("channel", "|u1", ""),  # 0 MCP, 1 x1, 2 x2, 3 y1, 4 y2; hex 1..6 = u1 u2 v1 v2 w1 w2
    Column("time", "<i4", "bin"),  # bins after that pulse, ascending within a pulse
)
HIT_COLUMNS = (
    Column("pulse", "<u4", "pulse"),  # offset from first_pulse
    Column("tof_ps", "<i4", "ps"),  # raw: no t0 subtracted
    Column("x_um", "<i4", "um"),
    Column("y_um", "<i4", "um"),
    Column("quality", "|u1", ""),  # 0 = all signals seen and consistent
    Column("multiplicity", "|u1", ""),  # hits reconstructed in the same pulse, 255 = that many or more
)


class Loss(IntFlag):
    """What may be missing from a block. Any flag but NONE means: never read the block as a low rate."""

    NONE = 0
    WORDS_LOST = 1  # the hardware says that it dropped words
    SATURATED = 2  # a FIFO is or was full
    SEQUENCE_GAP = 4  # frames are missing on the way from the TDC
    COUNTER_JUMP = 8  # the pulse counter moved in a way pulses cannot explain
    DAMAGED = 16  # words were discarded as impossible (channel, order, range)
    OVERFLOW = 32  # our own bounded queue was full


class Anchor(NamedTuple):
    """One instant known in both clocks: a pulse number and CLOCK_MONOTONIC in microseconds."""

    pulse: int
    t_mono_us: int


NO_ANCHOR = Anchor(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TdcBlock:
    """TDC words of the pulses `first_pulse` to `last_pulse` (both included, so empty pulses count).

    A block without a new pulse has `last_pulse == first_pulse - 1`. `inhibited_pulses` of the range
    were counted by the hardware but were not live.
    """

    first_pulse: int
    last_pulse: int
    bin_ps: Fraction
    pulse: NDArray[np.uint64]
    channel: NDArray[np.uint8]
    time: NDArray[np.int32]
    anchor: Anchor = NO_ANCHOR
    loss: Loss = Loss.NONE
    inhibited_pulses: int = 0

    def __post_init__(self) -> None:
        for array in (self.pulse, self.channel, self.time):
            array.flags.writeable = False

    @property
    def n(self) -> int:
        """Number of words."""
        return len(self.pulse)

    @property
    def pulses(self) -> int:
        """Number of pulses covered, empty ones included."""
        return self.last_pulse - self.first_pulse + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HitBlock:
    """Hits of the pulses `first_pulse` to `last_pulse` (both included): 18 bytes per hit."""

    first_pulse: int
    last_pulse: int
    pulse: NDArray[np.uint32]
    tof_ps: NDArray[np.int32]
    x_um: NDArray[np.int32]
    y_um: NDArray[np.int32]
    quality: NDArray[np.uint8]
    multiplicity: NDArray[np.uint8]
    anchor: Anchor = NO_ANCHOR
    calibration: str = ""
    loss: Loss = Loss.NONE
    inhibited_pulses: int = field(default=0)

    def __post_init__(self) -> None:
        for array in (self.pulse, self.tof_ps, self.x_um, self.y_um, self.quality, self.multiplicity):
            array.flags.writeable = False

    @property
    def n(self) -> int:
        """Number of hits."""
        return len(self.pulse)

    @property
    def pulses(self) -> int:
        """Number of pulses covered, empty ones included."""
        return self.last_pulse - self.first_pulse + 1


def join_words(blocks: Sequence[TdcBlock]) -> TdcBlock:
    """Join consecutive blocks of one run; the anchor is that of the last.

    Raises:
        ValueError: when there is none, or when the bin widths differ.
    """
    if not blocks or any(block.bin_ps != blocks[0].bin_ps for block in blocks):
        raise ValueError("join_words needs at least one block, all with one bin width")
    if len(blocks) == 1:
        return blocks[0]
    columns: dict[str, Any] = {
        c.name: np.concatenate([getattr(b, c.name) for b in blocks]) for c in TDC_COLUMNS
    }
    return TdcBlock(**columns, bin_ps=blocks[0].bin_ps, **_joined(blocks))


def join_hits(blocks: Sequence[HitBlock]) -> HitBlock:
    """Join consecutive blocks of one run; pulses become offsets from the first block's first pulse.

    Raises:
        ValueError: when there is none, or when the calibrations differ.
    """
    if not blocks or any(block.calibration != blocks[0].calibration for block in blocks):
        raise ValueError("join_hits needs at least one block, all of one calibration")
    if len(blocks) == 1:
        return blocks[0]
    columns: dict[str, Any] = {
        c.name: np.concatenate([getattr(b, c.name) for b in blocks]) for c in HIT_COLUMNS
    }
    shifts = np.array([block.first_pulse - blocks[0].first_pulse for block in blocks], dtype=np.uint32)
    columns["pulse"] += np.repeat(shifts, [block.n for block in blocks])
    return HitBlock(**columns, calibration=blocks[0].calibration, **_joined(blocks))


def _joined(blocks: Sequence[TdcBlock] | Sequence[HitBlock]) -> dict[str, Any]:
    loss = Loss.NONE
    for block in blocks:
        loss |= block.loss
    return {
        "first_pulse": blocks[0].first_pulse,
        "last_pulse": blocks[-1].last_pulse,
        "anchor": blocks[-1].anchor,
        "loss": loss,
        "inhibited_pulses": sum(block.inhibited_pulses for block in blocks),
    }


B = TypeVar("B", TdcBlock, HitBlock)


def split(block: B, most: int) -> list[B]:
    """Cut a block into consecutive ones of `most` rows or fewer; a pulse that has more by itself is left whole.

    Joined again they are the block: the same pulses, empty ones included, the anchor and loss flags in each part, and
    as many inhibited pulses in all.
    """
    cuts: list[int] = _cuts(block, most)
    if len(cuts) == 2:
        return [block]
    offset: int = block.first_pulse if isinstance(block, HitBlock) else 0
    firsts = [
        block.first_pulse,
        *(int(block.pulse[cut]) + offset for cut in cuts[1:-1]),
        block.last_pulse + 1,
    ]
    told = [round(block.inhibited_pulses * (first - firsts[0]) / block.pulses) for first in firsts]
    parts: list[B] = []
    for k, (a, b) in enumerate(pairwise(cuts)):
        names = TDC_COLUMNS if isinstance(block, TdcBlock) else HIT_COLUMNS
        columns: dict[str, Any] = {column.name: getattr(block, column.name)[a:b] for column in names}
        if isinstance(block, HitBlock):
            columns["pulse"] = columns["pulse"] - np.uint32(firsts[k] - offset)
        parts.append(
            replace(
                block, first_pulse=firsts[k], last_pulse=firsts[k + 1] - 1, inhibited_pulses=told[k + 1] - told[k],
                **columns,
            )
        )  # fmt: skip
    return parts


def _cuts(block: TdcBlock | HitBlock, most: int) -> list[int]:
    """Rows at which parts begin, and the end; always at the first row of a pulse."""
    cuts = [0]
    while block.n - cuts[-1] > most:
        a = cuts[-1]
        pulse = block.pulse[a + most]
        cut = int(np.searchsorted(block.pulse, pulse, "left"))
        if cut <= a:  # a pulse of more than `most` rows
            cut = int(np.searchsorted(block.pulse, pulse, "right"))
        if cut >= block.n:
            break
        cuts.append(cut)
    return [*cuts, block.n]
