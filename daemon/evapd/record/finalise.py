"""Finalising: the journals of a run become one NeXus NXapm file, in bounded memory.

Run as `python -m evapd.record.finalise RUN [--json]`, it lowers its own priority first. The journals are only read;
finalising can be done again at any time and replaces the file in one step.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from pydantic import ValidationError

from evapd.blocks import HitBlock
from evapd.config.model import Instrument
from evapd.errors import EvapdError, FrameError, RecordError
from evapd.record.columns import CHUNK_CACHE_BYTES, GrowingColumn
from evapd.record.hdf5file import GuardedFile
from evapd.record.hittable import Flight, HitTable
from evapd.record.journal import JournalReport, read_journal, segments
from evapd.record.newfile import part_of, removed_on_failure
from evapd.record.nxapm import COLLECTION, MEASURED, group, put, write_entry, write_event, write_history
from evapd.record.pulsetable import PulseTable
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunInfo, RunStore, sync_folder
from evapd.record.runinfo import NexusFile
from evapd.record.slowtable import LoopTable, SlowTable
from evapd.record.voltage import PulseClock, Readback
from evapd.stream.frame import EVENT, HITS, LOOP, SLOW, STATE, Message

_log = logging.getLogger(__name__)
Progress = Callable[[float], None]
_DEFAULT_PULSE_RATE_HZ = 200_000.0


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


class _Finaliser:
    """One pass over the guard's journal, then one over acquire's."""

    def __init__(
        self, file: h5py.File, info: RunInfo, store: RunStore, progress: Progress, others: OtherHits | None
    ) -> None:
        self._info, self._store, self._progress, self._others = info, store, progress, others
        self._entry = write_entry(file, info)
        self._own = group(file, COLLECTION, "NXcollection")
        self._file = file
        self._flight, self.refused = _flight(info)
        self._hits = HitTable(file, info, self._flight)
        pulses = group(self._own, "pulses", "NXcollection")
        self._pulses = PulseTable(pulses, group(self._own, "blocks", "NXcollection"))
        self._loop = LoopTable(group(self._own, "loop", "NXcollection"))
        self._slow = SlowTable()
        text = h5py.string_dtype()
        self._events = GrowingColumn(self._own, "events", text, rows=256)
        self._v_dc, self._v_p = Readback(), Readback()
        self._rate: dict[str, Readback] = {
            name: Readback()
            for name in ("rate", "target_rate", "sensitivity", "pulse_energy_pj", "pulse_energy_set_pj")
        }
        self._clock = PulseClock(_pulse_rate_hz(info))
        self._undecodable_hits = 0
        self._segment = 0  # of the last block of hits
        self._bytes_total = sum(
            path.stat().st_size
            for path in (
                *segments(store.guard_journal, GUARD_PREFIX),
                *segments(store.journal, ACQUIRE_PREFIX),
            )
        )

    def run(self) -> NexusFile:
        """Write everything; gives what the file holds."""
        guard, acquire = JournalReport(), JournalReport()
        for message in read_journal(self._store.guard_journal, GUARD_PREFIX, guard):
            self._take_slow(message)
        self._tell(guard, acquire)
        for number, message in enumerate(read_journal(self._store.journal, ACQUIRE_PREFIX, acquire)):
            if message.topic == HITS:
                self._take_hits(message)
            else:
                self._take_slow(message)
            if number % 64 == 0:
                self._tell(guard, acquire)
        if self._others is not None:
            for block in self._others.rest():
                self._add_hits(block, 0, self._segment)
            for name, content in self._others.about().items():
                put(self._own, name, content)
        return self._close(guard, acquire)

    def _tell(self, guard: JournalReport, acquire: JournalReport) -> None:
        done = guard.bytes + acquire.bytes
        self._progress(0.99 * min(1.0, done / self._bytes_total) if self._bytes_total else 0.99)

    def _take_slow(self, message: Message) -> None:
        if message.topic == LOOP:
            self._loop.add(message)
            columns = message.columns
            for series, time_name, name in (
                (self._v_dc, "v_dc_t_us", "v_dc_v"),
                (self._v_p, "v_p_t_us", "v_p_v"),
                *((series, "t_mono_us", name) for name, series in self._rate.items()),
            ):
                if time_name in columns and name in columns:
                    series.add(columns[time_name], columns[name])
        elif message.topic == SLOW:
            self._slow.add(message)
        elif message.topic in (EVENT, STATE) and isinstance(message.document, Mapping):
            told = {
                "topic": message.topic.rstrip("."),
                "t_mono_us": message.header.get("t_mono_us"),
                "t_utc": message.header.get("t_utc"),
            }
            self._events.append(np.array([json.dumps(told | dict(message.document))], dtype=object))

    def _take_hits(self, message: Message) -> None:
        try:
            block = message.hit_block()
            t_frame_us, segment = int(message.header["t_mono_us"]), int(message.header["segment"])
        except (FrameError, KeyError, TypeError, ValueError):
            self._undecodable_hits += 1
            return
        self._segment = segment
        for part in (block,) if self._others is None else self._others.instead_of(block):
            self._add_hits(part, t_frame_us, segment)

    def _add_hits(self, block: HitBlock, t_frame_us: int, segment: int) -> None:
        self._pulses.add(block, segment)
        t_us = self._clock.times_us(block, t_frame_us)
        self._hits.append(block, self._v_dc.at(t_us), self._v_p_at(t_us))

    def _v_p_at(self, t_us: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        pulse = self._info.configuration.get("pulse") or {}
        if not len(self._v_p) and (pulse.get("mode") == "laser" or pulse.get("fraction") == 0.0):
            return np.zeros(len(t_us))  # there is no amplitude to read: the settings say that it is none
        return self._v_p.at(t_us)

    def _close(self, guard: JournalReport, acquire: JournalReport) -> NexusFile:
        sizes = self._hits.close(self._file)
        self._pulses.close()
        self._loop.flush()
        self._events.flush()
        self._slow.write(group(self._own, "devices", "NXcollection"))
        self._write_histories()
        self._write_record(guard, acquire, sizes)
        hits, size = self._hits.hits, sum(sizes[name] for name in MEASURED)
        return NexusFile(
            file=self._store.nexus_path.name,
            bytes=0,
            hits=hits,
            bytes_per_hit=round(size / hits, 3) if hits else None,
            finalised_t_utc=time.time_ns() // 1000,
        )

    def _write_histories(self) -> None:
        pressures = self._slow.of_role("vacuum", "pressure_pa")
        temperatures = self._slow.of_role("temperature", "temperature_k")
        axes = self._slow.of_role("stage", "axes")
        positions = {
            name.removesuffix("/position_mm"): one
            for name, one in axes.items()
            if name.endswith("/position_mm")
        }
        write_event(
            self._entry,
            self._info,
            next(iter(temperatures.values()), None),
            next(iter(pressures.values()), None),
        )
        found = [
            ("voltage_curve", "measured standing voltage", self._v_dc, "V"),
            ("pulse_voltage_curve", "measured pulse amplitude", self._v_p, "V"),
            ("pulse_energy_curve", "measured energy of a laser pulse", self._rate["pulse_energy_pj"], "pJ"),
            ("pulse_energy_set_curve", "energy asked for of a laser pulse", self._rate["pulse_energy_set_pj"], "pJ"),
            ("rate_curve", "detected hits per live pulse", self._rate["rate"], ""),
            ("target_rate_curve", "target of the control law, hits per live pulse", self._rate["target_rate"], ""),
            ("sensitivity_curve", "d ln(rate) / d ln(V), as identified", self._rate["sensitivity"], ""),
            *((f"pressure_{name}_curve", f"pressure at gauge {name}", series, "Pa") for name, series in pressures.items()),
            *((f"temperature_{name}_curve", f"temperature at sensor {name}", series, "K") for name, series in temperatures.items()),
            *((f"stage_{name}_curve", f"position of stage axis {name} by its encoder", series, "mm") for name, series in positions.items()),
        ]  # fmt: skip
        for name, title, series, units in found:
            if len(series):
                write_history(
                    self._entry,
                    name.replace("/", "_"),
                    title=title,
                    t_us=series.t_us,
                    value=series.value,
                    units=units or "1",
                    info=self._info,
                )

    def _write_record(self, guard: JournalReport, acquire: JournalReport, sizes: dict[str, int]) -> None:
        info, own, pulses = self._info, self._own, self._pulses
        put(own, "run_json", info.model_dump_json(indent=1))
        put(own, "configuration", json.dumps(info.configuration, indent=1), digest=info.configuration_digest)
        put(own, "conditions", [str(flag) for flag in info.conditions])
        put(own, "segments", json.dumps([segment.model_dump() for segment in info.segments]))
        losses = {
            "pulses": pulses.pulses,
            "inhibited_pulses": pulses.inhibited,
            "uncovered_pulses": pulses.uncovered,
            "lossy_blocks": pulses.lossy_blocks,
            "undecodable_hit_frames": self._undecodable_hits,
            "hits_without_voltage": self._hits.without_voltage,
            "journal_acquire": acquire.as_dict(),
            "journal_guard": guard.as_dict(),
        }
        put(own, "losses", json.dumps(losses))
        put(own, "bytes_of_columns", json.dumps(sizes))
        if self.refused:
            put(own, "mass_to_charge_left_out", self.refused)


def _pulse_rate_hz(info: RunInfo) -> float:
    rate = (info.configuration.get("pulse") or {}).get("rate_hz")
    return float(rate) if isinstance(rate, int | float) and rate > 0 else _DEFAULT_PULSE_RATE_HZ


def _flight(info: RunInfo) -> tuple[Flight | None, str]:
    """Give what m/q needs, or why it cannot be given."""
    try:
        instrument = Instrument.model_validate(info.configuration.get("instrument") or {})
    except ValidationError as error:
        return None, f"the configuration does not describe the flight path: {error.error_count()} problems"
    if instrument.flight_path_kind != "straight":
        return None, "a reflectron needs its own flight function; the straight-path formula does not hold"
    mode = (info.configuration.get("pulse") or {}).get("mode", "voltage")
    return Flight(instrument, mode == "voltage"), ""


def finalise(run_folder: Path, *, progress: Progress | None = None) -> Path:
    """Write `<id>.nxs` from the journals of a run and note it in run.json.

    Args:
        run_folder: the run; its journals are only read.
        progress: told the part done, 0 to 1.

    Returns:
        The file, complete and synced to the disk.

    Raises:
        RecordError: when run.json cannot be read, or the file cannot be written.
    """
    store = RunStore(run_folder)
    info = store.load()
    try:
        nexus = write_nexus(store.nexus_path, info, store, progress=progress)
    except OSError as error:
        raise RecordError(
            f"{part_of(store.nexus_path)}: {error.strerror or error}; the journal is untouched: make room, "
            f"then run `evapd export {run_folder}`"
        ) from error
    store.update(nexus=nexus)
    if progress is not None:
        progress(1.0)
    return store.nexus_path


def write_nexus(
    path: Path,
    info: RunInfo,
    store: RunStore,
    *,
    progress: Progress | None = None,
    others: OtherHits | None = None,
) -> NexusFile:
    """Write a NeXus file of a run; it gets its name when it is whole and on the disk.

    Args:
        path: the file; an existing one is replaced.
        info: what the file says about the run.
        store: the run, whose journals are read; where it has none, everything comes from `others`.
        progress: told the part done, 0 to 0.99.
        others: hits to be written instead of the recorded ones.

    Raises:
        RecordError: when another process is writing the file, or a journal cannot be read.
        OSError: when the disk cannot take the file.
    """
    part, tell = part_of(path), progress or (lambda _: None)
    try:
        # Renamed while it is still ours: nobody else can empty it between the last byte and its name.
        with contextlib.closing(GuardedFile(part)) as disk, removed_on_failure(part):
            with h5py.File(disk, "w", rdcc_nbytes=CHUNK_CACHE_BYTES) as file:
                nexus = _Finaliser(file, info, store, _checked(disk, tell), others).run()
            size = disk.sync()
            part.rename(path)
        sync_folder(path.parent)
    except BlockingIOError as error:
        raise RecordError(f"{path} is being finalised by another process; wait for it") from error
    return nexus.model_copy(update={"bytes": size})


def _checked(disk: GuardedFile, tell: Progress) -> Progress:
    def progress(part: float) -> None:
        disk.check()
        tell(part)

    return progress


def main(arguments: list[str] | None = None) -> int:
    """Finalise one run from the command line; exit code 0 or 1."""
    parser = argparse.ArgumentParser(prog="python -m evapd.record.finalise", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line: progress, then the result"
    )
    asked = parser.parse_args(arguments)
    os.nice(10)

    def show(part: float) -> None:
        line = json.dumps({"progress": round(part, 4)}) if asked.json else f"\r{part:6.1%}"
        sys.stdout.write(line + ("\n" if asked.json else ""))
        sys.stdout.flush()

    begun = time.monotonic()
    try:
        path = finalise(asked.run, progress=_seldom(show, time.monotonic))
        nexus = RunStore(asked.run).load().nexus
    except EvapdError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = nexus.model_dump() if nexus is not None else {}
    if asked.json:
        sys.stdout.write(json.dumps({"progress": 1.0, "path": str(path), **told}) + "\n")
    else:
        sys.stdout.write(f"\r{path}: {told.get('hits', 0)} hits in {time.monotonic() - begun:.1f} s\n")
    return 0


def _seldom(show: Progress, clock: Callable[[], float], every_s: float = 0.2) -> Progress:
    last_s = -every_s

    def progress(part: float) -> None:
        nonlocal last_s
        if part >= 1.0 or clock() - last_s >= every_s:
            last_s = clock()
            show(part)

    return progress


if __name__ == "__main__":
    raise SystemExit(main())
