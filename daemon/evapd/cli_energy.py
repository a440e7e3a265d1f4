"""Commands on the specimen's energy: pause, align, resume, hold, inhibit, acknowledge, and the table of states."""

import json
from typing import Annotated, Any

import typer

from evapd.config.model import Sockets
from evapd.errors import RequestTimeout
from evapd.security.keys import keys_from_environment

Control = Annotated[str, typer.Option("--control", help="address of the control socket")]
CONTROL = Sockets().control


def _ask(control: str, command: str, **args: Any) -> None:
    from evapd.rpc import Requester

    with Requester(control, 2.0, keys=keys_from_environment()) as requester:
        try:
            answer = requester.request(command, args)
        except RequestTimeout:
            typer.echo(
                f"no daemon answers at {control}; `evapd abort` also goes straight to the guard", err=True
            )
            raise typer.Exit(1) from None
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
    for command in (pause, align, resume, hold, inhibit, acknowledge, states):
        app.command()(command)
