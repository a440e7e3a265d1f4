"""The commands `evapd-sim do` and `evapd-sim events`: something goes wrong in a running twin."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from evapd.config import load_rig
from evapd.errors import EvapdError
from evapd_sim.disturb.catalogue import EVENTS, parameters, summary, table
from evapd_sim.disturb.control import CONTROL_SOCKET, ask


def do(
    where: Annotated[
        str,
        typer.Argument(help="Rig file of the twin, or its address (unix:PATH).", metavar="CONFIG|ADDRESS"),
    ],
    event: Annotated[
        str | None, typer.Argument(help="Name, see `evapd-sim events`; without: the state.")
    ] = None,
    values: Annotated[list[str] | None, typer.Argument(help="key=value, as in a script.")] = None,
    *,
    folder: Annotated[
        Path | None, typer.Option(help="The rig's folder, in place of the one in the file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Let EVENT happen in a running twin, now or at the time it has."""
    try:
        request = _request(event, values or [])
        answer = ask(_socket(where, folder), request)
    except EvapdError as error:
        typer.echo(f"evapd-sim: {error}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"evapd-sim: {error}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(answer))
    elif answer.get("ok"):
        typer.echo(f"{answer['t_s']:.3f} s, V_dc {answer['v_dc_v']:.1f} V")
        for kind in ("active", "waiting"):
            for text in answer[kind]:
                typer.echo(f"  {kind}: {text}")
    else:
        typer.echo(f"evapd-sim: {answer.get('error')}", err=True)
    raise typer.Exit(0 if answer.get("ok") else 1)


def events(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the table of the documentation.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON schemas by name.")] = False,
) -> None:
    """List what can go wrong in a twin, with the parameters of each event."""
    if as_json:
        typer.echo(json.dumps({name: kind.model_json_schema() for name, kind in EVENTS.items()}))
        return
    if markdown:
        typer.echo(table(), nl=False)
        return
    for name, kind in EVENTS.items():
        typer.echo(f"{name}: {summary(kind)}")
        for each in parameters(kind):
            typer.echo(f"    {each.name} = {each.default or '(needed)'}  {each.meaning}".rstrip())
    typer.echo("Each may have one of at_s (since the start), at_ions (detected), at_v_dc_v (reached).")


def _request(event: str | None, values: list[str]) -> dict[str, Any]:
    """Make a request of words.

    Raises:
        ValueError: when one of them is not key=value.
    """
    request: dict[str, Any] = {} if event is None else {"do": event}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key or key == "do":
            raise ValueError(f"'{text}' is not key=value")
        try:
            request[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"'{value}' cannot be read as the value of {key}") from error
    return request


def _socket(where: str, folder: Path | None) -> Path:
    """Give the control socket of a twin."""
    if where.startswith("unix:"):
        return Path(where.removeprefix("unix:"))
    return load_rig(Path(where), folder).layout.twin / CONTROL_SOCKET
