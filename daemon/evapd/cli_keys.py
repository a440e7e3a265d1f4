"""Commands of `evapd keys`, and the option `--keys` of every command that talks to a daemon."""

import functools
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from evapd.errors import ConfigError
from evapd.security import folder as keys_folder
from evapd.security.allowed import check_name
from evapd.security.keys import VARIABLE, ClientKeys, keys_from_environment
from evapd.security.roles import Role

Folder = Annotated[Path, typer.Option("--keys", envvar=VARIABLE, help="folder of keys")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
ClientFolder = Annotated[
    Path | None,
    typer.Option(
        "--keys", envvar=VARIABLE, help="folder of keys, for a daemon that demands them: see `evapd keys`"
    ),
]
_FOLDER = Path("evapd-keys")

app = typer.Typer(
    no_args_is_help=True, help="Keys for sockets that other machines can reach: docs/security.md."
)


def _print(content: dict[str, Any], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(content, indent=2) if as_json else text)


@app.command()
def new(
    name: Annotated[
        str | None, typer.Argument(help="the client's name; without one: the daemon's own pair")
    ] = None,
    folder: Folder = _FOLDER,
    server: Annotated[
        str | None, typer.Option(help="for a client: the daemon's public key, or a file with it (server.pub)")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a pair of keys; the secret one stays in the folder and is never shown."""
    if name is None:
        public = keys_folder.new_server(folder)
        text = (
            f"{public}\n\nThe daemon's public key, also in {folder / 'server.pub'}: clients need it. "
            f"Name the folder in the rig file: sockets: {{keys: {folder.absolute()}}}"
        )
        _print({"kind": "server", "public": public, "folder": str(folder)}, text, as_json=as_json)
        return
    check_name(name)
    public = keys_folder.new_client(folder, server)
    text = (
        f"{public}\n\nThe public key of {name}, also in {folder / 'client.pub'}. Where the daemon runs:\n"
        f"    evapd keys allow '{public}' --name {name} --role read"
    )
    if server is None:
        text += f"\nCopy the daemon's server.pub to {folder}."
    content = {"kind": "client", "name": name, "public": public, "folder": str(folder)}
    _print(content, text, as_json=as_json)


@app.command()
def allow(
    public_key: Annotated[
        str, typer.Argument(help="the client's public key in single quotes, or its client.pub")
    ],
    name: Annotated[str, typer.Option(help="whose key it is; stands in the record of each command")],
    role: Annotated[Role, typer.Option(help="read: look, listen and abort; operate: everything")],
    folder: Folder = _FOLDER,
    *,
    as_json: Json = False,
) -> None:
    """Let a client in, or give it another role; a running daemon knows within a second."""
    changed = keys_folder.allow(folder, public_key, name, role)
    text = f"{name} may {role}" if changed else f"{name} may {role} already"
    _print({"name": name, "role": str(role), "changed": changed}, text, as_json=as_json)


@app.command("list")
def list_(folder: Folder = _FOLDER, *, as_json: Json = False) -> None:
    """Show public keys and who is let in."""
    found = keys_folder.listing(folder)
    lines = [f"{found['kind']}  {found['public']}"]
    if found["kind"] == "client":
        lines.append(f"trusts  {found['server']}")
    else:
        lines += [f"{entry['name']:32} {entry['role']:8} {entry['key']}" for entry in found["clients"]]
        lines += found["problems"]
    _print(found, "\n".join(lines), as_json=as_json)
    if found.get("problems"):
        raise typer.Exit(1)


@app.command("revoke", hidden=True)  # the same by the other word for it
@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="as `evapd keys list` shows it")],
    folder: Folder = _FOLDER,
    *,
    as_json: Json = False,
) -> None:
    """Let a client in no more; a running daemon cuts it off within a second."""
    keys_folder.remove(folder, name)
    _print({"name": name, "removed": True}, f"{name} is let in no more", as_json=as_json)


def keys_or_none() -> ClientKeys | None:
    """Read the keys for an abort, which goes on without them: the guard's own socket needs none."""
    try:
        return keys_from_environment()
    except ConfigError as error:
        typer.echo(f"going on without keys: {error}", err=True)
        return None


def keyed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--keys`, for whatever it connects to: it becomes EVAPD_KEYS of this process."""

    @functools.wraps(command)
    def with_keys(*args: Any, keys: Path | None = None, **kwargs: Any) -> Any:
        if keys is not None:
            os.environ[VARIABLE] = str(keys)
        return command(*args, **kwargs)

    signature = inspect.signature(command)
    option = inspect.Parameter("keys", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ClientFolder)
    with_keys.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]  # PEP 362
    with_keys.__annotations__ = {**inspect.get_annotations(command), "keys": ClientFolder}
    return with_keys


def register(whole: typer.Typer) -> None:
    """Add `evapd keys`, and `--keys` to every command that is there and has `--control`: register this last."""
    whole.add_typer(app, name="keys")
    for command in whole.registered_commands:
        if command.callback is not None and "control" in inspect.signature(command.callback).parameters:
            command.callback = keyed(command.callback)
