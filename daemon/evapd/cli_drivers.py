"""Commands for those who connect an instrument, or write a driver for one."""

from pathlib import Path
from typing import Annotated

import typer

from evapd.errors import ConfigError

EXIT_USAGE = 2


def new_driver(
    kind: Annotated[
        str, typer.Argument(help="what it is: hv, pulser, amplitude, laser, stage, gauge, thermometer, io")
    ],
    name: Annotated[str, typer.Argument(help="of the driver, as a rig file will say: acme-hv2")],
    into: Annotated[Path, typer.Option(help="existing folder in which the package's own is made")] = Path(),
) -> None:
    """Make a package of its own for a new driver: driver, simulated instrument and tests, which passes the kit as made."""
    from evapd.scaffold import make_driver

    try:
        folder = make_driver(kind, name, into)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_USAGE) from None
    typer.echo(
        f"{folder}: a driver for an example's protocol, its simulated instrument, and their tests.\n"
        f"  cd {folder} && python -m pip install -e '.[test]' && python -m pytest\n"
        "Its README.md says in which order to make it yours; docs/drivers/writing.md walks through a real one."
    )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("new-driver")(new_driver)
