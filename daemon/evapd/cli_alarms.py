"""Commands of `evapd alarms`: who is told of what, and whether it arrives."""

import getpass
import json
import os
import re
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from evapd.config.layout import Layout
from evapd.errors import ConfigError, RequestTimeout, StreamError
from evapd.process import EXIT_CONFIG

alarms = typer.Typer(
    help="Alarms: list, acknowledge, and test the hooks that tell people.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Option(help="the rig's folder, where the alarm process' own socket lies")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
FOLDER = Path("evapd-data")
_ANSWER_S = 2.0
_UNITS = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_TEST_MORE_S = 15.0


def _fail(message: str, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _ask(folder: Path, command: str, args: dict[str, Any] | None = None) -> dict[str, Any]:
    from evapd.rpc import Requester

    with Requester(Layout(folder.absolute()).alarms_ipc, _ANSWER_S, client="evapd alarms") as requester:
        try:
            return requester.request(command, args or {}, asked_by={"name": _user()})
        except RequestTimeout:
            _fail(
                f"no alarm process answers in {folder}: `evapd run` starts one where the rig file has alarms: hooks; "
                "or name the rig's folder with --folder"
            )
        except StreamError as error:
            _fail(str(error))


@alarms.command()
def serve(
    config: Annotated[Path, typer.Argument(help="rig file (YAML)")],
    folder: Annotated[
        Path | None, typer.Option(help="folder for runs and sockets, instead of the rig's own")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="text or json, instead of what EVAPD_LOG says")
    ] = None,
) -> None:
    """Tell people of alarms until Ctrl-C; `evapd run` and the service manager start this by themselves."""
    from evapd.alarms.process import main

    if log_format not in (None, "text", "json"):
        _fail("--log-format is text or json", 2)
    if log_format:
        os.environ["EVAPD_LOG"] = log_format
    raise typer.Exit(main(config, folder))


@alarms.command(name="list")
def list_alarms(folder: Folder = FOLDER, *, as_json: Json = False) -> None:
    """List what is wrong, what was wrong and waits for a person, and how the hooks stand."""
    listing = _ask(folder, "list")
    if as_json:
        typer.echo(json.dumps(listing, indent=2))
        return
    rows = [_row(one) for one in listing["alarms"]]
    typer.echo("\n".join(rows) or "nothing is wrong")
    for name, hook in listing["hooks"].items():
        last = hook["last"]
        said = (
            "nothing said yet"
            if last is None
            else f"{'said' if last['ok'] else 'FAILED'} {_age(last['age_s'])} ago: {last['what']}"
        )
        typer.echo(
            _plain(
                f"hook {name} ({hook['kind']}, from {hook['severity_min']}, after {_age(hook['delay_s'])}): {said}"
            )
        )


@alarms.command()
def ack(
    which: Annotated[str, typer.Argument(help="number of the alarm, or all")] = "all",
    folder: Folder = FOLDER,
    for_: Annotated[
        str | None, typer.Option("--for", help="silence for so long, also when it comes anew: 30min, 2h")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Take note: nobody else is told of it. A latched fault at the guard stays latched: `evapd acknowledge`."""
    if which != "all" and not (which.isascii() and which.isdigit()):
        _fail(f"'{which}' is neither a number of `evapd alarms list` nor all", 2)
    args = {"id": None if which == "all" else int(which), "for_s": None if for_ is None else seconds(for_)}
    answer = _ask(folder, "acknowledge", args)
    seen = answer["acknowledged"]
    text = f"acknowledged: {', '.join(map(str, seen))}" if seen else "nothing was open"
    typer.echo(json.dumps(answer, indent=2) if as_json else text)


@alarms.command(name="test")
def send_test(
    hook: Annotated[str | None, typer.Argument(help="name of one hook; all, where it is left out")] = None,
    folder: Folder = FOLDER,
    config: Annotated[
        Path | None, typer.Option(help="rig file: send from here, without the alarm process")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Send a test message through each hook and say what came of it; exit code 1 when one did not arrive."""
    results = _test_here(config, hook) if config is not None else _test_there(folder, hook)
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    else:
        for name, result in results.items():
            typer.echo(
                _plain(
                    f"{name}: {'sent' if result['ok'] else 'FAILED'} ({result['took_s']:.1f} s): {result['what']}"
                )
            )
        if not results:
            typer.echo("the rig file has no hooks: nobody is told of anything")
    if not results or not all(result["ok"] for result in results.values()):
        raise typer.Exit(1)


@alarms.command()
def names(*, as_json: Json = False) -> None:
    """List every alarm by name: who says it, what it means, what to do."""
    from evapd.alarms.catalogue import catalogue
    from evapd.report.tables import table

    rows = [
        {"name": name, "source": one.source, "meaning": one.meaning, "advice": one.advice}
        for name, one in catalogue().items()
    ]
    typer.echo(
        json.dumps(rows, indent=2) if as_json else table(rows, ("name", "source", "meaning", "advice"))
    )


def _test_there(folder: Path, hook: str | None) -> dict[str, dict[str, Any]]:
    testing = _ask(folder, "test", {"hook": hook})["testing"]
    began_s, patience_s = time.monotonic(), 120.0 + 2 * _TEST_MORE_S
    while True:
        hooks = _ask(folder, "list")["hooks"]
        results = {name: hooks[name]["test"] for name in testing}
        if all(results.values()) or time.monotonic() - began_s > patience_s:
            break
        time.sleep(0.2)
    silent = {
        "ok": False,
        "what": "nothing was heard of it: see the log of the alarm process",
        "took_s": patience_s,
    }
    return {name: result or silent for name, result in results.items()}


def _test_here(config: Path, hook: str | None) -> dict[str, dict[str, Any]]:
    from evapd.alarms.delivery import deliver, secret_variables
    from evapd.alarms.messages import Situation
    from evapd.alarms.office import message_of_test
    from evapd.config import load_rig
    from evapd.stream.sockets import reachable

    try:
        loaded = load_rig(config)
    except ConfigError as error:
        _fail(str(error), EXIT_CONFIG)
    hooks = loaded.rig.alarms.hooks
    if hook is not None and hook not in hooks:
        _fail(f"there is no hook '{hook}'; {config} has {', '.join(hooks) or 'none'}")
    rig, folder = loaded.rig, str(loaded.layout.folder)
    message = message_of_test(Situation(rig=rig.name, folder=folder, control=reachable(rig.sockets.control)))
    base, hidden = loaded.path.absolute().parent, secret_variables(hooks)
    outcomes = {
        name: deliver(one, message, base, hidden) for name, one in hooks.items() if hook in (None, name)
    }
    return {
        name: {"ok": one.ok, "what": one.what, "took_s": round(one.took_s, 2)}
        for name, one in outcomes.items()
    }


def seconds(text: str) -> float:
    """Read a duration such as `2h`, `30min` or `90s`; ends the program for what is none."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(s|min|m|h|d)", text.strip())
    if not found or not 0 < (value := float(found[1]) * _UNITS[found[2]]) <= 7 * _UNITS["d"]:
        _fail(f"'{text}' is no time: write 90s, 30min, 2h or 1d, at most 7d", 2)
    return value


def _row(alarm: dict[str, Any]) -> str:
    how = "there" if alarm["active"] else "over, waits for you"
    if alarm["acknowledged"]:
        how = f"acknowledged by {alarm.get('acknowledged_by') or 'somebody'}"
    if alarm["silent_for_s"]:
        how += f", silent for {_age(alarm['silent_for_s'])}"
    times = "" if alarm["times"] == 1 else f" ({alarm['times']} times)"
    told = ", ".join(alarm["told"]) or "nobody"
    return _plain(
        f"{alarm['id']:>4}  {alarm['severity']:7}  {_age(alarm['age_s']):>7}  {alarm['name']}: {alarm['what']}{times}  [{how}; told: {told}]"
    )


def _age(age_s: float) -> str:
    if age_s < 120:
        return f"{age_s:.0f} s"
    return f"{age_s / 60:.0f} min" if age_s < 7200 else f"{age_s / 3600:.1f} h"


def _user() -> str:
    try:
        return getpass.getuser()[:64]
    except (KeyError, OSError):  # a user without a name
        return f"user {os.getuid()}"


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(alarms, name="alarms")
