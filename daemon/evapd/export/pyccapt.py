"""The HDF5 file of PyCCAPT's control program, schema 2.0: groups `dld`, `tdc` and `apt` of one-dimensional datasets.

Names, types and units as in its own DATA_STRUCTURE page: `dld` has one row per hit (x and y in cm, t in ns, voltages in V,
laser energy in pJ, start counter), `apt` one row per turn of the control loop, `tdc` the raw words.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from evapd import __version__
from evapd.errors import RecordError
from evapd.export.events import Ions, Source
from evapd.record.columns import GrowingColumn
from evapd.units import PS_PER_NS, US_PER_S

_UM_PER_CM = 10_000.0
_PA_PER_MBAR = 100.0
_DLD = {
    "x": ("f8", "cm"), "y": ("f8", "cm"), "t": ("f8", "ns"), "high_voltage": ("f8", "V"), "voltage_pulse": ("f8", "V"),
    "laser_pulse": ("f8", "pJ"), "start_counter": ("u8", "1"),
}  # fmt: skip
_TDC = {
    "channel": ("u4", "1"), "time_data": ("u8", "bin"), "start_counter": ("u8", "1"), "high_voltage": ("f8", "V"),
    "voltage_pulse": ("f8", "V"), "laser_pulse": ("f8", "pJ"),
}  # fmt: skip
_APT = {
    "id": ("u8", "1"), "num_events": ("u4", "1"), "num_raw_signals": ("u4", "1"), "temperature": ("f8", "K"),
    "experiment_chamber_vacuum": ("f8", "mbar"), "timestamps": ("f8", "s"),
}  # fmt: skip
# Older files name or lay out the same things otherwise.
_ALIASES = {
    "voltage_pulse": ("voltage_pulse", "pulse_voltage", "pulse"),
    "t": ("t",),
    "high_voltage": ("high_voltage",),
}


def write_pyccapt(file: h5py.File, source: Source, batches: Iterable[Ions]) -> int:
    """Write hits and the control loop; gives the number of hits. Words stay in the journal."""
    energy_pj = 0.0
    if not source.voltage_mode:
        energy_pj = float((source.info.configuration.get("pulse") or {}).get("energy_pj") or 0.0)
    dld = file.create_group("dld")
    columns = {
        name: GrowingColumn(dld, name, f"<{dtype}", units=unit) for name, (dtype, unit) in _DLD.items()
    }
    written = 0
    for ions in batches:
        hits = ions.hits
        values: dict[str, NDArray[Any]] = {
            "x": hits.x_um / _UM_PER_CM,
            "y": hits.y_um / _UM_PER_CM,
            "t": hits.tof_ps / PS_PER_NS,
            "high_voltage": hits.v_dc_v,
            "voltage_pulse": hits.v_p_v,
            "laser_pulse": np.full(hits.n, energy_pj),
            "start_counter": hits.pulse,
        }
        for name, column in columns.items():
            column.append(values[name])
        written += hits.n
    for column in columns.values():
        column.flush()
    tdc = file.create_group("tdc")
    tdc.attrs["comment"] = "raw words stay in the journal of the run"
    _fill(tdc, _TDC, {})
    _fill(file.create_group("apt"), _APT, _loop(source))
    provenance = file.create_group("provenance")
    for name, text in {
        "schema_version": "2.0",
        "created_by": f"evapd {__version__}",
        "run": source.info.id,
        "configuration_sha256": source.info.configuration_digest,
    }.items():
        provenance.attrs[name] = text
    rate_hz = (source.info.configuration.get("pulse") or {}).get("rate_hz")
    if rate_hz:
        provenance.attrs["pulse_rate_hz"] = float(rate_hz)
    return written


def _fill(group: h5py.Group, layout: dict[str, tuple[str, str]], values: dict[str, NDArray[Any]]) -> None:
    for name, (dtype, unit) in layout.items():
        data = values.get(name, np.empty(0))
        with np.errstate(invalid="ignore"):
            group.create_dataset(name, data=data.astype(f"<{dtype}")).attrs["units"] = unit


def _loop(source: Source) -> dict[str, NDArray[Any]]:
    loop, info = source.run.loop(("t_mono_us", "hits")), source.info
    if "t_mono_us" not in loop:
        return {}
    elapsed_s = (loop["t_mono_us"] - info.t_start_mono_us) / US_PER_S
    histories = source.run.histories()

    def at(prefix: str) -> NDArray[np.float64]:
        for name, history in histories.items():
            if name.startswith(prefix) and len(history.value):
                return np.interp(elapsed_s, history.elapsed_s, history.value)
        return np.full(len(elapsed_s), np.nan)

    hits = loop.get("hits", np.zeros(len(elapsed_s)))
    return {
        "id": np.arange(len(elapsed_s)),
        "num_events": np.nan_to_num(np.maximum(hits, 0.0)),
        "num_raw_signals": np.zeros(len(elapsed_s)),
        "temperature": at("temperature_"),
        "experiment_chamber_vacuum": at("pressure_") / _PA_PER_MBAR,
        "timestamps": info.t_start_utc / US_PER_S + elapsed_s,
    }


class PyccaptFile:
    """A file of PyCCAPT, open for reading; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file and find the datasets of `dld`.

        Raises:
            RecordError: when it is no HDF5 file, or lacks what a hit needs.
        """
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise RecordError(f"{path} cannot be opened as HDF5: {error}") from error
        try:
            self._columns = self._find()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _find(self) -> dict[str, h5py.Dataset]:
        group = self._file.get("dld")
        if not isinstance(group, h5py.Group):
            raise RecordError(
                f"{self.path}: group dld is missing; is it a file of PyCCAPT's control program?"
            )
        found: dict[str, h5py.Dataset] = {}
        for name in _DLD:
            for alias in _ALIASES.get(name, (name,)):
                if isinstance(group.get(alias), h5py.Dataset):
                    found.setdefault(name, group[alias])
        missing = [name for name in ("x", "y", "t", "high_voltage", "start_counter") if name not in found]
        if missing:
            raise RecordError(f"{self.path}: dld lacks {', '.join(missing)}; hits cannot be made without")
        wrong = [name for name, data in found.items() if data.ndim != 1 or data.dtype.kind not in "fiu"]
        lengths = {len(data) for name, data in found.items() if name not in wrong}
        if wrong or len(lengths) != 1:
            what = (
                f"{', '.join(wrong)} are no columns of numbers"
                if wrong
                else f"columns have different lengths {sorted(lengths)}"
            )
            raise RecordError(f"{self.path}: in dld {what}; the file is damaged or of another program")
        return found

    @property
    def n_hits(self) -> int:
        """Number of hits."""
        return len(self._columns["x"])

    @property
    def laser(self) -> bool:
        """True when laser pulses have energy and voltage pulses none."""
        return self._any("laser_pulse") and not self._any("voltage_pulse")

    def _any(self, name: str) -> bool:
        data = self._columns.get(name)
        return data is not None and len(data) > 0 and bool(np.any(np.nan_to_num(data[: 1 << 20]) > 0))

    @property
    def start_utc_us(self) -> int:
        """When the control loop began, us since 1970; 0 where the file does not say."""
        stamps = self._stamps()
        return round(float(stamps[0]) * US_PER_S) if len(stamps) and stamps[0] > 1e8 else 0

    def pulse_rate_hz(self) -> float | None:
        """Give the pulse rate that the file tells; None where it tells none."""
        told = self._file["provenance"].attrs.get("pulse_rate_hz") if "provenance" in self._file else None
        if told:
            return float(told)
        stamps, counter = self._stamps(), self._columns["start_counter"]
        if len(stamps) < 2 or not len(counter) or stamps[-1] <= stamps[0]:
            return None
        rate_hz = (float(counter[-1]) - float(counter[0])) / float(stamps[-1] - stamps[0])
        return rate_hz if 1.0 <= rate_hz <= 1e7 else None

    def _stamps(self) -> NDArray[Any]:
        data = self._file.get("apt/timestamps")
        return data[()] if isinstance(data, h5py.Dataset) else np.empty(0)

    def rows(self, start: int, stop: int) -> dict[str, NDArray[np.float64]]:
        """Read some hits: x_mm, y_mm, tof_ns, v_dc_v, v_p_v, pulse."""

        def read(name: str) -> NDArray[np.float64]:
            try:
                return np.asarray(self._columns[name][start:stop], np.float64)
            except OSError as error:
                raise RecordError(
                    f"{self.path}: dld/{name} cannot be read from hit {start} on: {error}"
                ) from error

        n = min(stop, self.n_hits) - start
        return {
            "x_mm": 10.0 * read("x"),
            "y_mm": 10.0 * read("y"),
            "tof_ns": read("t"),
            "v_dc_v": read("high_voltage"),
            "v_p_v": read("voltage_pulse") if "voltage_pulse" in self._columns else np.zeros(n),
            "pulse": read("start_counter"),
        }
