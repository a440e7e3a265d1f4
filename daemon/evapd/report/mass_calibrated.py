"""`evapd calibrate-mass`: a run and known peaks in, a mass calibration file and a picture out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evapd import __version__
from evapd.config.model import Instrument
from evapd.errors import RecordError, StateError
from evapd.record.newfile import new_file, refuse_existing
from evapd.record.nxs import open_run
from evapd.record.runinfo import RunInfo
from evapd.report.found import elements_of, missing_extra
from evapd.report.known_peaks import peaks_from_text, peaks_of_elements
from evapd.report.mass_plot import plot_mass
from evapd.spectrometry.align import KnownPeak
from evapd.spectrometry.calibrate import Calibrated, calibrate
from evapd.spectrometry.masses import MassScale
from evapd.spectrometry.sample import sample_hits
from evapd.spectrometry.shape import PeakShape


@dataclass(frozen=True, slots=True)
class MassCalibration:
    """What came of it, and where it was written."""

    run_id: str
    result: Calibrated
    output: Path
    picture: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "run": self.run_id,
            "output": str(self.output),
            "picture": str(self.picture) if self.picture else None,
            **told(self.result),
        }


def start_scale(
    info: RunInfo, *, flight_path_mm: float | None = None, t0_ps: float | None = None
) -> MassScale:
    """Take the constants that a run was recorded with, or those given instead.

    Raises:
        StateError: when there is no flight path, or it is not straight.
    """
    settings = dict(info.configuration.get("instrument") or {})
    settings |= {"flight_path_mm": flight_path_mm} if flight_path_mm is not None else {}
    settings |= {"t0_ps": t0_ps} if t0_ps is not None else {}
    if settings.get("flight_path_kind") == "reflectron":
        raise StateError(
            "a reflectron needs its own flight function; the straight-path formula does not hold for this run"
        )
    try:
        instrument = Instrument.model_validate(settings)
    except ValidationError as error:
        raise StateError(
            f"the record does not describe the flight path ({error.error_count()} problems); give it with --flight-path-mm"
        ) from None
    mode = (info.configuration.get("pulse") or {}).get("mode", "voltage")
    return MassScale.of(instrument, voltage_mode=mode == "voltage")


def known_peaks(info: RunInfo, peaks: str | None, elements: Sequence[str]) -> list[KnownPeak]:
    """Take the peaks named, else the elements named, else the elements that the record names."""
    return peaks_from_text(peaks) if peaks else peaks_of_elements(tuple(elements) or elements_of(info))


def calibrate_run(
    run_path: Path,
    output: Path,
    *,
    peaks: str | None = None,
    elements: Sequence[str] = (),
    flight_path_mm: float | None = None,
    t0_ps: float | None = None,
    picture: Path | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> MassCalibration:
    """Calibrate the masses of a finalised run and write what came of it.

    Raises:
        RecordError: when the run cannot be read, or a file cannot be written or is there already.
        StateError: when peaks are not named or not there, or the run lacks what is needed.
    """
    for target in (output, picture):
        if target is not None:
            refuse_existing(target, force=force)
    if picture is not None and find_spec("matplotlib") is None:
        raise missing_extra("the picture of the calibration", ImportError(name="matplotlib"))
    with open_run(run_path) as run:
        if picture is not None and picture.resolve() == run.path.resolve():
            raise RecordError(f"{picture} is what is read: name another file to write")
        start = start_scale(run.info, flight_path_mm=flight_path_mm, t0_ps=t0_ps)
        known = known_peaks(run.info, peaks, elements)
        hits = sample_hits(run, voltage_mode=start.voltage_mode, progress=progress)
        result = calibrate(hits, known, start)
        run_id, quiet = run.info.id, {"run": run.info.id, "evapd": __version__}
    scale = result.scale.model_copy(update={"about": quiet | told(result)})
    with new_file(output) as file:
        file.write(scale.text().encode())
    if picture is not None:
        plot_mass(result, hits, picture, source=run_id)
    return MassCalibration(run_id, result, output, picture)


def told(result: Calibrated) -> dict[str, Any]:
    """Give what was found as plain data."""
    scale = result.scale
    return {
        "hits": result.hits,
        "constants": {
            name: {"value": getattr(scale, name), "before": getattr(result.start, name)}
            | (
                {"standard_error": result.fitted[name]}
                if name in result.fitted
                else {"held": result.held.get(name, "")}
            )
            for name in ("flight_path_mm", "t0_ps", "alpha", "beta")
        },
        "voltage_correction": "used" if scale.voltage else result.held.get("voltage correction", ""),
        "bowl_correction": "used" if scale.bowl else result.held.get("bowl correction", ""),
        "resolving_power_gain": round(result.gain, 4),
        "peaks": [
            {
                "name": row.peak.name,
                "known_da": row.peak.mass_da,
                "error_da": row.error_da,
                "before": _shape(row.before),
                "after": _shape(row.after),
            }
            for row in result.peaks
        ],
        "not_there": [peak.name for peak in result.absent],
    }


def _shape(shape: PeakShape | None) -> dict[str, float | None] | None:
    if shape is None:
        return None
    return asdict(shape) | {
        "resolving_power": shape.resolving_power,
        "resolving_power_10": shape.resolving_power_10,
    }


def calibration_lines(done: MassCalibration) -> str:
    """Say what was found, for a person."""
    result, scale = done.result, done.result.scale
    lines = [f"{done.output}: mass calibration of run {done.run_id} from {result.hits:,} hits"]
    for name, unit, words in (
        ("flight_path_mm", "mm", "flight path"), ("t0_ps", "ps", "t0"), ("alpha", "", "alpha"), ("beta", "", "beta")
    ):  # fmt: skip
        value = f"{getattr(scale, name):.6g} {unit}".strip()
        how = (
            f"+- {result.fitted[name]:.2g}, was {getattr(result.start, name):.6g}"
            if name in result.fitted
            else f"held: {result.held.get(name, '')}"
        )
        lines.append(f"  {words:12s} {value} ({how})")
    for words, used in (("voltage correction", scale.voltage), ("bowl correction", scale.bowl)):
        lines.append(f"  {words}: {'used' if used else 'not used: ' + result.held.get(words, '')}")
    lines.append("  peak           known      before (m, m/dm, m/dm 10 %)          after             error")
    for row in result.peaks:
        error = f"{row.error_da:+.4f} Da" if row.error_da is not None else "not measured"
        lines.append(
            f"  {row.peak.name:12s} {row.peak.mass_da:8.3f}   {_words(row.before):28s} {_words(row.after):28s} {error}"
        )
    if result.absent:
        lines.append(f"  not there or too weak: {', '.join(peak.name for peak in result.absent)}")
    lines.append(f"  resolving power, mean over the peaks by counts: {result.gain:.3f} times what it was")
    return "\n".join(lines)


def _words(shape: PeakShape | None) -> str:
    if shape is None:
        return "not measured"
    tenth = shape.resolving_power_10
    return f"{shape.mass_da:8.3f} {shape.resolving_power:6.0f} {'-' if tenth is None else format(tenth, '.0f'):>6s}"
