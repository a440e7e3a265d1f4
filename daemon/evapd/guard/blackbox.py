"""The black box: the last minute before every trip and five seconds after it, kept in the run's folder.

The loop only copies numbers into rings of fixed size; a thread of its own writes. What cannot be written is told and
costs the box, never the guard.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.device.readings import Reading
from evapd.guard.boxfile import RECORD, TICK, Box, write_box
from evapd.guard.rules.base import Effect
from evapd.guard.types import Decision, Event, Inputs, Severity
from evapd.link import LinkRecord
from evapd.units import US_PER_S

_log = logging.getLogger(__name__)
FOLDER = "blackbox"
BEFORE_S, AFTER_S = 60.0, 5.0
TRIPS = frozenset(effect.name.lower() for effect in Effect if effect >= Effect.CUT)
_RECORDS = 8_192  # 10 ms records, with some to spare
_TICKS = 4_096  # ticks of 20 ms and more, and the reactions that did something
_READINGS = 20_000
# Readings are objects; all of them are kept while a box waits to be cut from them.
_KEPT_S = BEFORE_S + AFTER_S
_EVENTS = 2_000
_WAITING = 4  # boxes that wait to be written
_MOST_FILES = 100  # in one folder
_CLOSE_S = 5.0
_BATCH, _REST_S = 20, 0.0005  # readings between two rests of the writing thread


class _Ring:
    """The newest rows of a table of fixed size."""

    def __init__(self, rows: int, dtype: Any, width: tuple[int, ...] = ()) -> None:
        self._rows = np.zeros((rows, *width), dtype=dtype)
        self._next = 0

    def append(self, row: Any) -> None:
        self._rows[self._next % len(self._rows)] = row
        self._next += 1

    def copy(self) -> NDArray[Any]:
        """Give all rows, oldest first."""
        if self._next <= len(self._rows):
            return self._rows[: self._next].copy()
        return np.roll(self._rows, -(self._next % len(self._rows)), axis=0)


@dataclass(slots=True)
class _Trip:
    due_s: float
    began_s: float
    folder: Path  # of the run that it belongs to, also when that has ended meanwhile
    causes: list[dict[str, Any]] = field(default_factory=list)


class BlackBox:
    """Remembers, and writes when something trips. Every method but `close` returns at once."""

    def __init__(
        self,
        standing: Path,
        rules: Sequence[str],
        tell: Callable[[str, Severity, str], None],
        utc: Callable[[], float] = time.time,
    ) -> None:
        """Take the folder for trips outside of runs, the names of the rules, and where events go (from any thread).

        `utc` gives the label of a file's name.
        """
        self._folder = self._standing = standing / FOLDER
        self._rules, self._tell, self._utc = tuple(rules), tell, utc
        self._records = _Ring(_RECORDS, RECORD)
        self._ticks = _Ring(_TICKS, TICK)
        self._margins = _Ring(_TICKS, np.float32, (len(self._rules),))
        self._readings: deque[tuple[str, Reading]] = deque(maxlen=_READINGS)
        self._events: deque[tuple[float, Event]] = deque(maxlen=_EVENTS)
        self._read_s: dict[str, float] = {}
        self._unknown = np.full(len(self._rules), np.nan, dtype=np.float32)
        self._state = -1
        self._trip: _Trip | None = None
        self._queue: queue.Queue[tuple[Path, Box] | None] = queue.Queue(maxsize=_WAITING)
        self.written = self.lost = 0
        self._thread = threading.Thread(target=self._write_all, name="blackbox", daemon=True)
        self._thread.start()

    def run_begins(self, folder: Path) -> None:
        """Go on in the run's folder."""
        self._folder = folder / FOLDER

    def run_ends(self) -> None:
        """Go back to the standing folder; a trip of the run is still written into the run."""
        self._folder = self._standing

    def note(
        self, now_s: float, inputs: Inputs, decision: Decision, margins: Sequence[float | None] | None
    ) -> None:
        """Take in one step; `margins` only with a whole tick, in the order of the rules."""
        for record in inputs.link.records:
            self._records.append(_record_row(record))
        for name, view in inputs.devices.items():
            reading = view.reading
            if reading is not None and reading.t_mono_s != self._read_s.get(name):
                self._read_s[name] = reading.t_mono_s
                self._readings.append((name, reading))
        if margins is not None or decision.events or int(decision.state) != self._state:
            self._state = int(decision.state)
            self._ticks.append(_tick_row(now_s, decision, whole=margins is not None))
            self._margins.append(
                self._unknown if margins is None else [np.nan if one is None else one for one in margins]
            )
        for event in decision.events:
            self._events.append((now_s, event))
            if event.details.get("effect") in TRIPS:
                self._tripped(now_s, event)
        if self._trip is not None and now_s >= self._trip.due_s:
            self._hand_over()
        while self._trip is None and self._readings and self._readings[0][1].t_mono_s < now_s - _KEPT_S:
            self._readings.popleft()

    def close(self) -> None:
        """Write what is pending and end."""
        if self._trip is not None:
            self._hand_over()
        try:
            self._queue.put(None, timeout=_CLOSE_S)
        except queue.Full:
            _log.error("the black box ends with %d boxes unwritten: the disk does not take them", _WAITING)
            return
        self._thread.join(_CLOSE_S)

    def _tripped(self, now_s: float, event: Event) -> None:
        if self._trip is None:
            self._trip = _Trip(due_s=now_s + AFTER_S, began_s=now_s, folder=self._folder)
        self._trip.causes.append({"t_mono_us": round(now_s * US_PER_S), **event.document()})

    def _hand_over(self) -> None:
        assert self._trip is not None  # noqa: S101 - asked for only with a trip
        trip, self._trip = self._trip, None
        folder, since_us = trip.folder, round((trip.began_s - BEFORE_S) * US_PER_S)
        records, ticks = self._records.copy(), self._ticks.copy()
        kept = ticks["t_mono_us"] >= since_us
        box = Box(
            causes=trip.causes,
            rules=list(self._rules),
            records=records[records["t_mono_us"] >= since_us],
            ticks=ticks[kept],
            margins=self._margins.copy()[kept],
            readings=_Readings(tuple(self._readings), since_us),
            events=[
                {"t_mono_us": round(t_s * US_PER_S), **event.document()}
                for t_s, event in self._events
                if t_s * US_PER_S >= since_us
            ],
        )
        try:
            self._queue.put_nowait((folder, box))
        except queue.Full:
            self._fail(f"{trip.causes[0].get('rule', 'trip')}: {_WAITING} boxes still wait to be written")

    def _write_all(self) -> None:
        while (item := self._queue.get()) is not None:
            folder, box = item
            try:
                self._write(folder, box)
            except OSError as error:
                self._fail(f"{folder}: {error.strerror or error}; free some space")
            except Exception as error:  # noqa: BLE001 - whatever one box does to this thread, the next is written
                _log.exception("a black box cannot be written")
                self._fail(f"{folder}: {type(error).__name__}: {error}")

    def _write(self, folder: Path, box: Box) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        if sum(1 for _ in folder.glob("*.npz")) >= _MOST_FILES:
            self._fail(f"{folder} holds {_MOST_FILES} boxes already: more are not kept")
            return
        label = datetime.fromtimestamp(self._utc(), UTC).strftime("%Y%m%dT%H%M%SZ")
        stem = f"{label}-{box.causes[0].get('rule', 'trip')}"
        number = 0
        while (path := folder / (f"{stem}-{number}.npz" if number else f"{stem}.npz")).exists():
            number += 1
        write_box(path, box)
        self.written += 1
        self._tell("blackbox", "info", f"the minute before '{box.causes[0].get('rule')}' is kept in {path}")

    def _fail(self, why: str) -> None:
        self.lost += 1
        self._tell("blackbox", "warning", f"a black box is lost: {why}")


