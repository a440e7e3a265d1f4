"""Which pulses were live, run-length coded, and which blocks carried them."""

import h5py
import numpy as np

from evapd.blocks import HitBlock, Loss
from evapd.record.columns import GrowingColumn

_ROWS = 4096
LIVE, INHIBITED, MIXED, UNCOVERED = 0, 1, 2, 3
_CODES = ["0: all live", "1: none live", "2: some live, see `inhibited`", "3: no block covers them: lost"]


class PulseTable:
    """Runs of pulses of one kind, and one row per block of hits."""

    def __init__(self, runs: h5py.Group, blocks: h5py.Group) -> None:
        self.pulses = 0
        self.inhibited = 0
        self.uncovered = 0
        self.lossy_blocks = 0
        self._next_pulse: int | None = None
        self._run: tuple[int, int, int, int] | None = None  # first, last, kind, inhibited
        self._runs = {
            name: GrowingColumn(runs, name, dtype, rows=_ROWS)
            for name, dtype in (
                ("first_pulse", "<u8"),
                ("last_pulse", "<u8"),
                ("kind", "|u1"),
                ("inhibited", "<u8"),
            )
        }
        self._runs["kind"].dataset.attrs["codes"] = _CODES
        self._blocks = {
            name: GrowingColumn(blocks, name, dtype, rows=_ROWS, units=units)
            for name, dtype, units in (
                ("first_pulse", "<u8", ""),
                ("pulses", "<u4", ""),
                ("hits", "<u4", ""),
                ("anchor_pulse", "<u8", ""),
                ("anchor_t_mono", "<i8", "us"),
                ("loss", "|u1", ""),
                ("segment", "<u4", ""),
            )
        }
        self._blocks["loss"].dataset.attrs["flags"] = [f"{flag.value}: {flag.name}" for flag in Loss]

    def add(self, block: HitBlock, segment: int) -> None:
        """Take one block into account."""
        row = (
            block.first_pulse,
            block.pulses,
            block.n,
            block.anchor.pulse,
            block.anchor.t_mono_us,
            int(block.loss),
            segment,
        )
        for column, value in zip(self._blocks.values(), row, strict=True):
            column.append(np.array([value]))
        self.lossy_blocks += block.loss != Loss.NONE
        if block.pulses <= 0:
            return
        if self._next_pulse is not None and block.first_pulse > self._next_pulse:
            self.uncovered += block.first_pulse - self._next_pulse
            self._extend(self._next_pulse, block.first_pulse - 1, UNCOVERED, 0)
        self._next_pulse = block.last_pulse + 1
        self.pulses += block.pulses
        self.inhibited += block.inhibited_pulses
        kinds = {0: LIVE, block.pulses: INHIBITED}
        self._extend(
            block.first_pulse,
            block.last_pulse,
            kinds.get(block.inhibited_pulses, MIXED),
            block.inhibited_pulses,
        )

    def close(self) -> None:
        """Write what is buffered."""
        self._end_run()
        for column in (*self._runs.values(), *self._blocks.values()):
            column.flush()

    def _extend(self, first: int, last: int, kind: int, inhibited: int) -> None:
        if self._run is not None:
            before_first, before_last, before_kind, before_inhibited = self._run
            if kind == before_kind != MIXED and first == before_last + 1:
                self._run = (before_first, last, kind, before_inhibited + inhibited)
                return
            self._end_run()
        self._run = (first, last, kind, inhibited)

    def _end_run(self) -> None:
        if self._run is not None:
            for column, value in zip(self._runs.values(), self._run, strict=True):
                column.append(np.array([value]))
            self._run = None
