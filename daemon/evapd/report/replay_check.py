"""Does a replayed run hold what was played? Input hits against recorded hits, one to one."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.errors import RecordError
from evapd.record.journal import read_journal
from evapd.record.nxs import RunFile, open_run
from evapd.record.run import ACQUIRE_PREFIX, RunStore
from evapd.report.pairing import Hits, pair
from evapd.stream.frame import WORDS
from evapd.units import PS_PER_NS, UM_PER_MM

# The layout of APyT's `.raw` files (APyT documentation, "Raw file format"), 32 bytes, little endian.
RAW_HIT = np.dtype(
    [
        ("u_base_v", "<f4"),
        ("u_pulse_v", "<f4"),
        ("u_reflectron_v", "<f4"),
        ("x_mm", "<f4"),
        ("y_mm", "<f4"),
        ("tof_ns", "<f4"),
        ("epoch", "<i4"),
        ("pulse", "<u4"),
    ]
)
V_DC_TOLERANCE_V = 2.0
# What rounding to whole ps and um, and the input's 32-bit floats, may add to a bin.
_ROUNDING_PS = 1.0
_ROUNDING_UM = 1.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """Absolute differences of one quantity over the matched hits; NaN when none was compared."""

    unit: str
    p50: float
    p99: float
    largest: float

    @classmethod
    def of(cls, values: Floats, unit: str) -> "Difference":
        """Take the absolute values, unknown ones left out."""
        known = np.abs(values[np.isfinite(values)])
        if not len(known):
            return cls(unit, np.nan, np.nan, np.nan)
        p50, p99 = np.percentile(known, (50, 99))
        return cls(unit, float(p50), float(p99), float(known.max()))

    def __str__(self) -> str:
        if np.isnan(self.largest):
            return "nothing to compare"
        return (
            f"largest {self.largest:.3g} {self.unit} (half below {self.p50:.3g}, 99 % below {self.p99:.3g})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCheck:
    """What came out of a replay, beside what went in."""

    source: Path
    generated: bool  # the source was made up because the recorded file was not at hand
    input_hits: int
    recorded_hits: int
    matched: int
    unmatched: int  # of the input, not recorded
    not_played: int  # of the unmatched: in pulses behind the run's last one
    extra: int  # recorded, not of the input
    without_voltage: int  # matched hits whose voltage is not known
    tof_tolerance_ps: float
    place_tolerance_um: float
    tof: Difference
    x: Difference
    y: Difference
    v_dc: Difference

    @property
    def good(self) -> bool:
        """Every hit of the input is there once, nothing else is, and V_dc is within 2 V of the recorded one."""
        complete = self.matched == self.input_hits > 0 and not self.unmatched and not self.extra
        return complete and not self.without_voltage and self.v_dc.largest <= V_DC_TOLERANCE_V

    def lines(self) -> list[str]:
        """Give the comparison for people."""
        kind = "generated file of the same layout" if self.generated else "recorded file"
        played = f", {self.not_played:,d} of them not played: the run ended before" if self.not_played else ""
        within = f"{self.tof_tolerance_ps:.1f} ps and {self.place_tolerance_um:.1f} um (one bin of the TDC, and rounding)"
        unknown = f"; {self.without_voltage:,d} hits without a voltage" if self.without_voltage else ""
        return [
            f"{'replay of':14s} {self.source} ({kind})",
            f"{'hits':14s} {self.input_hits:,d} played, {self.recorded_hits:,d} recorded",
            f"{'matched':14s} {self.matched:,d}, within {within}",
            f"{'unmatched':14s} {self.unmatched:,d}{played}",
            f"{'extra':14s} {self.extra:,d}",
            f"{'time of flight':14s} {self.tof}",
            f"{'x':14s} {self.x}",
            f"{'y':14s} {self.y}",
            f"{'V_dc':14s} {self.v_dc}, allowed {V_DC_TOLERANCE_V:g} V{unknown}",
            f"{'agreement':14s} {'complete' if self.good else 'NOT COMPLETE'}",
        ]

    def as_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        plain = asdict(self) | {"source": str(self.source), "good": self.good}
        for name in ("tof", "x", "y", "v_dc"):
            plain[name] = {
                key: None if isinstance(value, float) and np.isnan(value) else value
                for key, value in plain[name].items()
            }
        return plain


def check_replay(
    run_path: Path, source: Path, *, generated: bool = False, bin_ps: float | None = None
) -> ReplayCheck:
    """Compare a finalised run with the file that was replayed into it.

    Hits match one to one within a pulse: time of flight within a bin of the TDC, place within what a bin is worth on
    the anode. The run's pulse number is the recorded one minus the first recorded one.

    Args:
        run_path: the run's folder or `.nxs` file.
        source: APyT `.raw` file.
        generated: whether the source was made up; only told.
        bin_ps: width of a TDC bin; None: as the run's own words say.

    Raises:
        RecordError: when run or source cannot be read, or nobody knows the bin width.
    """
    played = read_source(source)
    with open_run(run_path) as run:
        width_ps = bin_ps if bin_ps is not None else recorded_bin_ps(run.path.parent)
        tof_ps, place_um = width_ps + _ROUNDING_PS, _um_per_bin(run, width_ps) + _ROUNDING_UM
        chunk = run.hits()
        runs = run.pulses()
    end = int(runs["last_pulse"][-1]) + 1 if len(runs["last_pulse"]) else 0
    wanted = Hits(
        played["pulse"].astype(np.int64) - (int(played["pulse"][0]) if len(played) else 0),
        played["tof_ns"].astype(np.float64) * PS_PER_NS,
        played["x_mm"].astype(np.float64) * UM_PER_MM,
        played["y_mm"].astype(np.float64) * UM_PER_MM,
    )
    found = Hits(
        chunk.pulse.astype(np.int64), *(c.astype(np.float64) for c in (chunk.tof_ps, chunk.x_um, chunk.y_um))
    )
    i, j = pair(wanted, found, tof_ps, place_um)
    v_dc_v = chunk.v_dc_v[j].astype(np.float64)
    lonely = np.ones(len(played), dtype=np.bool_)
    lonely[i] = False
    return ReplayCheck(
        source=source,
        generated=generated,
        input_hits=len(played),
        recorded_hits=chunk.n,
        matched=len(i),
        unmatched=len(played) - len(i),
        not_played=int(np.count_nonzero(wanted.pulse[lonely] >= end)),
        extra=chunk.n - len(j),
        without_voltage=int(np.count_nonzero(np.isnan(v_dc_v))),
        tof_tolerance_ps=tof_ps,
        place_tolerance_um=place_um,
        tof=Difference.of(found.tof_ps[j] - wanted.tof_ps[i], "ps"),
        x=Difference.of(found.x_um[j] - wanted.x_um[i], "um"),
        y=Difference.of(found.y_um[j] - wanted.y_um[i], "um"),
        v_dc=Difference.of(v_dc_v - played["u_base_v"].astype(np.float64)[i], "V"),
    )


def read_source(path: Path) -> NDArray[Any]:
    """Read the hits of a `.raw` file.

    Raises:
        RecordError: when it cannot be read or is not of this layout.
    """
    try:
        size = path.stat().st_size
        if size % RAW_HIT.itemsize:
            raise RecordError(
                f"{path}: {size} bytes are not a whole number of hits of {RAW_HIT.itemsize} bytes"
            )
        return np.fromfile(path, dtype=RAW_HIT)
    except OSError as error:
        raise RecordError(
            f"{path}: {error.strerror or error}; the replayed file must still be there"
        ) from error


def recorded_bin_ps(run_folder: Path) -> float:
    """Give the width of a TDC bin from the first recorded words.

    Raises:
        RecordError: when no words were recorded.
    """
    for message in read_journal(RunStore(run_folder).journal, ACQUIRE_PREFIX):
        if message.topic == WORDS:
            numerator, denominator = message.header["bin_ps"]
            return float(numerator) / float(denominator)
    raise RecordError(f"{run_folder}: no words were recorded, so the width of a TDC bin must be given")


def replay_note(note: Path) -> tuple[Path, bool]:
    """Read which file the twin played, from its `replay-source.json`: the path, and whether it was generated.

    Raises:
        RecordError: when the note is absent or is not one.
    """
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        return Path(told["path"]), bool(told["generated"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{note} does not say what was replayed: {error}") from error


def _um_per_bin(run: RunFile, bin_ps: float) -> float:
    layers = run.info.anode.get("layers") or {}
    speeds = [float(layer["mm_per_ns"]) for layer in layers.values()]
    if not speeds:
        raise RecordError(f"{run.path}: the record has no anode, so positions cannot be compared")
    return max(speeds) * UM_PER_MM * bin_ps / PS_PER_NS
