"""Which pulses were live, run-length coded, and which blocks carried them."""

from typing import Any, NamedTuple

import numpy as np

from evapd.blocks import Anchor, Loss
from evapd.record.finalising.spool import Spool

_ROWS = 4096
LIVE, INHIBITED, MIXED, UNCOVERED = 0, 1, 2, 3
_CODES = ["0: all live", "1: none live", "2: some live, see `inhibited`", "3: no block covers them: lost"]
_RUNS = {"first_pulse": "<u8", "last_pulse": "<u8", "kind": "|u1", "inhibited": "<u8", "segment": "<u4"}
_BLOCKS = {
    "first_pulse": ("<u8", ""),
    "pulses": ("<u4", ""),
    "hits": ("<u4", ""),
    "anchor_pulse": ("<u8", ""),
    "anchor_t_mono": ("<i8", "us"),
    "loss": ("|u1", ""),
    "segment": ("<u4", ""),
    "inhibited": ("<u4", ""),
}
_COUNTS = ("pulses", "inhibited", "uncovered", "lossy_blocks")


_Run = tuple[int, int, int, int, int]


class Covered(NamedTuple):
    """What one block covers: pulses from first to last, both included."""

    first: int
    last: int
    hits: int
    inhibited: int
    anchor: Anchor
    loss: int
    segment: int


class PulseTable:
    """Runs of pulses of one kind and segment, and one row per block of hits."""

    def __init__(self, spool: Spool, runs: str, blocks: str) -> None:
        """Prepare; `runs` and `blocks` are groups of the file."""
        self.pulses = 0
        self.inhibited = 0
        self.uncovered = 0
        self.lossy_blocks = 0
        self._next_pulse: int | None = None
        self._run: _Run | None = None  # first, last, kind, inhibited, segment
        codes = {"kind": {"codes": _CODES}}
        flags = {"loss": {"flags": [f"{flag.value}: {flag.name}" for flag in Loss]}}
        self._runs = [
            spool.column(f"{runs}/{name}", dtype, rows=_ROWS, units="1", attributes=codes.get(name))
            for name, dtype in _RUNS.items()
        ]
        self._blocks = [
            spool.column(
                f"{blocks}/{name}", dtype, rows=_ROWS, units=units or "1", attributes=flags.get(name)
            )
            for name, (dtype, units) in _BLOCKS.items()
        ]
        self._run_rows: list[tuple[int, ...]] = []
        self._block_rows: list[tuple[int, ...]] = []

    def add(self, block: Covered) -> None:
        """Take one block into account."""
        first, last, inhibited, segment = block.first, block.last, block.inhibited, block.segment
        pulses = last - first + 1
        self._block_rows.append(
            (first, max(0, pulses), block.hits, *block.anchor, block.loss & 0xFF, segment, inhibited)
        )
        if len(self._block_rows) >= _ROWS:
            self._write(self._blocks, self._block_rows)
        self.lossy_blocks += block.loss != 0
        if pulses <= 0:
            return
        if self._next_pulse is not None and first > self._next_pulse:
            self.uncovered += first - self._next_pulse
            self._extend((self._next_pulse, first - 1, UNCOVERED, 0, segment))
        self._next_pulse = last + 1
        self.pulses += pulses
        self.inhibited += inhibited
        kind = LIVE if inhibited == 0 else INHIBITED if inhibited == pulses else MIXED
        self._extend((first, last, kind, inhibited, segment))

    def close(self) -> None:
        """Write what is held back."""
        self._end_run()
        self._write(self._runs, self._run_rows)
        self._write(self._blocks, self._block_rows)

    def kept(self) -> dict[str, Any]:
        """Give what is needed to go on later."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        pending = {"run_rows": self._run_rows, "block_rows": self._block_rows}
        return counts | pending | {"next_pulse": self._next_pulse, "run": self._run}

    def restore(self, kept: dict[str, Any]) -> None:
        """Go on with what `kept` gave."""
        for name in _COUNTS:
            setattr(self, name, kept[name])
        self._next_pulse, self._run = kept["next_pulse"], kept["run"] and tuple(kept["run"])
        self._run_rows = [tuple(row) for row in kept["run_rows"]]
        self._block_rows = [tuple(row) for row in kept["block_rows"]]

    def _extend(self, run: _Run) -> None:
        first, last, kind, inhibited, segment = run
        if self._run is not None:
            run_first, run_last, run_kind, run_inhibited, run_segment = self._run
            if kind == run_kind != MIXED and segment == run_segment and first == run_last + 1:
                self._run = (run_first, last, kind, run_inhibited + inhibited, segment)
                return
            self._end_run()
        self._run = run

    def _end_run(self) -> None:
        if self._run is not None:
            self._run_rows.append(self._run)
            self._run = None
            if len(self._run_rows) >= _ROWS:
                self._write(self._runs, self._run_rows)

    @staticmethod
    def _write(columns: list[Any], rows: list[tuple[int, ...]]) -> None:
        for column, values in zip(columns, zip(*rows, strict=True), strict=bool(rows)):
            column.append(np.array(values, dtype=column.dtype))
        rows.clear()
