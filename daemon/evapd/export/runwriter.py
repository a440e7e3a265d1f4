"""A run folder from hits of another program: journals as acquire and guard leave them, then finalised."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import Anchor, Column, HitBlock
from evapd.errors import RecordError
from evapd.export.thinning import Thinner
from evapd.record.hittable import VOLTAGE_STEP_V
from evapd.record.journal import JournalWriter
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunStore
from evapd.stream.frame import LOOP, Frame, Framer
from evapd.units import US_PER_S

Floats = NDArray[np.float64]
_INSTANCE = "import"
_SEGMENT_BYTES = 256_000_000
_QUEUE_BYTES = 64_000_000
_LONGEST_LINE_US = 4.0 * US_PER_S  # readings farther apart than 5 s are not bridged
_ROWS = 4096
_LOOP = (
    Column("t_mono_us", "<i8", "us"), Column("pulse", "<i8", "pulse"), Column("v_dc_v", "<f8", "V"),
    Column("v_dc_t_us", "<i8", "us"), Column("v_p_v", "<f8", "V"), Column("v_p_t_us", "<i8", "us"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignHits:
    """Hits of whole pulses, ascending; columns of one length, NaN where a voltage is unknown."""

    pulse: NDArray[np.int64]
    tof_ps: NDArray[np.int32]
    x_um: NDArray[np.int32]
    y_um: NDArray[np.int32]
    v_dc_v: Floats
    v_p_v: Floats


@dataclass(slots=True)
class _Clock:
    now_us: int = 0
    offset_us: int = 0

    def mono(self) -> int:
        return self.now_us

    def utc(self) -> int:
        return self.now_us + self.offset_us


@dataclass
class RunWriter:
    """Writes both journals of a run whose folder was created; a context manager.

    Pulses are taken as evenly spaced: pulse p is at t_start + (p - first) / rate.
    """

    store: RunStore
    t_start_us: int
    t_start_utc: int
    first_pulse: int
    pulse_rate_hz: float
    calibration: str
    hits: int = 0
    last_pulse: int = -1
    _clock: _Clock = field(default_factory=_Clock)
    _thin: Thinner = field(default_factory=lambda: Thinner(0.5 * VOLTAGE_STEP_V, _LONGEST_LINE_US))

    def __enter__(self) -> Self:
        self._clock.now_us = self.t_start_us
        self._clock.offset_us = self.t_start_utc - self.t_start_us
        self.last_pulse = self.first_pulse - 1
        self._framer = Framer(_INSTANCE, self._clock.mono, self._clock.utc, run=self.store.folder.name)
        self._acquire = _journal(self.store.journal, ACQUIRE_PREFIX)
        try:
            self._guard = _journal(self.store.guard_journal, GUARD_PREFIX)
        except BaseException:
            self._acquire.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = 0
        for journal in (self._guard, self._acquire):
            journal.close()
            lost += journal.lost
        if lost and kind is None:
            raise RecordError(f"{'; '.join((*self._guard.faults, *self._acquire.faults))}")

    def say(self, topic: str, content: dict[str, object]) -> None:
        """Write an event or a state."""
        self._put(self._acquire, self._framer.document(topic, content))

    def add(self, hits: ForeignHits) -> None:
        """Write hits, and as many readings of the voltages as they need."""
        if not len(hits.pulse):
            return
        t_us = self.t_start_us + (hits.pulse - self.first_pulse) * (US_PER_S / self.pulse_rate_hz)
        self._readings(hits, np.floor(t_us).astype(np.int64))
        last = int(hits.pulse[-1])
        self._clock.now_us = self._time_us(last + 1)
        self._put(self._acquire, self._framer.hits(self._block(hits, last)))
        self.hits += len(hits.pulse)
        self.last_pulse = last

    def _time_us(self, pulse: int) -> int:
        return self.t_start_us + round((pulse - self.first_pulse) * US_PER_S / self.pulse_rate_hz)

    def _block(self, hits: ForeignHits, last: int) -> HitBlock:
        first = self.last_pulse + 1
        starts = np.flatnonzero(np.concatenate(([True], hits.pulse[1:] != hits.pulse[:-1])))
        sizes = np.diff(np.append(starts, len(hits.pulse)))
        return HitBlock(
            first_pulse=first,
            last_pulse=last,
            pulse=(hits.pulse - first).astype(np.uint32),
            tof_ps=hits.tof_ps,
            x_um=hits.x_um,
            y_um=hits.y_um,
            quality=np.zeros(len(hits.pulse), np.uint8),
            multiplicity=np.minimum(np.repeat(sizes, sizes), 255).astype(np.uint8),
            anchor=Anchor(last, self._time_us(last)),
            calibration=self.calibration,
        )

    def _readings(self, hits: ForeignHits, t_us: NDArray[np.int64]) -> None:
        """Write readings from which the voltages at these hits come out again."""
        known = np.isfinite(hits.v_dc_v) & np.isfinite(hits.v_p_v)
        t, v_dc_v, v_p_v = t_us[known], hits.v_dc_v[known], hits.v_p_v[known]
        new = np.concatenate(([True], t[1:] > t[:-1])) if len(t) else np.zeros(0, bool)
        t, v_dc_v, v_p_v = t[new], v_dc_v[new], v_p_v[new]
        if not len(t):
            return
        seconds = t.astype(np.float64)
        kept = np.union1d(self._thin.choose(seconds, v_dc_v), self._thin.choose(seconds, v_p_v))
        t, v_dc_v, v_p_v = t[kept], v_dc_v[kept], v_p_v[kept]
        # Readings on both sides of a long silence: a hit between two that lie far apart would get no voltage.
        wide = np.flatnonzero(np.diff(t) > _LONGEST_LINE_US)
        rows = np.concatenate((np.arange(len(t)), wide, wide + 1, [0, len(t) - 1]))
        after, before = np.ones(len(wide), np.int64), np.full(len(wide), -1)
        when = t[rows] + np.concatenate((np.zeros(len(t), np.int64), after, before, [-1, 1]))
        order = np.argsort(when, kind="stable")
        for begin in range(0, len(rows), _ROWS):
            part = order[begin : begin + _ROWS]
            moved = when[part]
            self._clock.now_us = int(moved[-1])
            pulse = (moved - self.t_start_us) * self.pulse_rate_hz / US_PER_S + self.first_pulse
            values = (moved, pulse, v_dc_v[rows[part]], moved, v_p_v[rows[part]], moved)
            frame = self._framer.samples(LOOP, dict(zip(_LOOP, values, strict=True)))
            self._put(self._guard, frame)

    def _put(self, journal: JournalWriter, frame: Frame) -> None:
        if journal.queued_bytes + frame.nbytes > _QUEUE_BYTES // 2:
            journal.sync(60.0)
        if not journal.append(frame):
            raise RecordError(
                "; ".join(journal.faults) or f"journal {journal.segment} refused a frame; check the disk"
            )


def _journal(folder: Path, prefix: str) -> JournalWriter:
    return JournalWriter(
        folder, prefix=prefix, segment_bytes=_SEGMENT_BYTES, queue_bytes=_QUEUE_BYTES, reserve_bytes=0,
        on_fault=lambda _: None, clock=time.monotonic,
    )  # fmt: skip


def whole_pulses(pieces: Iterator[ForeignHits]) -> Iterator[ForeignHits]:
    """Cut pieces anew so that no pulse is spread over two."""
    rest: ForeignHits | None = None
    for piece in pieces:
        whole = piece if rest is None else _joined(rest, piece)
        if not len(whole.pulse):
            continue
        cut = int(np.searchsorted(whole.pulse, whole.pulse[-1]))
        if cut:
            yield _part(whole, slice(0, cut))
        rest = _part(whole, slice(cut, None))
    if rest is not None and len(rest.pulse):
        yield rest


_NAMES = ("pulse", "tof_ps", "x_um", "y_um", "v_dc_v", "v_p_v")


def _part(hits: ForeignHits, rows: slice) -> ForeignHits:
    return ForeignHits(**{name: getattr(hits, name)[rows] for name in _NAMES})


def _joined(one: ForeignHits, other: ForeignHits) -> ForeignHits:
    return ForeignHits(**{n: np.concatenate((getattr(one, n), getattr(other, n))) for n in _NAMES})
