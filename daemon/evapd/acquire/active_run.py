"""The run under way: its folder, journal, matcher and pipeline; opened in one order, closed in the reverse."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evapd.acquire.bus import Bus
from evapd.acquire.counts import Counter
from evapd.acquire.description import describe_run
from evapd.acquire.ends import Ends
from evapd.acquire.pipeline import HARDWARE, Pipeline
from evapd.acquire.readout import Readout
from evapd.acquire.time_sums import TimeSumWatch
from evapd.blocks import Loss
from evapd.calibration.tracker import SumState
from evapd.config import LoadedRig
from evapd.errors import DeviceTimeout
from evapd.live.tap import HitTap
from evapd.matching import Anode, Matcher, MatchSettings
from evapd.record.journal import JournalWriter
from evapd.record.livecopy import LiveCopy
from evapd.record.run import (
    ACQUIRE_PREFIX,
    GUARD_PREFIX,
    Condition,
    Note,
    RunInfo,
    RunStore,
    Segment,
    StateChange,
    new_run_folder,
)

JOURNAL_QUEUE_BYTES = 512 * 1024 * 1024
ARM_S = 3.0
DISARM_S = 3.0
DRAIN_S = 60.0


class ActiveRun:
    """One run from the making of its folder to the closing of its record."""

    def __init__(
        self,
        loaded: LoadedRig,
        bus: Bus,
        readout: Readout,
        counter: Counter,
        *,
        name: str,
        notes: str,
        tap: HitTap | None = None,
    ) -> None:
        self.name, self.opened, self.guard_seen = name, False, False
        self.ends = Ends(loaded.rig.end)
        self._loaded, self._bus, self._readout, self._counter = loaded, bus, readout, counter
        self._notes, self._tap = notes, tap
        self._t_utc_us, self._t_mono_us = time.time_ns() // 1000, time.monotonic_ns() // 1000
        self._store = RunStore(new_run_folder(loaded.layout.runs, name, self._t_utc_us))
        self._journal: JournalWriter | None = None
        self._copy: LiveCopy | None = None
        self._pipeline: Pipeline | None = None
        self._time_sums: TimeSumWatch | None = None

    @property
    def id(self) -> str:
        """Name of the run folder."""
        return self._store.folder.name

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self._store.folder

    def elapsed_s(self) -> float:
        """Seconds since the run was asked for."""
        return time.monotonic() - self._t_mono_us / 1e6

    def open(self, guard_identities: dict[str, Any]) -> None:
        """Make the folder, open the journal, and start the consumers; the source comes last, by `arm()`."""
        record = self._loaded.rig.record
        anode = Anode.load(self._loaded.anode_path)
        matching = MatchSettings(**self._loaded.rig.matching.model_dump())
        hits = self._readout.delivers_hits
        matcher = None if hits else Matcher(anode, matching)
        self._store.create(
            describe_run(
                self._loaded,
                anode,
                matching,
                run_id=self.id,
                name=self.name,
                notes=self._notes,
                instance=self._bus.framer.instance,
                devices=guard_identities,
                t_utc_us=self._t_utc_us,
                t_mono_us=self._t_mono_us,
                calibration=HARDWARE if hits else anode.calibration_id,
            )
        )
        self.opened = True
        segment_bytes, reserve_bytes = int(record.segment_mb * 1e6), int(record.reserve_mb * 1e6)
        self._journal = JournalWriter(
            self._store.journal,
            prefix=ACQUIRE_PREFIX,
            segment_bytes=segment_bytes,
            queue_bytes=JOURNAL_QUEUE_BYTES,
            reserve_bytes=reserve_bytes,
            on_fault=self._on_fault,
            clock=time.monotonic,
        )
        if record.second_copy is not None:
            self._copy = LiveCopy(
                self._journal,
                self._store,
                record.second_copy,
                segment_bytes=segment_bytes,
                queue_bytes=JOURNAL_QUEUE_BYTES,
                reserve_bytes=reserve_bytes,
                on_fault=self._on_copy_fault,
                clock=time.monotonic,
            )
        self._counter.reset()
        journal = self._journal
        self._bus.older.follow(self._store.journal, ACQUIRE_PREFIX, waiting=lambda: journal.queued_bytes > 0)
        self._bus.older.follow(self._store.guard_journal, GUARD_PREFIX)
        self._bus.open_journal(self._copy.journal if self._copy else self._journal, self.id)
        watch = None
        if not hits:
            watch = TimeSumWatch(anode, self._loaded.rig.time_sums, matching, self._bus.event, time.monotonic)
        self._time_sums = watch
        if self._tap is not None:
            self._tap.begin(self.id)
        self._pipeline = Pipeline(
            self._readout,
            matcher,
            self._counter,
            self._bus.framer,
            self._bus,
            words=record.raw_words,
            look=watch.offer if watch else None,
            tap=self._tap.offer if self._tap else None,
        )
        self._pipeline.start()

    def arm(self) -> None:
        """Arm the TDC and wait for its first heartbeat.

        Raises:
            DeviceTimeout: when it does not come.
        """
        self._readout.arm()
        deadline_s = time.monotonic() + ARM_S
        while not (self._readout.armed.is_set() and self._readout.blocks_taken > 0):
            if time.monotonic() > deadline_s:
                why = self._readout.last_error or "armed, but no heartbeat came"
                raise DeviceTimeout(f"TDC '{self._readout.name}' does not deliver: {why}")
            time.sleep(0.005)
        self._change_state("running")

    def disarm(self, alive: Callable[[], None]) -> None:
        """Stop the source, take what is under way, flush the pipeline; what fails is told, the rest goes on.

        `alive` is called while it waits.
        """
        self._readout.disarm()
        deadline_s = time.monotonic() + DISARM_S
        while self._readout.armed.is_set() and time.monotonic() < deadline_s:
            time.sleep(0.005)
        if self._pipeline is None:
            return
        deadline_s = time.monotonic() + DRAIN_S
        while not (drained := self._pipeline.drain(0.5)) and time.monotonic() < deadline_s:
            alive()
        if not drained:
            self._bus.event(
                "pipeline", "alarm", f"matching did not drain within {DRAIN_S:.0f} s, hits are missing"
            )

    def failure(self) -> str | None:
        """Say what has broken of the run's own parts, or None."""
        if self._pipeline is not None and self._pipeline.error is not None:
            return f"matching failed: {self._pipeline.error!r}; the words are recorded, see the log"
        if not self._readout.armed.is_set():
            why = self._readout.last_error or "it is no longer armed"
            return f"the TDC '{self._readout.name}' is lost: {why}"
        if self._journal is not None and self._journal.broken:
            return f"recording failed: {self._journal.faults[-1]}"
        return None

    def watch_time_sums(self) -> None:
        """See whether the time sums are still where the calibration has them."""
        if self._time_sums is not None:
            self._time_sums.tick()

    def time_sums(self) -> dict[str, Any] | None:
        """How the time sums stand."""
        return self._time_sums.now.as_dict() if self._time_sums is not None else None

    @property
    def time_sums_lost(self) -> bool:
        """Whether the signals of the delay lines do not belong together any more."""
        return self._time_sums is not None and self._time_sums.now.state is SumState.LOST

    def low_space(self) -> bool:
        """Whether the reserve of disk space has been reached."""
        return self._journal is not None and self._journal.low_space

    def open_segment(self, settings: dict[str, Any], reason: str, first_pulse: int) -> int:
        """Begin a segment; gives its number."""

        def add(info: RunInfo) -> dict[str, Any]:
            segment = Segment(
                number=len(info.segments),
                first_pulse=first_pulse,
                t_mono_us=time.monotonic_ns() // 1000,
                t_utc=time.time_ns() // 1000,
                settings=settings,
                reason=reason,
            )
            return {"segments": (*info.segments, segment)}

        return self._store.change(add).segments[-1].number

    def note(self, text: str, pulse: int) -> None:
        """Add a person's note."""
        note = Note(
            text=text, t_utc=time.time_ns() // 1000, t_mono_us=time.monotonic_ns() // 1000, pulse=pulse
        )
        self._store.change(lambda info: {"notes": (*info.notes, note)})

    def close(self, reason: str, *flags: str) -> dict[str, Any]:
        """Close the journal and complete the record; gives its short form."""
        written = lost = doubtful = 0
        self._bus.close_journal()
        if self._journal is not None:
            self._journal.close()
            written, lost, doubtful = self._journal.written.frames, self._journal.lost, self._journal.doubtful
        copy = self._copy.close() if self._copy is not None else None
        if not self.opened:
            return {"id": "", "folder": "", "end_reason": reason, "conditions": ["ABORTED"]}
        conditions = [Condition(flag) for flag in flags if flag]
        counts = self._counter.now
        if counts.loss or self._readout.overflows:
            conditions.append(Condition.TAINTED)
        if lost or doubtful or (self._pipeline is not None and self._pipeline.error is not None):
            conditions.append(Condition.INCOMPLETE)
        info = self._change_state(
            "finished",
            reason,
            end_reason=reason,
            t_end_utc=time.time_ns() // 1000,
            t_end_mono_us=time.monotonic_ns() // 1000,
            counters={
                "hits": counts.hits,
                "hits_window": counts.hits_window,
                "pulses": counts.pulses,
                "live_pulses": counts.live_pulses,
                "words": counts.words,
                "loss": int(counts.loss),
                "loss_names": [flag.name for flag in Loss if flag in counts.loss],
                "lost_blocks": counts.lost_blocks,
                "saturated_blocks": counts.saturated_blocks,
                "counter_jumps": counts.jump_blocks,
                "queue_overflows": self._readout.overflows,
                "journal_frames": written,
                "journal_lost": lost,
                "journal_doubtful": doubtful,
            },
            second_copy=copy,
            conditions=tuple(conditions),
        )
        return {
            "id": self.id,
            "folder": str(self.folder),
            "end_reason": reason,
            "conditions": [str(flag) for flag in info.conditions],
        }

    def as_dict(self) -> dict[str, Any]:
        """Short form for `status`."""
        return {
            "id": self.id,
            "folder": str(self.folder),
            "started_utc": self._t_utc_us,
            "elapsed_s": self.elapsed_s(),
            "segment": self._bus.framer.segment,
        }

    def journal_lost(self) -> int:
        """Frames that the journal could not take."""
        return self._journal.lost if self._journal is not None else 0

    def journal_status(self) -> dict[str, Any] | None:
        """How recording stands."""
        journal = self._journal
        if journal is None:
            return None
        return {
            "frames": journal.written.frames,
            "bytes": journal.written.bytes,
            "synced_frames": journal.synced.frames,
            "sync_age_s": round(time.monotonic() - journal.synced_s, 3),
            "queued_bytes": journal.queued_bytes,
            "lost": journal.lost,
            "doubtful": journal.doubtful,
            "free_bytes": journal.free_bytes,
            "faults": list(journal.faults),
            "second_copy": self._copy.as_dict() if self._copy is not None else None,
        }

    def _on_fault(self, message: str) -> None:
        self._bus.event("journal", "alarm", message)

    def _on_copy_fault(self, message: str) -> None:
        self._bus.event("second copy", "alarm", message)

    def _change_state(self, state: Any, reason: str = "", **changes: Any) -> RunInfo:
        change = StateChange(
            state=state, t_mono_us=time.monotonic_ns() // 1000, t_utc=time.time_ns() // 1000, reason=reason
        )

        def make(info: RunInfo) -> dict[str, Any]:
            conditions = changes.pop("conditions", ())
            return {
                "state": state,
                "states": (*info.states, change),
                "conditions": info.with_conditions(*conditions),
                **changes,
            }

        return self._store.change(make)
