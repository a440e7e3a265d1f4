"""Commands on recorded data: exports, imports, mass calibration, compositions. `evapd.cli` takes them over."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from evapd.errors import StateError

Run = Annotated[Path, typer.Argument(help="run folder or .nxs file", metavar="RUN")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
Force = Annotated[bool, typer.Option("--force", help="replace files that are there")]
Mass = Annotated[Path | None, typer.Option("--mass", help="mass calibration file, see calibrate-mass")]


def _print(content: Any, *, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(content, indent=2, default=str) if as_json else text)


def calibrate_mass(
    run_path: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="mass calibration file to write (YAML)")],
    *,
    peaks: Annotated[str | None, typer.Option(help="known peaks, such as 1:H,27:Al,18.0106:H2O")] = None,
    elements: Annotated[
        str | None,
        typer.Option(help="elements whose peaks are looked for, such as Al,Fe; by default the record's"),
    ] = None,
    flight_path_mm: Annotated[float | None, typer.Option(min=1.0, help="instead of the record's")] = None,
    t0_ps: Annotated[float | None, typer.Option(help="instead of the record's")] = None,
    picture: Annotated[Path | None, typer.Option(help="PNG to write: before and after")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fit the mass scale of a finalised run to known peaks: t0, flight path, alpha, beta, voltage and bowl correction."""
    from evapd.report.mass_calibrated import calibrate_run, calibration_lines

    if peaks and elements:
        raise StateError("--peaks and --elements: give one of them")
    with typer.progressbar(length=1000, label="reading hits", file=sys.stderr) as bar:
        done = calibrate_run(
            run_path, output, peaks=peaks, elements=_symbols(elements), flight_path_mm=flight_path_mm, t0_ps=t0_ps,
            picture=picture, force=force, progress=lambda share: bar.update(int(1000 * share) - bar.pos),
        )  # fmt: skip
    _print(done.as_dict(), as_json=as_json, text=calibration_lines(done))


