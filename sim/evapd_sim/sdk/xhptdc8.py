"""The xHPTDC8 library without a board, fed by a twin."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evapd_sim.sdk.building import build, opened
from evapd_sim.sdk.edges import START, EdgeClock, Edges

HIT = np.dtype([("time", "<i8"), ("channel", "u1"), ("type", "u1"), ("bin", "<u2"), ("reserved", "<u4")])
RISING = 1


class FakeXhptdc8:
    """One board. `deliver` is as that of the simulated TDC; the pulses' edge is on input A, word channel k on input B + k.

    Args:
        folder: where the library is built.
        period_ps: between two pulses.
        bin_ps: of the words' times.
        capacity: of the host buffer, in hits.
    """

    def __init__(
        self, folder: Path, period_ps: int = 100_000_000, bin_ps: float = 1.0, capacity: int = 1 << 20
    ) -> None:
        self.path = build("cronologic/xhptdc8.c", folder)
        self.library: Any = opened(
            self.path,
            sim_reset=(None, ctypes.c_size_t),
            sim_push=(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t),
            sim_serial=(None, ctypes.c_int),
            sim_capturing=(ctypes.c_int,),
        )
        self.library.sim_reset(capacity)
        self._clock = EdgeClock(period_ps, bin_ps)
        self._armed = False

    def deliver(
        self, pulse_offsets: ArrayLike, channels: ArrayLike, times: ArrayLike, *, pulses: int
    ) -> bool:
        """Measure the next pulses; False while nothing is captured."""
        capturing = bool(self.library.sim_capturing())
        if capturing and not self._armed:
            self._clock.restart()
        self._armed = capturing
        if not capturing:
            return False
        hits = self.hits(self._clock.edges(pulse_offsets, channels, times, pulses=pulses))
        return bool(self.library.sim_push(hits.ctypes.data, len(hits)) >= 0)

    def hits(self, edges: Edges) -> np.ndarray[Any, Any]:
        """Edges as the board gives them."""
        hits = np.zeros(len(edges.time_ps), HIT)
        hits["time"] = edges.time_ps
        hits["channel"] = np.where(edges.channel == START, 0, edges.channel + 1)
        hits["type"] = RISING
        return hits

    def refuse(self) -> None:
        """Let it refuse to capture, as without its reference clock."""
        self.library.sim_refuse(1)

    def renumber(self) -> None:
        """Another board is in the slot."""
        self.library.sim_serial((22 << 24) | 8)
