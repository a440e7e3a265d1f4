"""Commands on recorded data: exports, imports, mass calibration, compositions. `evapd.cli` takes them over."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

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


def _symbols(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("calibrate-mass")(calibrate_mass)
