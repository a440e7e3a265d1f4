"""Commands of the live display."""

from pathlib import Path
from typing import Annotated

import typer

from evapd.security.roles import Role

Config = Annotated[Path, typer.Argument(help="rig file (YAML)", show_default=False)]
Folder = Annotated[
    Path | None, typer.Option(help="where runs and sockets lie; the rig's `folder` by default")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(web)
    app.command("web-token")(web_token)


def web(config: Config, folder: Folder = None) -> None:
    """Serve the live display alone, as a service manager does; `evapd run` starts it by itself."""
    from evapd.web.process import main as web_main  # noqa: PLC0415 - a server is not needed by the other commands

    raise typer.Exit(web_main(config, folder))


def web_token(
    tokens: Annotated[
        Path, typer.Argument(help="file of tokens, made where it is missing: web.tokens of the rig")
    ],
    name: Annotated[str, typer.Option(help="whose token it is: it stands in the record of each command")],
    role: Annotated[
        Role, typer.Option(help="read: look and abort; operate: all that the page can do")
    ] = Role.READ,
) -> None:
    """Make a token for a viewer on another machine, and show it once; only its digest is kept."""
    from evapd.web.tokens import new_token  # noqa: PLC0415

    token = new_token(tokens, name, role)
    typer.echo(token)
    typer.echo(
        f"shown once; open the page with #token=... behind its address. {tokens} keeps the digest", err=True
    )
