"""The library of TimeTagger4 and xTDC4 without a board, fed by a twin: a packet for every pulse."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd_sim.sdk.building import build, opened

RISING, ROLLOVER, COARSE = 0x1, 0x2, 0x4
TYPE_32_BIT_UNSIGNED = 6
ODD = 1
TIME_BINS = 1 << 24


def packed(
    pulse: NDArray[Any], channel: NDArray[Any], time: NDArray[Any], pulses: int, start_bins: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Packets of the next `pulses` pulses as 64-bit words.

    Args:
        pulse: pulse of each word from 0, ascending, shape (n,).
        channel: stop of each word, 0 to 3.
        time: bins after its start; where the 24 bits of a hit are not enough, rollover words stand before it.
        pulses: how many packets.
        start_bins: time of each start, shape (pulses,).
    """
    wraps = time // TIME_BINS
    fresh = np.ones(len(pulse), np.bool_)
    fresh[1:] = pulse[1:] != pulse[:-1]
    more = wraps.copy()
    more[1:] -= np.where(fresh[1:], 0, wraps[:-1])
    places = np.arange(len(pulse)) + np.cumsum(more)  # of the hits among all words
    hits = np.full(len(pulse) + int(more.sum()), ROLLOVER << 4, np.uint32)
    hits[places] = ((time % TIME_BINS).astype(np.uint32) << 8) | np.uint32((COARSE | RISING) << 4) | channel
    counts = np.bincount(pulse, more + 1, pulses).astype(np.int64)
    lengths = (counts + 1) // 2
    begins = np.concatenate(([0], np.cumsum(lengths + 2)))
    words = np.zeros(begins[-1], np.uint64)
    flags = np.where(counts % 2, ODD, 0).astype(np.uint64)
    words[begins[:-1]] = (
        np.uint64(TYPE_32_BIT_UNSIGNED << 16)
        | (flags << np.uint64(24))
        | (lengths.astype(np.uint64) << np.uint64(32))
    )
    words[begins[:-1] + 1] = start_bins.astype(np.uint64)
    halves = words.view("<u4")
    first = np.concatenate(([0], np.cumsum(counts)))[:-1]
    halves[np.repeat(2 * (begins[:-1] + 2) - first, counts) + np.arange(len(hits))] = hits
    return words


class FakeTdc4:
    """One board; word channel 1 + k is on stop k, words of the MCP (channel 0) have none.

    Args:
        folder: where the library is built.
        period_bins: between two pulses.
        capacity: of the host buffer in bytes.
    """

    def __init__(self, folder: Path, period_bins: int = 200_000, capacity: int = 1 << 24) -> None:
        self.path = build("cronologic/tdc4.c", folder)
        self.library: Any = opened(
            self.path,
            sim_reset=(None, ctypes.c_size_t),
            sim_push=(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t),
            sim_unacknowledged=(ctypes.c_size_t,),
        )
        self.library.sim_reset(capacity)
        self._period_bins, self._starts = period_bins, 0

    def deliver(
        self, pulse_offsets: ArrayLike, channels: ArrayLike, times: ArrayLike, *, pulses: int
    ) -> bool:
        """Measure the next pulses; False while nothing is captured."""
        if not self.library.sim_capturing():
            return False
        channel = np.asarray(channels, np.int64)
        wired = np.flatnonzero(channel > 0)
        start_bins = (self._starts + np.arange(pulses, dtype=np.int64)) * self._period_bins
        self._starts += pulses
        words = packed(
            np.asarray(pulse_offsets, np.int64)[wired],
            channel[wired].astype(np.uint32) - np.uint32(1),
            np.asarray(times, np.int64)[wired],
            pulses,
            start_bins,
        )
        return bool(self.library.sim_push(words.ctypes.data, words.nbytes) >= 0)

    def refuse(self) -> None:
        """Let it refuse to capture, as without its reference clock."""
        self.library.sim_refuse(1)

    def renumber(self) -> None:
        """Another board is in the slot."""
        self.library.sim_serial((24 << 24) | 6)