@dataclass(frozen=True, slots=True)
class _Readings:
    """Readings that become documents only in the writing thread, which rests now and then: the loop is not to wait for it."""

    readings: tuple[tuple[str, Reading], ...]
    since_us: int

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for index, (name, reading) in enumerate(self.readings):
            if index % _BATCH == 0:
                time.sleep(_REST_S)
            if reading.t_mono_s * US_PER_S >= self.since_us:
                yield {"device": name, **asdict(reading)}


def _record_row(record: LinkRecord) -> tuple[Any, ...]:
    return (
        record.seq,
        record.t_mono_ns // 1000,
        int(record.flags),
        record.heartbeat_age_us,
        record.pulse_counter,
        record.live_pulses,
        record.hits_window,
        record.background_hits,
        record.hits_total,
        record.words,
        record.triggers,
        record.early_hits,
        record.map_hits,
        record.hot_hits,
    )


def _tick_row(now_s: float, decision: Decision, *, whole: bool) -> tuple[Any, ...]:
    sample = decision.sample
    nan = float("nan")
    seen = (nan,) * 7
    if sample is not None:
        seen = (
            sample.v_dc_v,
            sample.v_p_v,
            sample.i_a,
            sample.rate,
            sample.log_rate,
            sample.target_rate,
            sample.sensitivity,
        )
    return (
        round(now_s * US_PER_S),
        int(decision.state),
        whole,
        nan if decision.v_dc_v is None else decision.v_dc_v,
        nan if decision.v_p_v is None else decision.v_p_v,
        _switch(decision.output),
        _switch(decision.pulser_enable),
        len(decision.make_safe),
        *seen,
    )


def _switch(value: bool | None) -> int:  # noqa: FBT001 - what a decision says
    return -1 if value is None else int(value)
