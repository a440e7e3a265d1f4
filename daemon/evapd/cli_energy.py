"""Commands on the specimen's energy: pause, align, resume, hold, inhibit, acknowledge; who commands; the table of states."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from evapd.config.model import Sockets

Control = Annotated[str, typer.Option("--control", help="address of the control socket")]
CONTROL = Sockets().control


class What(StrEnum):
    """What to do with the lease."""

    TAKE = "take"
    RELEASE = "release"
    SHOW = "show"


def _ask(control: str, command: str, **args: Any) -> None:
    from evapd.rpc.terminal import ask

    answer = ask(control, command, args, otherwise="`evapd abort` also goes straight to the guard")
    typer.echo(f"accepted, the energy state is {answer.get('energy_state', 'not told')}")


def pause(control: Control = CONTROL) -> None:
    """Stop the pulses and lower the voltage a little, until `evapd resume`."""
    _ask(control, "pause")


def align(control: Control = CONTROL) -> None:
    """From a pause or a hold: cap the voltage, so that beam or stage may be moved."""
    _ask(control, "align")


def resume(control: Control = CONTROL) -> None:
    """Go on: from nine tenths of the voltage, with a fifth of the target at first."""
    _ask(control, "resume")


def hold(control: Control = CONTROL) -> None:
    """Stop the pulses, lower the voltage by a tenth and wait, until `evapd resume`."""
    _ask(control, "hold", on=True)


def inhibit(control: Control = CONTROL) -> None:
    """Stop the pulses and keep the voltage, until `evapd resume`."""
    _ask(control, "inhibit", on=True)


def acknowledge(control: Control = CONTROL) -> None:
    """Take note of alarms that are over; leave a latched fault once everything is verified down."""
    _ask(control, "acknowledge")


def lease(
    what: Annotated[
        What, typer.Argument(help="take or prolong it, give it back, or see who has it")
    ] = What.SHOW,
    control: Control = CONTROL,
    ttl: Annotated[float, typer.Option(help="s after the last command until it ends by itself")] = 600.0,
    *,
    force: Annotated[bool, typer.Option("--force", help="also when somebody else has it")] = False,
) -> None:
    """Who commands: with `take` only what is typed into this terminal does; all may still look, abort and lower energy."""
    from evapd.rpc.terminal import ask

    if what is What.TAKE:
        ask(control, "lease_take", {"ttl_s": ttl, "force": force})
    elif what is What.RELEASE:
        ask(control, "lease_release")
    held = ask(control, "status").get("lease")
    if held is None:
        typer.echo("nobody has the lease: everybody who may operate may command")
    else:
        typer.echo(f"{held['holder']} ({held['client']}) commands, for another {held['remaining_s']:.0f} s")


def states(
    *, as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs")] = False
) -> None:
    """Print the table of energy states, as the guard follows it."""
    from evapd.guard.energy_page import markdown, transitions

    if as_json:
        rows = [{"event": event, "by": cause, "leads": ways} for event, cause, ways in transitions()]
        typer.echo(json.dumps(rows, indent=2))
    else:
        typer.echo(markdown(), nl=False)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (pause, align, resume, hold, inhibit, acknowledge, lease, states):
        app.command()(command)
