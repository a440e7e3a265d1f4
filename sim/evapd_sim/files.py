"""Files (.npz) with which a matching is tested alone: words, the truth behind them, and the hits somebody made of them.

Words: `pulse` u8, `channel` u1, `time` i4 (bins after the pulse), `bin_ps` (numerator, denominator), `first_pulse`,
`last_pulse` (inclusive). Truth: `pulse` u8, `tof_ps`, `x_mm`, `y_mm` f8, `alive` u1 (bit k: channel k is in the words).
Hits: `pulse` u4 (from `first_pulse`), `tof_ps`, `x_um`, `y_um` i4, `quality` u1, `multiplicity` u1, `first_pulse`.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from evapd.errors import RecordError
from evapd.units import UM_PER_MM
from evapd_sim.converter import Words
from evapd_sim.score import Hits
from evapd_sim.true_hits import TrueHits

_Columns = dict[str, NDArray[Any]]


def write_words(path: Path, words: Words, *, pulses: int, bin_ps: Fraction) -> None:
    """Write the words of the pulses 0 to `pulses` - 1; who made them is not told.

    Raises:
        RecordError: when the file cannot be written.
    """
    columns: _Columns = {
        "pulse": words.pulse.astype("<u8"),
        "channel": words.channel.astype("u1"),
        "time": words.time.astype("<i4"),
        "bin_ps": np.array([bin_ps.numerator, bin_ps.denominator], dtype="<i8"),
        "first_pulse": np.array(0, dtype="<u8"),
        "last_pulse": np.array(pulses - 1, dtype="<u8"),
    }
    _write(path, columns)


def write_truth(path: Path, truth: TrueHits) -> None:
    """Write the true hits.

    Raises:
        RecordError: when the file cannot be written.
    """
    columns: _Columns = {
        "pulse": truth.pulse.astype("<u8"),
        "tof_ps": truth.tof_ps.astype("<f8"),
        "x_mm": truth.x_mm.astype("<f8"),
        "y_mm": truth.y_mm.astype("<f8"),
        "alive": truth.alive.astype("u1"),
    }
    _write(path, columns)


def read_truth(path: Path) -> TrueHits:
    """Read what `write_truth` wrote.

    Raises:
        RecordError: when the file is absent, damaged or of another layout.
    """
    columns = _read(path, ("pulse", "tof_ps", "x_mm", "y_mm", "alive"))
    pulse = columns["pulse"].astype(np.int64)
    if (np.diff(pulse) < 0).any():
        raise RecordError(f"{path}: pulse falls; a truth file has its hits in their order")
    return TrueHits(
        pulse,
        columns["tof_ps"].astype(float),
        columns["x_mm"].astype(float),
        columns["y_mm"].astype(float),
        columns["alive"].astype(np.uint8),
    )


def read_hits(path: Path) -> Hits:
    """Read a hits file.

    Raises:
        RecordError: when the file is absent, damaged or of another layout.
    """
    columns = _read(path, ("pulse", "tof_ps", "x_um", "y_um", "quality"), scalar="first_pulse")
    return Hits(
        pulse=columns["pulse"].astype(np.int64) + int(columns["first_pulse"]),
        tof_ps=columns["tof_ps"].astype(float),
        x_mm=columns["x_um"] / UM_PER_MM,
        y_mm=columns["y_um"] / UM_PER_MM,
        quality=columns["quality"].astype(np.uint8),
    )


def _write(path: Path, columns: _Columns) -> None:
    try:
        with path.open("wb") as file:  # numpy would append a suffix to a bare name
            np.savez(file, **columns)  # type: ignore[arg-type]  # the stub takes the columns for `allow_pickle`
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}; check folder, permission and disk") from error


def _read(path: Path, names: tuple[str, ...], scalar: str | None = None) -> _Columns:
    wanted = names if scalar is None else (*names, scalar)
    try:
        # Of an array of its own numpy gives no archive; of pickled objects nothing is read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [name for name in wanted if name not in archive.files]
            columns = {name: archive[name] for name in wanted if name not in missing}
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}; check the path") from error
    except (ValueError, EOFError, BadZipFile, AttributeError, TypeError) as error:
        raise RecordError(f"{path}: no readable .npz file ({error}); write it anew") from error
    if missing:
        raise RecordError(f"{path} has no array {', '.join(missing)}; it should have {', '.join(wanted)}")
    shapes = {columns[name].shape for name in names}
    if len(shapes) != 1 or len(shapes.pop()) != 1 or (scalar and columns[scalar].shape != ()):
        raise RecordError(f"{path}: {', '.join(names)} must be columns of one length")
    if any(column.dtype.kind not in "iuf" for column in columns.values()):
        raise RecordError(f"{path}: {', '.join(wanted)} must be numbers")
    return columns
