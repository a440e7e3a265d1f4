"""Reading a finalised run back: hits in pieces, histories, and what the run said about itself."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from evapd.errors import RecordError
from evapd.record.columns import CHUNK_ROWS
from evapd.record.nxapm import COLLECTION, ENTRY, PATHS
from evapd.record.runinfo import RunInfo

_MEASUREMENT = f"{ENTRY}/measurement"


@dataclass(frozen=True, slots=True)
class HitChunk:
    """Some consecutive hits; all arrays have one length.

    `pulse` u8 absolute; `tof_ps` i4 raw; `x_um`, `y_um` i4; `quality`, `multiplicity` u1; `v_dc_v`, `v_p_v` f4, NaN where
    unknown; `mass_to_charge_da` f4, NaN where unknown, None when the run has no straight flight path.
    """

    pulse: NDArray[np.uint64]
    tof_ps: NDArray[np.int32]
    x_um: NDArray[np.int32]
    y_um: NDArray[np.int32]
    quality: NDArray[np.uint8]
    multiplicity: NDArray[np.uint8]
    v_dc_v: NDArray[np.float32]
    v_p_v: NDArray[np.float32]
    mass_to_charge_da: NDArray[np.float32] | None

    @property
    def n(self) -> int:
        """Number of hits."""
        return len(self.pulse)


class History(NamedTuple):
    """One quantity against the time since the start of the run."""

    elapsed_s: NDArray[np.float64]
    value: NDArray[np.float64]
    units: str
    title: str


class RunFile:
    """A finalised run, open for reading; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open a `.nxs` file of this program.

        Raises:
            RecordError: when it is absent, not HDF5, or not finalised by evapd.
        """
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise RecordError(
                f"{path} cannot be opened: {error}; finalise the run again from its journal"
            ) from error
        try:
            self.info = RunInfo.model_validate_json(self._text("run_json"))
            self.n_hits = len(self._file[PATHS["pulse"]])
        except (KeyError, ValidationError) as error:
            self._file.close()
            raise RecordError(f"{path} was not finalised by this program: {error}") from None

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def iter_hits(self, chunk: int = CHUNK_ROWS) -> Iterator[HitChunk]:
        """Give the hits in their order, at most `chunk` at a time."""
        for start in range(0, self.n_hits, chunk):
            yield self.hits(start, start + chunk)

    def hits(self, start: int = 0, stop: int | None = None) -> HitChunk:
        """Give the hits from `start` to before `stop`, by default all."""
        rows = slice(start, stop)
        xy_um = self._column("xy_um", rows)
        return HitChunk(
            pulse=self._column("pulse", rows),
            tof_ps=self._column("tof_ps", rows).astype(np.int32),
            x_um=xy_um[:, 0],
            y_um=xy_um[:, 1],
            quality=self._column("quality", rows),
            multiplicity=self._column("multiplicity", rows),
            v_dc_v=self._column("v_dc_v", rows),
            v_p_v=self._column("v_p_v", rows),
            mass_to_charge_da=(
                self._column("mass_to_charge_da", rows) if PATHS["mass_to_charge_da"] in self._file else None
            ),
        )

    def histories(self) -> dict[str, History]:
        """Give every history by name, such as `voltage`, `rate`, `pressure_analysis`."""
        found = {}
        for name, data in self._file[_MEASUREMENT].items():
            if data.attrs.get("NX_class") == "NXdata":
                signal = str(data.attrs["signal"])
                found[signal] = History(
                    data["elapsed_time"][()],
                    data[signal][()],
                    str(data[signal].attrs["units"]),
                    data["title"].asstr()[()],
                )
                assert name.startswith(signal)  # noqa: S101 - written so by nxapm.write_history
        return found

    def loop(self, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
        """Give the control loop's columns, one row per tick: all, or those named that there are."""
        columns = self._file[f"{COLLECTION}/loop"].items()
        return {name: dataset[()] for name, dataset in columns if names is None or name in names}

    def pulses(self) -> dict[str, NDArray[Any]]:
        """Give the runs of live (0), inhibited (1), mixed (2) and lost (3) pulses: first, last, kind, inhibited."""
        return {name: dataset[()] for name, dataset in self._file[f"{COLLECTION}/pulses"].items()}

    def events(self) -> list[dict[str, Any]]:
        """Give events and states in the order in which they were recorded, the guard's first."""
        return [json.loads(text) for text in self._file[f"{COLLECTION}/events"].asstr()[()]]

    def losses(self) -> dict[str, Any]:
        """Give the counts of what is missing, and the journals' accounts."""
        return dict(json.loads(self._text("losses")))

    def bytes_of_columns(self) -> dict[str, int]:
        """Give the bytes on disk of each column with one row per hit."""
        return dict(json.loads(self._text("bytes_of_columns")))

    def quality_codes(self) -> list[str]:
        """Give what the quality codes mean, by code."""
        attributes = self._file[PATHS["quality"]].attrs
        if "codes" in attributes:  # as files were written until November 2026
            return [str(text) for text in attributes["codes"]]
        finding = PATHS["quality"].rsplit("/", 1)[0]
        return [str(text) for text in self._file[f"{finding}/hit_quality_type"].asstr()[()]]

    def _column(self, name: str, rows: slice) -> NDArray[Any]:
        return np.asarray(self._file[PATHS[name]][rows])

    def _text(self, name: str) -> str:
        return str(self._file[f"{COLLECTION}/{name}"].asstr()[()])


def open_run(path: Path) -> RunFile:
    """Open a finalised run: its `.nxs` file, or the run folder that holds it.

    Raises:
        RecordError: when there is none, or it cannot be read.
    """
    return RunFile(nexus_of(path))


def nexus_of(path: Path) -> Path:
    """Give the `.nxs` file of a run folder; a path that is no folder is given back.

    Raises:
        RecordError: when the run has none yet.
    """
    if not path.is_dir():
        return path
    path = path.resolve()
    file = path / f"{path.name}.nxs"
    if not file.exists():
        raise RecordError(f"run {path.name} is not finalised; `evapd export {path}` does it")
    return file
