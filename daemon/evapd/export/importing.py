"""`evapd import`: hits of another program become a run folder that every command here accepts."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from evapd.config.model import Instrument
from evapd.errors import RecordError, StateError
from evapd.export.pyccapt import PyccaptFile
from evapd.export.raw import open_raw
from evapd.export.runwriter import ForeignHits, RunWriter, whole_pulses
from evapd.record.finalise import finalise
from evapd.record.run import Condition, Note, RunInfo, RunStore, Segment, new_run_folder, present_versions
from evapd.record.runinfo import digest
from evapd.stream.frame import EVENT, STATE
from evapd.units import PS_PER_NS, UM_PER_MM, US_PER_S

Floats = NDArray[np.float64]
Progress = Callable[[float], None]
_PIECE = 1 << 16
_T_START_US = 1_000_000  # of the made-up clock: readings at 0 do not count
_FARTHEST_MM = 1_000.0
_LONGEST_NS = 2_000_000.0
_HIGHEST_V = 100_000.0
_JUMP = 2**32 - 1


class HitFile(Protocol):
    """Hits of another program, readable in pieces."""

    @property
    def n_hits(self) -> int:
        """Number of hits."""
        ...

    def rows(self, start: int, stop: int) -> dict[str, Floats]:
        """Read some hits: x_mm, y_mm, tof_ns, v_dc_v, v_p_v, pulse."""
        ...


class RawFile:
    """An APyT `.raw` file."""

    def __init__(self, path: Path) -> None:
        self._hits = open_raw(path)

    @property
    def n_hits(self) -> int:
        """Number of hits."""
        return len(self._hits)

    def rows(self, start: int, stop: int) -> dict[str, Floats]:
        """Read some hits."""
        part = self._hits[start:stop]
        names = {
            "x_mm": "x_mm",
            "y_mm": "y_mm",
            "tof_ns": "tof_ns",
            "v_dc_v": "u_base_v",
            "v_p_v": "u_pulse_v",
        }
        return {to: part[name].astype(np.float64) for to, name in (*names.items(), ("pulse", "pulse"))}

    def pulse_rate_hz(self) -> float | None:
        """Mean rate over the file, with the epoch taken as milliseconds; None where it does not advance."""
        first, last = self._hits[0], self._hits[-1]
        seconds = (int(last["epoch"]) - int(first["epoch"])) / 1000.0
        pulses = int(last["pulse"]) - int(first["pulse"])
        return pulses / seconds if seconds > 0 and pulses > 0 else None


@dataclass(frozen=True, slots=True)
class Imported:
    """What was made."""

    folder: Path
    source: str
    kind: Literal["raw", "pyccapt"]
    hits: int
    refused: int  # rows that are no hits: not a number, or out of any range
    counter_falls: int
    pulse_rate_hz: float
    voltage_mode: bool
    masses: bool

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self) | {"folder": str(self.folder)}

    def text(self) -> str:
        """Say it to a person."""
        mode = "voltage" if self.voltage_mode else "laser"
        lines = [
            f"{self.folder}: {self.hits:,} hits from {self.source} ({self.kind}), {mode} pulses, {self.pulse_rate_hz:,.1f} pulses per second"
        ]
        if self.refused:
            lines.append(
                f"  {self.refused:,} rows were no hits (not a number, or out of range) and were left out"
            )
        if self.counter_falls:
            lines.append(
                f"  the pulse counter falls at {self.counter_falls} places; pulses were counted on from there, the run is TAINTED"
            )
        if not self.masses:
            lines.append(
                "  no flight path is known, so there are no masses: import again with --flight-path-mm"
            )
        return "\n".join(lines)


def kind_of(path: Path) -> Literal["raw", "pyccapt"]:
    """Tell the format of a file by its content.

    Raises:
        RecordError: when it cannot be read.
    """
    try:
        return "pyccapt" if h5py.is_hdf5(path) else "raw"
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; name an APyT .raw or a PyCCAPT .h5 file") from error


def import_hits(
    path: Path,
    runs: Path,
    *,
    made_utc_us: int,
    name: str | None = None,
    pulse_rate_hz: float | None = None,
    pulse_mode: Literal["voltage", "laser"] | None = None,
    flight_path_mm: float | None = None,
    t0_ps: float = 0.0,
    elements: tuple[str, ...] = (),
    progress: Progress = lambda _: None,
) -> Imported:
    """Make a finalised run folder of a file of another program.

    Args:
        path: APyT `.raw` or PyCCAPT HDF5.
        runs: the folder for runs.
        made_utc_us: the present time, us since 1970; dates the run where the file does not.
        name: of the run; the file's name by default.
        pulse_rate_hz: instead of what the file tells.
        pulse_mode: instead of what the file's amplitudes tell (raw files of laser instruments have none).
        flight_path_mm: gives the run masses.
        t0_ps: goes with the flight path.
        elements: what the specimen is made of, for the names of peaks.
        progress: is told the part done, 0 to 1.

    Raises:
        RecordError: when the file cannot be read or the folder not be written.
        StateError: when the file does not tell what is needed and it was not given.
    """
    if not path.is_file():
        raise RecordError(f"{path} is no file; name an APyT .raw or a PyCCAPT .h5 file")
    kind = kind_of(path)
    with ExitStack() as stack:
        if kind == "pyccapt":
            hdf5 = stack.enter_context(PyccaptFile(path))
            source: HitFile = hdf5
            told_rate, begun, laser = hdf5.pulse_rate_hz(), hdf5.start_utc_us, hdf5.laser
        else:
            raw = RawFile(path)
            source, told_rate, begun = raw, raw.pulse_rate_hz(), 0
            laser = not bool(np.any(raw.rows(0, 1 << 20)["v_p_v"] > 0))
        if not source.n_hits:
            raise RecordError(f"{path} has no hits")
        rate_hz = pulse_rate_hz or told_rate
        if rate_hz is None:
            raise StateError(f"{path} does not tell the pulse rate; give it with --pulse-rate-hz")
        voltage_mode = pulse_mode == "voltage" if pulse_mode else not laser
        store, info = _begin(
            path, runs, begun_utc_us=begun or made_utc_us, dated=bool(begun), kind=kind, name=name or path.stem,
            rate_hz=rate_hz, voltage_mode=voltage_mode, flight_path_mm=flight_path_mm, t0_ps=t0_ps, elements=elements,
        )  # fmt: skip
        stack.enter_context(_removed_on_failure(store.folder))
        reading = _Reading(source, progress=lambda share: progress(0.7 * share))
        first = reading.first_pulse()
        with RunWriter(store, _T_START_US, info.t_start_utc, first, rate_hz, f"import:{kind}") as writer:
            writer.say(STATE, {"run_state": "running"})
            for hits in whole_pulses(reading.pieces()):
                writer.add(hits)
            what = f"hits were imported from {path.name}"
            writer.say(EVENT, {"kind": "import", "severity": "info", "what": what, "source": "import"})
            writer.say(STATE, {"run_state": "stopping"})
    _end(store, reading, writer)
    finalise(store.folder, progress=lambda share: progress(0.7 + 0.3 * share))
    return Imported(
        folder=store.folder, source=path.name, kind=kind, hits=writer.hits, refused=reading.refused,
        counter_falls=reading.falls, pulse_rate_hz=rate_hz, voltage_mode=voltage_mode, masses=flight_path_mm is not None,
    )  # fmt: skip


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """Leave no half of a run behind: the file that was read is still there."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _begin(
    path: Path,
    runs: Path,
    *,
    begun_utc_us: int,
    dated: bool,
    kind: str,
    name: str,
    rate_hz: float,
    voltage_mode: bool,
    flight_path_mm: float | None,
    t0_ps: float,
    elements: tuple[str, ...],
) -> tuple[RunStore, RunInfo]:
    instrument: dict[str, Any] = {}
    if flight_path_mm is not None:
        try:
            instrument = Instrument(flight_path_mm=flight_path_mm, t0_ps=t0_ps).model_dump(mode="json")
        except ValidationError as error:
            raise StateError(f"--flight-path-mm, --t0-ps: {error.errors()[0]['msg']}") from None
    configuration: dict[str, Any] = {
        "pulse": {"mode": "voltage" if voltage_mode else "laser", "rate_hz": rate_hz},
        "control": {"law": "monitor"},
        "instrument": instrument,
        "specimen": {"name": name, "elements": list(elements)},
    }
    folder = new_run_folder(runs, name, begun_utc_us)
    words = (
        f"imported from {path.name} ({kind}); times are pulse numbers at a constant rate of {rate_hz:.6g} Hz"
    )
    words += "" if dated else ", the date is that of the import"
    info = RunInfo(
        id=folder.name,
        name=name,
        state="running",
        t_start_utc=begun_utc_us,
        t_start_mono_us=_T_START_US,
        specimen={"name": name, "elements": list(elements)},
        notes=(Note(text=words, t_utc=begun_utc_us),),
        configuration=configuration,
        configuration_digest=digest(configuration),
        calibration=f"import:{kind}",
        versions=present_versions(),
        segments=(
            Segment(number=0, first_pulse=0, t_mono_us=_T_START_US, t_utc=begun_utc_us, reason="import"),
        ),
    )
    store = RunStore(folder)
    return store, store.create(info)


