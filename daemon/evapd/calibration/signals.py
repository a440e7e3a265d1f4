"""Signals of single ions, picked out of blocks of words without knowing anything about the anode."""

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import TdcBlock

Bins = NDArray[np.int32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_PER_CHANNEL = 6  # words on one channel of a crowded pulse that is still looked at


class PulseTable:
    """The words of a block, grouped by pulse; words on channels that the anode has not are left out.

    Words that are out of order split a pulse into two, which only makes fewer pulses complete.
    """

    def __init__(self, block: TdcBlock, channels: int) -> None:
        known = block.channel < channels
        whole = bool(known.all())
        pulse = block.pulse if whole else block.pulse[known]
        self.channels = channels
        self.channel = (block.channel if whole else block.channel[known]).astype(np.int64)
        self.time = block.time if whole else block.time[known]
        new = np.ones(len(pulse), np.bool_)
        new[1:] = pulse[1:] != pulse[:-1]
        self.group = np.cumsum(new) - 1
        cells = int(new.sum()) * channels
        self.counts = np.bincount(self.group * channels + self.channel, minlength=cells).reshape(-1, channels)

    def lone(self) -> Bins:
        """Times of the pulses with exactly one word on every channel, shape (n, channels), in bins."""
        chosen, row = self._rows(np.all(self.counts == 1, axis=1))
        out = np.zeros((int(row.max(initial=-1)) + 1, self.channels), np.int32)
        out[row[chosen], self.channel[chosen]] = self.time[chosen]
        return out

    def crowded(self) -> Floats:
        """Times of the pulses with one to MOST_PER_CHANNEL words on every channel, and more than one somewhere.

        Returns:
            Shape (n, channels, MOST_PER_CHANNEL), in bins, NaN where there is no word.
        """
        most = self.counts.max(axis=1, initial=0)
        few = (self.counts.min(axis=1, initial=2) >= 1) & (most <= MOST_PER_CHANNEL)
        chosen, row = self._rows(few & (most > 1))
        at = np.flatnonzero(chosen)
        cell = row[at] * self.channels + self.channel[at]
        order = np.argsort(cell, kind="stable")
        out = np.full(((int(row.max(initial=-1)) + 1) * self.channels, MOST_PER_CHANNEL), np.nan)
        out[cell[order], _rank(cell[order])] = self.time[at[order]]
        return out.reshape(-1, self.channels, MOST_PER_CHANNEL)

    def gaps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Distances between neighbouring words of one channel in one pulse: channel and distance in bins."""
        busy = (self.counts.max(axis=1, initial=0) > 1)[self.group]
        cell = (self.group * self.channels + self.channel)[busy]
        time = self.time[busy].astype(np.int64)
        order = np.lexsort((time, cell))
        cell, time = cell[order], time[order]
        same = cell[1:] == cell[:-1]
        return cell[1:][same] % self.channels, (time[1:] - time[:-1])[same]

    def _rows(self, chosen: Flags) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which words belong to the chosen pulses, and in which row of the result each word goes."""
        row = np.where(chosen, np.cumsum(chosen) - 1, -1)
        if not len(self.group):
            return np.zeros(0, np.bool_), np.zeros(0, np.int64)
        return chosen[self.group], row[self.group]


def lone_signals(block: TdcBlock, channels: int) -> Floats:
    """Times of the pulses that have exactly one word on every channel.

    Args:
        block: any block; words on other channels are ignored.
        channels: number of channels of the anode, MCP included: 5 or 7.

    Returns:
        Times in ps after the pulse, shape (n, channels), in the order of the pulses.
    """
    return PulseTable(block, channels).lone().astype(float) * float(block.bin_ps)


def _rank(sorted_cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of each entry among the equal ones before it."""
    index = np.arange(len(sorted_cells))
    new = np.ones(len(sorted_cells), np.bool_)
    new[1:] = sorted_cells[1:] != sorted_cells[:-1]
    return index - np.maximum.accumulate(np.where(new, index, 0))
