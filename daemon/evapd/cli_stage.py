"""Commands on the stage: where it is, moves that the guard judges, and how well it comes back. Straight to the guard."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from evapd.config.layout import Layout
from evapd.errors import EvapdError, RequestTimeout, StateError

if TYPE_CHECKING:
    from evapd.rpc import Requester

_ANSWER_S = 2.0
app = typer.Typer(name="stage", help=__doc__, no_args_is_help=True)
Folder = Annotated[Path, typer.Option(help="the rig's folder, where the guard's own socket lies")]
Axis = Annotated[str, typer.Argument(help="name of the axis, as in the rig file")]
HERE = Path("evapd-data")


class GuardsStages:
    """The stages of a rig, through its guard."""

    def __init__(self, requester: "Requester") -> None:
        self._requester = requester

    def axes(self) -> dict[str, dict[str, Any]]:
        """Give every axis of every stage as read last, with the age of the reading in s."""
        devices = self._requester.request("status", {})["devices"]
        found: dict[str, dict[str, Any]] = {}
        for name, device in devices.items():
            if device["role"] != "stage":
                continue
            if device["reading"] is None or device["state"] != "online":
                raise StateError(f"{name} is {device['state']}: {device['last_error'] or 'no reading yet'}")
            for axis, one in device["reading"]["axes"].items():
                found[axis] = one | {"device": name, "age_s": device["age_s"]}
        if not found:
            raise StateError("this rig has no device with the role 'stage'")
        return found

    def move(self, axis: str, mm: float) -> None:
        """Ask for a move; raises with the guard's reason where it is refused."""
        self._requester.request("stage_move", {"axis": axis, "mm": mm})

    def ask(self, command: str, **args: Any) -> None:
        """Ask for something else."""
        self._requester.request(command, args)


@app.command()
def status(
    folder: Folder = HERE, *, as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False
) -> None:
    """Print every axis: position, whether its place is known, whether it moves."""
    with _guard(folder) as stages:
        axes = stages.axes()
    if as_json:
        typer.echo(json.dumps(axes, indent=2))
        return
    for name, one in axes.items():
        words = [
            "referenced" if one["referenced"] else "NOT REFERENCED",
            "moves" if one["moving"] else "in position" if one["in_position"] else "at rest",
        ]
        if one["following_error_mm"] is not None:
            words.append(f"following error {1000 * one['following_error_mm']:.1f} um")
        typer.echo(f"{name:<8} {one['position_mm']:12.6f} mm  {', '.join(words)}")


@app.command()
def move(
    axis: Axis,
    mm: Annotated[float, typer.Argument(help="where to, absolute, in mm (-- before a negative number)")],
    folder: Folder = HERE,
) -> None:
    """Move one axis; refused while the specimen carries voltage (small steps while aligning), outside limits, into a keep-out box."""
    with _guard(folder) as stages:
        stages.move(axis, mm)
    typer.echo(f"accepted: {axis} goes to {mm:g} mm; follow it with `evapd stage status`")


@app.command()
def stop(folder: Folder = HERE) -> None:
    """Stop every axis, whatever the state."""
    with _guard(folder) as stages:
        stages.ask("stage_stop")
    typer.echo("accepted: every axis stops")


@app.command()
def reference(
    axis: Axis,
    folder: Folder = HERE,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="I have looked: the way is clear")] = False,
) -> None:
    """Search the reference mark of an axis: it moves on a way that cannot be foreseen."""
    with _guard(folder) as stages:
        stages.ask("stage_reference", axis=axis, clear=clear)
    typer.echo(f"accepted: {axis} searches its mark")


@app.command("test")
def reproducibility(
    away: Annotated[
        list[str] | None, typer.Option(help="AXIS=MM, how far to go out, repeatable: x=40")
    ] = None,
    folder: Folder = HERE,
    *,
    returns: Annotated[int, typer.Option(help="positions to read", min=3, max=1000)] = 8,
    settle_s: Annotated[
        float, typer.Option("--settle", help="seconds at rest before it is read", min=0)
    ] = 0.5,
    series: Annotated[
        Path | None,
        typer.Option(help="evaluate a file instead: CSV with a head line, t_s and one column per axis in nm"),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="write the series as PNG")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs")] = False,
) -> None:
    """How well does the stage come back? Out and back, eight times: shift per axis, its standard deviation, drift per hour.

    By the encoders; shifts measured on images are evaluated the same way with --series.
    """
    from evapd.stage import table
    from evapd.stage.procedure import Plan, Procedure
    from evapd.stage.readfile import read_series

    if series is not None:
        try:
            measured = read_series(series)
        except StateError as error:
            _fail(str(error))
    else:
        plan = Plan(away_mm=_ways(away or []), returns=returns, settle_s=settle_s)
        with _guard(folder) as stages:
            procedure = Procedure(stages, plan, clock=time.monotonic, sleep=time.sleep)
            measured = procedure.run(lambda line: typer.echo(line, err=True))
    typer.echo(json.dumps(table.document(measured), indent=2) if as_json else table.text(measured))
    if picture is not None:
        from evapd.stage.picture import draw

        try:
            draw(measured, picture, f"Stage: {len(measured.position_nm)} returns")
        except EvapdError as error:
            _fail(str(error))


def _ways(texts: list[str]) -> dict[str, float]:
    ways: dict[str, float] = {}
    for text in texts:
        axis, equals, mm = text.partition("=")
        try:
            ways[axis] = float(mm)
        except ValueError:
            equals = ""
        if not equals:
            raise typer.BadParameter(f"'{text}' is not AXIS=MM, such as x=40")
    if not ways:
        raise typer.BadParameter("name at least one way out: --away x=40")
    return ways


@contextmanager
def _guard(folder: Path) -> Iterator[GuardsStages]:
    """The guard of a folder; what it refuses is printed, exit code 1."""
    from evapd.rpc import Requester

    try:
        with Requester(Layout(folder.absolute()).guard_ipc, _ANSWER_S) as requester:
            yield GuardsStages(requester)
    except RequestTimeout:
        _fail(f"no guard answers in {folder}; name the rig's folder with --folder")
    except EvapdError as error:
        _fail(str(error).removesuffix(f" [{StateError.__name__}]"))


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1) from None


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app)