def _end(store: RunStore, reading: "_Reading", writer: RunWriter) -> None:
    seconds = (writer.last_pulse - writer.first_pulse + 1) / writer.pulse_rate_hz
    end_us = _T_START_US + round(seconds * US_PER_S)
    flags = (Condition.TAINTED,) if reading.falls or reading.refused else ()

    def close(info: RunInfo) -> dict[str, Any]:
        return {
            "state": "finished",
            "end_reason": "imported",
            "conditions": info.with_conditions(*flags),
            "t_end_mono_us": end_us,
            "t_end_utc": info.t_start_utc + end_us - _T_START_US,
            "counters": {
                "hits": writer.hits,
                "pulses": writer.last_pulse - writer.first_pulse + 1,
                "refused_rows": reading.refused,
                "counter_falls": reading.falls,
            },
        }

    store.change(close)


class _Reading:
    """Checks rows and makes them hits; a counter that falls is counted on."""

    def __init__(self, source: HitFile, *, progress: Progress) -> None:
        self._source, self._progress = source, progress
        self.refused = self.falls = 0
        self._shift, self._last = 0, -1

    def first_pulse(self) -> int:
        """Give the pulse of the first hit.

        Raises:
            RecordError: when no row is a hit.
        """
        for start in range(0, self._source.n_hits, _PIECE):
            rows = self._source.rows(start, start + _PIECE)
            good = np.flatnonzero(_sound(rows))
            if len(good):
                return int(rows["pulse"][good[0]])
        raise RecordError(
            "no row of the file is a hit: every one has a value that is no number or out of range"
        )

    def pieces(self) -> Iterator[ForeignHits]:
        """Give the hits in their order."""
        for start in range(0, self._source.n_hits, _PIECE):
            rows = self._source.rows(start, start + _PIECE)
            good = _sound(rows)
            self.refused += int(len(good) - np.count_nonzero(good))
            rows = {name: values[good] for name, values in rows.items()}
            self._progress(min(1.0, (start + _PIECE) / self._source.n_hits))
            if not len(rows["pulse"]):
                continue
            yield ForeignHits(
                pulse=self._ascending(rows["pulse"].astype(np.int64)),
                tof_ps=np.round(rows["tof_ns"] * PS_PER_NS).astype(np.int32),
                x_um=np.round(rows["x_mm"] * UM_PER_MM).astype(np.int32),
                y_um=np.round(rows["y_mm"] * UM_PER_MM).astype(np.int32),
                v_dc_v=rows["v_dc_v"],
                v_p_v=rows["v_p_v"],
            )

    def _ascending(self, pulse: NDArray[np.int64]) -> NDArray[np.int64]:
        pulse = pulse + self._shift
        before = np.concatenate(([self._last if self._last >= 0 else pulse[0]], pulse[:-1]))
        falls = np.flatnonzero(pulse < before)
        for k in falls.tolist():
            lift = int(pulse[k - 1] if k else self._last) + 1 - int(pulse[k])
            pulse[k:] += lift
            self._shift += lift
        self.falls += len(falls)
        if int(pulse[-1]) - max(self._last, int(pulse[0])) > _JUMP:
            raise RecordError(
                f"the pulse counter jumps by more than {_JUMP}; the file is damaged or of another program"
            )
        self._last = int(pulse[-1])
        return pulse


def _sound(rows: dict[str, Floats]) -> NDArray[np.bool_]:
    """Tell which rows are hits: finite, and within what any instrument can give; a voltage may be unknown."""
    with np.errstate(invalid="ignore"):
        good = (np.abs(rows["x_mm"]) < _FARTHEST_MM) & (np.abs(rows["y_mm"]) < _FARTHEST_MM)
        good &= (np.abs(rows["tof_ns"]) < _LONGEST_NS) & (rows["pulse"] >= 0) & (rows["pulse"] < 2.0**53)
        for name in ("v_dc_v", "v_p_v"):
            good &= ~(np.abs(rows[name]) > _HIGHEST_V)
    return good
