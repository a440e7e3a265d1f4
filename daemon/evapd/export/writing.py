"""`evapd export --to`: one file of another program's format, and beside it what it is and what it lacks."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import h5py

from evapd import __version__
from evapd.errors import RecordError, StateError
from evapd.export.apt6 import write_apt
from evapd.export.events import Ions, Source
from evapd.export.pos import write_epos, write_pos
from evapd.export.projection import LABEL, NAME, Projection
from evapd.export.pyccapt import write_pyccapt
from evapd.export.raw import write_raw
from evapd.export.tables import need_parquet, write_csv, write_parquet
from evapd.record.columns import CHUNK_CACHE_BYTES
from evapd.record.finalise import write_nexus
from evapd.record.hdf5file import GuardedFile
from evapd.record.newfile import new_file, part_of, refuse_existing, removed_on_failure
from evapd.record.run import RunStore, sync_folder
from evapd.spectrometry.rescaled import open_rescaled

Kind = Literal["pos", "epos", "apt", "raw", "pyccapt", "parquet", "csv"]
VoltageUnit = Literal["V", "kV"]
Progress = Callable[[float], None]
SUFFIXES: dict[Kind, str] = {
    "pos": ".pos", "epos": ".epos", "apt": ".apt", "raw": ".raw", "pyccapt": ".h5", "parquet": ".parquet", "csv": ".csv"
}  # fmt: skip
PROJECTED: tuple[Kind, ...] = ("pos", "epos", "apt")
# What of the finalised run does not go into each; the table in docs/export.md says the same.
LACKS: dict[Kind, str] = {
    "pos": "times, voltages, detector places, pulses, quality, hits without m/q; float32",
    "epos": "pulse numbers, quality, hits without m/q, beta and t0 of the masses; float32",
    "apt": "V_p, pulse numbers, quality, hits without m/q; float32",
    "raw": "quality, m/q, inhibited and lost pulses, pulse numbers above 2^32; float32",
    "pyccapt": "quality, m/q, inhibited and lost pulses; raw words stay in the journal",
    "parquet": "histories, events, configuration",
    "csv": "histories, events, configuration",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    run: str
    kind: Kind
    file: Path
    sidecar: Path
    hits: int
    left_out: int
    bytes: int
    voltage_unit: VoltageUnit
    projected: bool

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self) | {"file": str(self.file), "sidecar": str(self.sidecar)}

    def text(self) -> str:
        """Say it to a person."""
        words = f"{self.file}: {self.hits:,} hits of run {self.run} as {self.kind}, {self.bytes:,} bytes"
        words += f"; voltages in {self.voltage_unit}" if self.kind == "epos" else ""
        words += f"; x, y, z are a {LABEL} ({NAME})" if self.projected else ""
        words += f"; {self.left_out:,} hits without m/q or voltage are left out" if self.left_out else ""
        return f"{words}; {self.sidecar.name} says the rest"


def export_run(
    run_path: Path,
    kind: Kind,
    output: Path | None = None,
    *,
    mass: Path | None = None,
    projection: Projection | None = None,
    voltage_unit: VoltageUnit = "V",
    force: bool = False,
    progress: Progress = lambda _: None,
) -> Exported:
    """Write the hits of a run in another program's format.

    Memory does not grow with the run, the same run gives the same bytes, and the file gets its name when it is whole.

    Args:
        run_path: run folder or `.nxs` file; a run that is not finalised is read from its journals.
        kind: the format.
        output: the file; by default the run's name with the format's ending, in its folder.
        mass: mass calibration file to be used instead of the recorded masses.
        projection: settings of x, y, z; the defaults when None.
        voltage_unit: of an ePOS file.
        force: replace a file that is there.
        progress: is told the part done, 0 to 1.

    Raises:
        RecordError: when the run cannot be read, or the file cannot be written or is there already.
        StateError: when the run or the program lacks what the format needs.
        ConfigError: when the mass calibration file is not valid.
    """
    if voltage_unit != "V" and kind != "epos":
        raise StateError(
            f"--voltage-unit {voltage_unit} is for --to epos only; {kind} has volts by definition"
        )
    if kind == "parquet":
        need_parquet()
    run_path = run_path.resolve()
    folder = run_path if run_path.is_dir() else run_path.parent
    file = output or folder / f"{run_path.name.removesuffix('.nxs')}{SUFFIXES[kind]}"
    if file.resolve() == run_path:
        raise RecordError(f"{file} is what is read: name another file to write")
    refuse_existing(file, force=force)
    used = (projection or Projection()) if kind in PROJECTED else None
    with contextlib.ExitStack() as stack:
        nexus = stack.enter_context(_finalised(run_path, file, lambda share: progress(0.5 * share)))
        run = stack.enter_context(open_rescaled(nexus, mass))
        source = Source(run)
        if used is not None:
            source.need_masses(kind)
        begun = 0.0 if run_path in (nexus, nexus.parent) else 0.5
        passes = _Passes(
            source, used, 2 if kind == "apt" else 1, lambda share: progress(begun + (1 - begun) * share)
        )
        hits = _write(kind, file, source, passes, voltage_unit)
        result = Exported(
            source.info.id, kind, file, file.with_name(f"{file.name}.json"), hits, source.left_out,
            file.stat().st_size, voltage_unit, used is not None,
        )  # fmt: skip
        scale = getattr(run, "scale", None)
        told = _told(result, source, used) | {
            "mass_calibration": scale.model_dump(mode="json") if scale else None
        }
    with new_file(result.sidecar) as side:
        side.write((json.dumps(told, indent=1) + "\n").encode())
    progress(1.0)
    return result


@contextlib.contextmanager
def _finalised(run_path: Path, file: Path, progress: Progress) -> Iterator[Path]:
    """Give the finalised file of a run; for one that has none, a passing one made from its journals beside the output."""
    if not run_path.is_dir():
        yield run_path
        return
    store = RunStore(run_path)
    if store.nexus_path.exists():
        yield store.nexus_path
        return
    passing = file.with_name(f".{file.name}.hits.nxs")
    try:
        write_nexus(passing, store.load(), store, progress=progress)
        yield passing
    except OSError as error:
        raise RecordError(f"{passing}: {error.strerror or error}; make room beside the output") from error
    finally:
        passing.unlink(missing_ok=True)


class _Passes:
    """Passes over the hits, with one progress for all of them."""

    def __init__(
        self, source: Source, projection: Projection | None, passes: int, progress: Progress
    ) -> None:
        self._source, self._projection = source, projection
        self._hits = max(1, passes * source.run.n_hits)
        self._progress, self._done = progress, 0

    def __call__(self) -> Iterator[Ions]:
        for ions in self._source.ions(self._projection):
            yield ions
            self._done += ions.hits.n
            self._progress(min(1.0, self._done / self._hits))


def _write(kind: Kind, file: Path, source: Source, passes: _Passes, voltage_unit: VoltageUnit) -> int:
    if kind == "pyccapt":
        return _write_hdf5(file, lambda made: write_pyccapt(made, source, passes()))
    writers: dict[str, Callable[[BinaryIO], int]] = {
        "pos": lambda out: write_pos(out, passes()),
        "epos": lambda out: write_epos(out, passes(), volts_per_unit=1000.0 if voltage_unit == "kV" else 1.0),
        "apt": lambda out: write_apt(out, passes, name=file.name, t_utc_us=source.info.t_start_utc),
        "raw": lambda out: write_raw(out, passes()),
        "csv": lambda out: write_csv(out, passes()),
        "parquet": lambda out: write_parquet(
            out, passes(), about={"run": source.info.id, "evapd": __version__}
        ),
    }
    with new_file(file) as out:
        return writers[kind](out)


def _write_hdf5(file: Path, write: Callable[[h5py.File], int]) -> int:
    part = part_of(file)
    try:
        with contextlib.closing(GuardedFile(part)) as disk, removed_on_failure(part):
            with h5py.File(disk, "w", rdcc_nbytes=CHUNK_CACHE_BYTES) as made:
                hits = write(made)
            disk.sync()
            part.rename(file)
        sync_folder(file.parent)
    except BlockingIOError as error:
        raise RecordError(f"{file} is being written by another process; wait for it") from error
    except OSError as error:
        raise RecordError(f"{file}: {error.strerror or error}; make room or check the folder") from error
    return hits


def _told(result: Exported, source: Source, projection: Projection | None) -> dict[str, Any]:
    digest = hashlib.sha256()
    with result.file.open("rb") as written:
        while piece := written.read(1 << 20):
            digest.update(piece)
    told: dict[str, Any] = {
        "file": result.file.name,
        "format": result.kind,
        "run": result.run,
        "evapd": __version__,
        "hits": result.hits,
        "left_out_without_mass_or_voltage": result.left_out,
        "bytes": result.bytes,
        "sha256": digest.hexdigest(),
        "conditions": [str(flag) for flag in source.info.conditions],
        "lacks": LACKS[result.kind],
    }
    if result.kind == "epos":
        told["voltage_unit"] = result.voltage_unit
    if result.kind in ("epos", "apt"):
        told["multiplicity"] = "hits in the pulse on its first hit, 0 on the others"
    if projection is not None:
        told["projection"] = {
            "name": NAME, "label": LABEL, **projection.model_dump(), "detector_radius_mm": source.radius_mm()
        }  # fmt: skip
    return told
