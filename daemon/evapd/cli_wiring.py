"""Commands on what hangs on the guard beside the specimen: the detector's supplies. Straight to the guard, also without acquire."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evapd.config.layout import Layout
from evapd.errors import RequestTimeout

_ANSWER_S = 2.0


class Switch(StrEnum):
    """Which way."""

    ON = "on"
    OFF = "off"


def detector(
    way: Annotated[
        Switch, typer.Argument(help="on: ramp up in steps; off: ramp down, in a run after the specimen")
    ],
    folder: Annotated[Path, typer.Option(help="the rig's folder, where the guard's own socket lies")] = Path(
        "evapd-data"
    ),
) -> None:
    """Ramp the detector's supplies up or down, as the section `detector` of the rig says; follow it with `evapd status`."""
    from evapd.rpc import Requester

    with Requester(Layout(folder.absolute()).guard_ipc, _ANSWER_S) as requester:
        try:
            answer = requester.request(f"detector_{way}", {})
        except RequestTimeout:
            typer.echo(f"no guard answers in {folder}; name the rig's folder with --folder", err=True)
            raise typer.Exit(1) from None
    typer.echo(f"accepted: the detector is '{answer['detector']}'")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(detector)
