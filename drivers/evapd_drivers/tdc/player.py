"""Blocks of something recorded, cut anew by pulse number: as far as its time has come, without gap or overlap, from pulse 0."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from evapd.blocks import HitBlock, Loss, TdcBlock

B = TypeVar("B", TdcBlock, HitBlock)
MOST_HIT_PULSES = 2**32 - 1  # that a block of hits can number


class Player(Generic[B]):
    """Plays blocks that ascend in pulse.

    Pulses between two blocks had no words. Where the recorded counter falls, what comes for the second time is left out
    and flagged. What was flagged in the recording stays flagged, inhibited pulses are told with the last pulses of
    their block.

    Args:
        blocks: from the beginning.
    """

    def __init__(self, blocks: Iterator[B]) -> None:
        self._blocks: Iterator[B] = blocks
        self._block: B | None = next(blocks, None)
        self._shift: int = 0 if self._block is None else self._block.first_pulse  # recorded number of pulse 0
        self._at = 0  # words of the block that were played
        self._loss: Loss = Loss.NONE if self._block is None else self._block.loss
        self.due = 0  # next pulse

    @property
    def over(self) -> bool:
        """Whether everything was played."""
        return self._block is None

    def take(self, until: int) -> B | None:
        """Give the next pulses, up to `until` - 1 at most and within one recorded block; None where there are none."""
        block = self._block
        if block is None or until <= self.due:
            return None
        end = min(block.last_pulse + 1 - self._shift, until)
        if isinstance(block, HitBlock):
            end = min(end, self.due + MOST_HIT_PULSES)
        pulse = np.asarray(block.pulse, np.int64) - self._shift
        if isinstance(block, HitBlock):
            pulse += block.first_pulse
        a, loss = self._at, self._loss
        if a == 0 and len(pulse) and pulse[0] < self.due:
            a = int(np.searchsorted(pulse, self.due))
            loss |= Loss.COUNTER_JUMP | Loss.DAMAGED
        b = max(a, int(np.searchsorted(pulse, end)))
        first, self.due = self.due, max(end, self.due)
        self._at, self._loss = b, Loss.NONE
        finished = end >= block.last_pulse + 1 - self._shift
        inhibited = min(block.inhibited_pulses, self.due - first) if finished else 0
        if finished:
            self._block = next(self._blocks, None)
            self._at, self._loss = 0, Loss.NONE if self._block is None else self._block.loss
        shared = {
            "first_pulse": first,
            "last_pulse": self.due - 1,
            "loss": loss,
            "inhibited_pulses": inhibited,
        }
        piece: B = _piece(block, slice(a, b), pulse[a:b], shared)
        return piece


def _piece(block: B, chosen: slice, pulse: Any, shared: dict[str, Any]) -> B:
    """Some words or hits of a block, `pulse` their numbers in the replay; whose calibration it was is not carried on."""
    if isinstance(block, TdcBlock):
        return TdcBlock(
            bin_ps=block.bin_ps,
            pulse=pulse.astype(np.uint64),
            channel=block.channel[chosen],
            time=block.time[chosen],
            **shared,
        )
    columns: dict[str, Any] = {
        name: getattr(block, name)[chosen] for name in ("tof_ps", "x_um", "y_um", "quality", "multiplicity")
    }
    return HitBlock(
        pulse=(pulse - shared["first_pulse"]).astype(np.uint32),
        **columns,
        **shared,
    )
