"""The journals of a run into the spool: one pass over both at once, in bounded memory, that can go on after a kill.

Acquire's journal leads; the guard's is read as far as the voltages at the hits ask for, so that no more than some
minutes of readings are held.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from evapd.blocks import Anchor, HitBlock, Loss
from evapd.config.model import Instrument
from evapd.errors import FrameError
from evapd.record.finalising.histories import Histories
from evapd.record.finalising.spool import Spool
from evapd.record.hittable import HIT_DTYPES, HIT_NAMES, Arrays, Flight, HitTable, Rows
from evapd.record.journal import JournalReport, read_journal
from evapd.record.nxapm import COLLECTION, ENTRY
from evapd.record.pulsetable import Covered, PulseTable
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunInfo, RunStore
from evapd.record.slowtable import LoopFrames, LoopRows, LoopTable, SlowTable
from evapd.record.voltage import MAX_GAP_US, PulseClock, Readback
from evapd.stream.frame import EVENT, HITS, LOOP, SLOW, STATE, Message
from evapd.stream.jsontext import MAX_INTEGER

_DTYPES = list(HIT_DTYPES)
EVENTS = (f"{COLLECTION}/events#guard", f"{COLLECTION}/events#acquire")
_DEFAULT_PULSE_RATE_HZ = 200_000.0
_AHEAD_US = 3 * MAX_GAP_US  # a frame of the loop carries readings that are older than itself
_REMEMBERED_US = 120 * MAX_GAP_US  # pulse times may go back a little, where an anchor corrects them
_PLOTTED = {
    "v_dc_v": ("voltage", "measured standing voltage", "V", "v_dc_t_us"),
    "v_p_v": ("pulse_voltage", "measured pulse amplitude", "V", "v_p_t_us"),
    "pulse_energy_pj": ("pulse_energy", "measured energy of a laser pulse", "pJ", "t_mono_us"),
    "pulse_energy_set_pj": ("asked_pulse_energy", "energy asked for of a laser pulse", "pJ", "t_mono_us"),
    "rate": ("rate", "detected hits per live pulse", "1", "t_mono_us"),
    "target_rate": ("target_rate", "target of the control law, hits per live pulse", "1", "t_mono_us"),
    "sensitivity": ("sensitivity", "d ln(rate) / d ln(V), as identified", "1", "t_mono_us"),
}


class OtherHits(Protocol):
    """Hits that take the place of those in the journal: made from the same words, in another way."""

    def instead_of(self, recorded: HitBlock) -> Iterable[HitBlock]:
        """Give what takes the place of a recorded block, the pulses before it included that no block covers."""
        ...

    def rest(self) -> Iterable[HitBlock]:
        """Give the hits behind the last recorded block."""
        ...

    def about(self) -> Mapping[str, str]:
        """Give texts that say where the hits come from, by name; asked for at the very end."""
        ...


class Gatherer:
    """Reads what is left to be read and puts it into the spool."""

    def __init__(self, spool: Spool, info: RunInfo, store: RunStore, others: OtherHits | None) -> None:
        self._spool, self._info, self._store, self._others = spool, info, store, others
        self.flight, self.refused = flight_of(info)
        self.hits = HitTable(spool, self.flight, self._readings_until)
        self.pulses = PulseTable(spool, f"{COLLECTION}/pulses", f"{COLLECTION}/blocks")
        self.loop = LoopTable(spool, f"{COLLECTION}/loop")
        self.histories = Histories(spool, f"{ENTRY}/measurement", info.t_start_mono_us)
        self.slow = SlowTable(spool, f"{COLLECTION}/devices", self.histories)
        self.undecodable_hits = 0
        self.acquire, self.guard = JournalReport(), JournalReport()
        self._events_guard, self._events_acquire = (spool.texts(path) for path in EVENTS)
        self._plotted = {name: Readback() for name in _PLOTTED}
        self._loop_frames = LoopFrames(self._take_loop)
        self._clock = PulseClock(_pulse_rate_hz(info))
        self._segment = 0  # of the last block of hits
        self._guard_us = 0  # time of the newest frame of the guard
        pulse = info.configuration.get("pulse") or {}
        self._no_amplitude = pulse.get("mode") == "laser" or pulse.get("fraction") == 0.0
        after: dict[str, Any] = {}
        if spool.kept:
            after = self._restore(spool.kept)
        self._guard_messages: Iterator[Message] = read_journal(
            store.guard_journal, GUARD_PREFIX, self.guard, after.get("guard")
        )
        self._after = after.get("acquire")

    def run(self, tell: Callable[[int], None]) -> None:
        """Read everything; `tell` is called after every frame of acquire's journal with the number of it in this pass."""
        for number, message in enumerate(
            read_journal(self._store.journal, ACQUIRE_PREFIX, self.acquire, self._after)
        ):
            if message.topic == HITS:
                self._take_hits(message)
            else:
                self._take_slow(message, self._events_acquire)
            tell(number)
        if self._others is not None:
            for block in self._others.rest():
                self._add(block, 0, self._segment)
        self.hits.close()
        for number, message in enumerate(self._guard_messages):
            self._take_slow(message, self._events_guard)
            tell(number)
        self._loop_frames.flush()
        self.pulses.close()
        self.slow.close()

    def keep(self) -> None:
        """Make a safe point here.

        Raises:
            OSError: when the disk does not take it.
        """
        self.hits.settle()
        self._loop_frames.flush()
        parts = {name: getattr(self, name).kept() for name in ("hits", "pulses", "loop", "histories", "slow")}
        own = {
            "acquire": self.acquire.kept(),
            "guard": self.guard.kept(),
            "plotted": {name: readback.kept() for name, readback in self._plotted.items()},
            "clock": self._clock.kept(),
            "undecodable_hits": self.undecodable_hits,
            "segment": self._segment,
            "guard_us": self._guard_us,
        }
        self._spool.keep(parts | own)

    def _restore(self, kept: dict[str, Any]) -> dict[str, Any]:
        for name in ("histories", "hits", "pulses", "loop", "slow"):
            getattr(self, name).restore(kept[name])
        self.acquire, self.guard = (JournalReport.of_kept(kept[name]) for name in ("acquire", "guard"))
        self._plotted = {name: Readback.of_kept(one) for name, one in kept["plotted"].items()}
        self._clock.restore(kept["clock"])
        self.undecodable_hits, self._segment = kept["undecodable_hits"], kept["segment"]
        self._guard_us = kept["guard_us"]
        return {"acquire": self.acquire.place, "guard": self.guard.place}

    def _readings_until(self, t_us: float) -> tuple[Readback, Readback | None]:
        while self._guard_us < t_us + _AHEAD_US:
            message = next(self._guard_messages, None)
            if message is None:
                break
            self._take_slow(message, self._events_guard)
        self._loop_frames.flush()
        v_dc, v_p = self._plotted["v_dc_v"], self._plotted["v_p_v"]
        for readback in (v_dc, v_p):
            readback.forget_before(t_us - _REMEMBERED_US)
        # There is no amplitude to read: the settings say that it is none.
        nothing = self._no_amplitude and not len(v_p)
        return v_dc, None if nothing else v_p

    def _take_slow(self, message: Message, events: Any) -> None:
        if events is self._events_guard:
            self._guard_us = max(self._guard_us, _natural(message.header.get("t_mono_us")) or 0)
        if message.topic == LOOP:
            self._loop_frames.add(message)
        elif message.topic == SLOW:
            self.slow.add(message)
        elif message.topic in (EVENT, STATE) and isinstance(message.document, Mapping):
            told = {
                "topic": message.topic.rstrip("."),
                "t_mono_us": message.header.get("t_mono_us"),
                "t_utc": message.header.get("t_utc"),
            }
            events.append(json.dumps(told | dict(message.document)))

    def _take_loop(self, rows: LoopRows) -> None:
        self.loop.add(rows)
        for name, (history, title, units, t_name) in _PLOTTED.items():
            if name not in rows.columns or t_name not in rows.columns:
                continue
            t_us, value = self._plotted[name].add(rows.columns[t_name], rows.columns[name])
            if len(t_us):
                self.histories.series(history, title, units).append(t_us, value)
            if name not in ("v_dc_v", "v_p_v"):
                self._plotted[name].forget_before(float("inf"))

    def _take_hits(self, message: Message) -> None:
        if self._others is None:
            try:
                self._take_columns(message)
            except (FrameError, KeyError, TypeError, ValueError, OverflowError):
                self.undecodable_hits += 1
            return
        try:
            block = message.hit_block()
            t_frame_us, segment = int(message.header["t_mono_us"]), int(message.header["segment"])
        except (FrameError, KeyError, TypeError, ValueError):
            self.undecodable_hits += 1
            return
        for part in self._others.instead_of(block):
            self._add(part, t_frame_us, segment)

    def _take_columns(self, message: Message) -> None:
        header, found = message.header, message.columns
        columns = tuple([found[name] for name in HIT_NAMES])
        if [column.dtype for column in columns] != _DTYPES:
            raise FrameError("hits of other types than the protocol's")
        anchor_pulse, anchor_us = header["anchor"]
        numbers = (header["first_pulse"], header["last_pulse"] + 1, header.get("inhibited_pulses", 0),
                   anchor_pulse, anchor_us, header["loss"], header["segment"], header["t_mono_us"])  # fmt: skip
        if set(map(type, numbers)) != {int} or min(numbers) < 0 or max(numbers) > MAX_INTEGER:
            raise FrameError("hits with numbers that no run has")
        first, end, inhibited, _, _, loss, segment, t_frame_us = numbers
        if loss:
            Loss(loss)  # refuses what is no flag
        covered = Covered(
            first, end - 1, len(columns[0]), inhibited, Anchor(anchor_pulse, anchor_us), loss, segment
        )
        self._put(covered, t_frame_us, columns)

    def _add(self, block: HitBlock, t_frame_us: int, segment: int) -> None:
        covered = Covered(
            block.first_pulse,
            block.last_pulse,
            block.n,
            block.inhibited_pulses,
            block.anchor,
            int(block.loss),
            segment,
        )
        self._put(covered, t_frame_us, tuple(getattr(block, name) for name in HIT_NAMES))

    def _put(self, covered: Covered, t_frame_us: int, columns: Arrays) -> None:
        self._segment = covered.segment
        self.pulses.add(covered)
        first_us, period_us = self._clock.line(covered.first, covered.last, covered.anchor, t_frame_us)
        self.hits.add(Rows(covered.first, first_us, period_us, columns))


def _natural(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else None


def _pulse_rate_hz(info: RunInfo) -> float:
    rate = (info.configuration.get("pulse") or {}).get("rate_hz")
    return float(rate) if isinstance(rate, int | float) and rate > 0 else _DEFAULT_PULSE_RATE_HZ


def flight_of(info: RunInfo) -> tuple[Flight | None, str]:
    """Give what m/q needs, or why it cannot be given."""
    try:
        instrument = Instrument.model_validate(info.configuration.get("instrument") or {})
    except ValidationError as error:
        return None, f"the configuration does not describe the flight path: {error.error_count()} problems"
    if instrument.flight_path_kind != "straight":
        return None, "a reflectron needs its own flight function; the straight-path formula does not hold"
    mode = (info.configuration.get("pulse") or {}).get("mode", "voltage")
    return Flight(instrument, mode == "voltage"), ""
