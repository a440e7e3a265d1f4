"""The C wrapper of the TDC8HP's driver without a board, fed by a twin: groups of edges, or a plain stream of them."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd_sim.sdk.building import build, opened
from evapd_sim.sdk.edges import START, EdgeClock

FALLING, ROLLOVER = 0x8000_0000, 0x1000_0000
TURN_BINS = 1 << 24
TRIGGER = 7
INPUTS = np.array([6, 0, 1, 2, 3])  # of the MCP and of the four ends of the lines


class FakeTdc8Hp:
    """One board; the pulses' edge is on input 7, the MCP on 6, the ends of the lines on 0 to 3.

    Args:
        folder: where the library is built.
        period_bins: between two pulses.
        capacity: of the buffer, in words.
    """

    def __init__(self, folder: Path, period_bins: int = 4_000_000, capacity: int = 1 << 20) -> None:
        self.path = build("roentdek/tdc8hp.c", folder)
        push = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
        self.library: Any = opened(self.path, sim_reset=(None, ctypes.c_size_t), sim_push=push)
        self.library.sim_reset(capacity)
        self._period_bins = period_bins
        self._clock = EdgeClock(period_bins, 1.0)
        self._turn = -1
        self._running = False

    def deliver(
        self, pulse_offsets: ArrayLike, channels: ArrayLike, times: ArrayLike, *, pulses: int
    ) -> bool:
        """Measure the next pulses, times in bins; False while nothing is measured."""
        running = bool(self.library.sim_running())
        if running and not self._running:
            self._clock.restart()
            self._turn = -1
        self._running = running
        if not running:
            return False
        make = self.grouped if self.library.sim_grouping() else self.streamed
        words = make(
            np.asarray(pulse_offsets, np.int64),
            np.asarray(channels, np.int64),
            np.asarray(times, np.int64),
            pulses,
        )
        return bool(self.library.sim_push(words.ctypes.data, len(words)) >= 0)

    def grouped(
        self, pulse: NDArray[Any], channel: NDArray[Any], time: NDArray[Any], pulses: int
    ) -> NDArray[np.uint32]:
        """Words of groups: rollover where it changes, the trigger's time, its own edge, then its edges input by input."""
        start = (1 + self._clock.pulses + np.arange(pulses, dtype=np.int64)) * self._period_bins
        self._clock.pulses += pulses
        turn = start // TURN_BINS
        changed = np.flatnonzero(np.diff(turn, prepend=self._turn))
        self._turn = int(turn[-1]) if pulses else self._turn
        edge = (INPUTS[channel] << 24) | (time % TURN_BINS) | FALLING
        places = np.arange(pulses)
        rows: list[tuple[Any, Any, Any]] = [
            (changed, 0, ROLLOVER | turn[changed] % TURN_BINS),
            (places, 1, start % TURN_BINS),
        ]
        rows += [(places, 2, np.full(pulses, FALLING | TRIGGER << 24)), (pulse, 3 + channel, edge)]
        group = np.concatenate([row[0] for row in rows])
        rank = np.concatenate([np.broadcast_to(row[1], len(row[0])) for row in rows])
        word = np.concatenate([row[2] for row in rows])
        return np.ascontiguousarray(word[np.lexsort((rank, group))].astype(np.uint32))

    def streamed(
        self, pulse: NDArray[Any], channel: NDArray[Any], time: NDArray[Any], pulses: int
    ) -> NDArray[np.uint32]:
        """Words in the order of time, rollovers among them."""
        edges = self._clock.edges(pulse, channel, time, pulses=pulses)
        number = np.where(edges.channel == START, TRIGGER, INPUTS[np.maximum(edges.channel, 0)])
        word = (number << 24) | (edges.time_ps % TURN_BINS) | FALLING
        turn = edges.time_ps // TURN_BINS
        changed = np.flatnonzero(np.diff(turn, prepend=self._turn))
        self._turn = int(turn[-1]) if len(turn) else self._turn
        return np.insert(word, changed, ROLLOVER | turn[changed] % TURN_BINS).astype(np.uint32)

    def refuse(self) -> None:
        """Let it refuse to start."""
        self.library.sim_refuse(1)
