"""What the guard writes down: loop, slow and event frames into its own journal, which acquire follows and publishes."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evapd.device.tracing import KIND as TRACE
from evapd.guard.types import LOOP_COLUMNS, Event, LoopSample
from evapd.logging import present_run
from evapd.record.journal import JournalWriter, Policy
from evapd.record.journal.segments import SUFFIX
from evapd.rpc.audit import KIND as COMMAND
from evapd.stream.frame import EVENT, LOOP, SLOW, Frame, Framer

_log = logging.getLogger(__name__)
PREFIX = "guard"
_SEGMENT_BYTES = 64_000_000
_QUEUE_BYTES = 16_000_000
_KEPT = 16  # segments of the standing journal: a gigabyte, about five days without a run
_REVIVE_S = 10.0
_LOW_BYTES = 200_000_000  # told as an alarm; the guard writes on, to the last byte
# The workers log their own, bytes are not for the log, and the audit has one of its own.
_NOT_LOGGED = {"device", TRACE, COMMAND}
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "alarm": logging.ERROR}


class Chronicle:
    """Frames and journal. A disk that fails is told and costs the record, never the guard."""

    def __init__(
        self,
        standing: Path,
        framer: Framer,
        clock: Callable[[], float],
        on_fault: Callable[[str], None],
    ) -> None:
        """Begin in the standing folder, where the oldest segments make room for new ones."""
        self._standing = standing
        self._framer = framer
        self._on_fault = on_fault
        self._low = False
        # Opened behind: a disk that hangs keeps no guard from watching over the specimen.
        self._writer = JournalWriter(
            standing,
            prefix=PREFIX,
            segment_bytes=_SEGMENT_BYTES,
            queue_bytes=_QUEUE_BYTES,
            reserve_bytes=0,
            on_fault=on_fault,
            clock=clock,
            policy=Policy(
                advice="The guard goes on and writes again when the disk takes it; {cure}",
                opens_behind=True,
                revive_s=_REVIVE_S,
                keep_segments=_KEPT,
                keep_in=standing,
            ),
        )

    @property
    def journal(self) -> str:
        """The segment being written, "" before there is one."""
        segment = self._writer.segment
        return str(segment) if segment.suffix == SUFFIX else ""

    @property
    def fault(self) -> str:
        """What is wrong with the record now, "" when nothing is."""
        if self._writer.broken:
            return self._writer.faults[-1]
        return f"only {(self._writer.free_bytes or 0) / 1e6:.0f} MB are free: make room" if self._low else ""

    @property
    def lost(self) -> int:
        """Frames that were not written."""
        return self._writer.lost

    def run_begins(self, run_id: str, folder: Path) -> None:
        """Go on in the run's folder."""
        self._framer.run = run_id
        present_run(run_id)
        self._writer.move_to(folder / "journal" / PREFIX)

    def run_ends(self) -> None:
        """Go back to the standing folder."""
        self._framer.run, self._framer.segment = "", 0
        present_run("")
        self._writer.move_to(self._standing)

    def sample(self, row: LoopSample, lateness_us: float) -> None:
        """Write one row of the loop."""
        values = {
            column: [lateness_us if column.name == "lateness_us" else getattr(row, column.name)]
            for column in LOOP_COLUMNS
        }
        self._append(self._framer.samples(LOOP, values))

    def slow(self, devices: Mapping[str, Any], t_mono_us: int, **more: Any) -> None:
        """Write the state of all devices, and what else is told once a second."""
        self._watch_room()
        self._append(self._framer.document(SLOW, {"devices": devices, "t_mono_us": t_mono_us, **more}))

    def event(self, event: Event) -> None:
        """Write an event, and log it."""
        if event.kind == "segment":
            self._framer.segment += 1
        if event.kind not in _NOT_LOGGED:
            _log.log(_LEVELS[event.severity], "%s: %s", event.kind, event.what)
        self._append(self._framer.document(EVENT, event.document()))

    def close(self) -> None:
        """Write what is queued and end."""
        self._writer.close(5.0)

    def _append(self, frame: Frame) -> None:
        self._writer.append(frame)

    def _watch_room(self) -> None:
        """Tell once when the disk is nearly full; the guard itself needs none of it."""
        free = self._writer.free_bytes
        if free is None:
            return
        if not self._low and free < _LOW_BYTES:
            self._low = True
            self._on_fault(
                f"journal {self.journal}: {self.fault}; the guard goes on without its record when it is full"
            )
        elif self._low and free > 2 * _LOW_BYTES:
            self._low = False