def export(
    run_path: Run,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="file; by default in the run folder")
    ] = None,
    *,
    to: Annotated[
        str, typer.Option(help="nxs (finalise the run), pos, epos, apt, raw (APyT), pyccapt, parquet, csv")
    ] = "nxs",
    mass: Mass = None,
    voltage_unit: Annotated[
        str, typer.Option(help="of ePOS: V, or kV as the first description has it")
    ] = "V",
    field_v_per_nm: Annotated[float | None, typer.Option(help="field of evaporation, for x, y, z")] = None,
    field_factor: Annotated[float | None, typer.Option(help="k_f in R = V / (k_f F)")] = None,
    image_compression: Annotated[float | None, typer.Option(help="xi")] = None,
    efficiency: Annotated[float | None, typer.Option(help="share of the ions that are detected")] = None,
    atomic_volume_nm3: Annotated[float | None, typer.Option(help="of one ion")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Finalise a run folder into its .nxs file, or write its hits in another program's format with --to."""
    given = {
        "field_v_per_nm": field_v_per_nm, "field_factor": field_factor, "image_compression": image_compression,
        "efficiency": efficiency, "atomic_volume_nm3": atomic_volume_nm3,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if to == "nxs":
        if output is not None or mass is not None or given:
            raise StateError(
                "--to nxs finalises a run in its folder as it was recorded; it takes no further options"
            )
        _finalise(run_path, as_json=as_json)
        return
    from evapd.export.projection import Projection
    from evapd.export.writing import PROJECTED, SUFFIXES, export_run

    kind = next((name for name in SUFFIXES if name == to), None)
    unit = next((name for name in ("V", "kV") if name == voltage_unit), None)
    if kind is None or unit is None:
        wrong = f"--to {to}" if kind is None else f"--voltage-unit {voltage_unit}"
        raise StateError(f"{wrong} is not known; formats are nxs, {', '.join(SUFFIXES)}, units V and kV")
    if given and kind not in PROJECTED:
        raise StateError(
            f"{', '.join(given)}: {kind} has no projected positions; only {', '.join(PROJECTED)} have"
        )
    try:
        projection = Projection(**given)
    except ValidationError as error:
        raise StateError(
            "; ".join(f"--{e['loc'][0]}: {e['msg']}".replace("_", "-") for e in error.errors())
        ) from None
    with typer.progressbar(length=1000, label=f"writing {kind}", file=sys.stderr) as bar:
        done = export_run(
            run_path, kind, output, mass=mass, projection=projection, voltage_unit=unit, force=force,
            progress=lambda share: bar.update(int(1000 * share) - bar.pos),
        )  # fmt: skip
    _print(done.as_dict(), as_json=as_json, text=done.text())


def _finalise(run_path: Path, *, as_json: bool) -> None:
    from evapd.record.finalise import finalise
    from evapd.record.finalising.pace import Pace

    live = sys.stderr.isatty()
    pace = Pace(lambda now: typer.echo(f"\r\x1b[2K{now}", err=True, nl=False), time.monotonic)
    try:
        done = finalise(run_path, tell=pace if live else None)
    finally:
        if live:
            typer.echo(err=True)
    _print({"file": str(done)}, as_json=as_json, text=str(done))


def import_(
    file: Annotated[Path, typer.Argument(help="APyT .raw or PyCCAPT .h5 file", metavar="FILE")],
    folder: Annotated[Path, typer.Option(help="the rig's folder; the run goes into its runs/")] = Path(
        "evapd-data"
    ),
    *,
    name: Annotated[str | None, typer.Option(help="name of the run; by default the file's")] = None,
    pulse_rate_hz: Annotated[
        float | None, typer.Option(min=0.1, max=1e7, help="where the file does not tell it")
    ] = None,
    pulse_mode: Annotated[
        str | None, typer.Option(help="voltage or laser; by default as the amplitudes tell")
    ] = None,
    flight_path_mm: Annotated[float | None, typer.Option(help="gives the run masses")] = None,
    t0_ps: Annotated[float, typer.Option(help="goes with --flight-path-mm")] = 0.0,
    elements: Annotated[str | None, typer.Option(help="what the specimen is made of, such as W,C")] = None,
    as_json: Json = False,
) -> None:
    """Make a run folder of hits that another program recorded."""
    from datetime import UTC, datetime

    from evapd.export.importing import import_hits

    if pulse_mode not in (None, "voltage", "laser"):
        raise StateError(f"--pulse-mode {pulse_mode} is not known; it is voltage or laser")
    with typer.progressbar(length=1000, label="importing", file=sys.stderr) as bar:
        done = import_hits(
            file, folder / "runs", made_utc_us=int(datetime.now(UTC).timestamp() * 1e6), name=name,
            pulse_rate_hz=pulse_rate_hz, pulse_mode="voltage" if pulse_mode == "voltage" else "laser" if pulse_mode else None,
            flight_path_mm=flight_path_mm, t0_ps=t0_ps, elements=_symbols(elements),
            progress=lambda share: bar.update(int(1000 * share) - bar.pos),
        )  # fmt: skip
    _print(done.as_dict(), as_json=as_json, text=done.text())


def compose(
    run_path: Run,
    ranges: Annotated[Path, typer.Option(help="range file, RRNG or RNG")],
    *,
    background: Annotated[str, typer.Option(help="flat-tof, sidebands or none")] = "flat-tof",
    mass: Mass = None,
    as_json: Json = False,
) -> None:
    """Give the composition of a finalised run by a range file, with counting errors and charge-state ratios."""
    from evapd.report.composed import compose_run
    from evapd.spectrometry.composition import METHODS

    method = next((name for name in METHODS if name == background), None)
    if method is None:
        raise StateError(f"--background {background} is not known; methods are {', '.join(METHODS)}")
    with typer.progressbar(length=1000, label="counting", file=sys.stderr) as bar:
        done = compose_run(
            run_path,
            ranges,
            method=method,
            mass=mass,
            progress=lambda share: bar.update(int(1000 * share) - bar.pos),
        )
    _print(done.as_dict(), as_json=as_json, text=done.text())


def _symbols(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(export)
    app.command("import")(import_)
    app.command("calibrate-mass")(calibrate_mass)
    app.command()(compose)
