"""Commands for those who connect an instrument, or write a driver for one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evapd.config.model import Sockets
from evapd.errors import ConfigError, DeviceError, EvapdError, RequestTimeout, StateError
from evapd.process import EXIT_CONFIG

if TYPE_CHECKING:
    from evapd.device.probe import Answer, Found

EXIT_USAGE = 2
_ANSWER_S = 2.0


def new_driver(
    kind: Annotated[
        str,
        typer.Argument(
            help="what it is: hv, pulser, amplitude, laser, stage, gauge, thermometer, io, tdc, detector"
        ),
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
        f"{folder}: a driver for an example, what stands in the instrument's place, and their tests.\n"
        f"  cd {folder} && python -m pip install -e '.[test]' && python -m pytest\n"
        "Its README.md says in which order to make it yours; docs/drivers/writing.md walks through a real one."
    )


def probe(
    descriptor: Annotated[
        str,
        typer.Argument(
            help="serial:/dev/ttyUSB0 (tries the usual speeds), serial:PATH:BAUD-8N1, tcp:HOST:PORT"
        ),
    ],
    *,
    name: Annotated[str, typer.Option(help="of the device in the rig file")] = "my-device",
    timeout_s: Annotated[float, typer.Option("--timeout", help="seconds for each answer", min=0.05)] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs")] = False,
) -> None:
    """Ask an instrument who it is with the identification of every installed driver, and print what to paste into a rig file.

    Only identifications are sent: nothing is set, switched or reset. Stop a daemon that owns the port first.
    """
    from evapd.device.probe import block, never_asked
    from evapd.device.probe import probe as ask_around

    try:
        found, answers = ask_around(descriptor, timeout_s=timeout_s)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_USAGE) from None
    except DeviceError as error:
        typer.echo(f"{descriptor}: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(_document(found, answers) | {"never_asked": never_asked(descriptor)}, indent=2))
    elif found:
        typer.echo("devices:\n" + "\n".join(block(one, name) for one in found))
    else:
        typer.echo(f"{descriptor}: no driver knows what is there. {_said(answers)}", err=True)
        typer.echo(f"Cannot be probed there, try by hand: {', '.join(never_asked(descriptor))}", err=True)
    if not found:
        raise typer.Exit(1)


def trace(
    device: Annotated[str, typer.Argument(help="its name in the rig file")],
    *,
    on: Annotated[bool, typer.Option("--on/--off", help="begin, or end")] = True,
    run: Annotated[
        Path | None,
        typer.Option(help="print what was written into this run instead; also while it is under way"),
    ] = None,
    control: Annotated[str, typer.Option(help="address of the control socket")] = Sockets().control,
) -> None:
    """See the bytes of an instrument both ways: they are written into the run once a second until they are switched off."""
    from evapd.rpc.terminal import ask

    try:
        if run is not None:
            _print_trace(run, device)
            return
        answer = ask(control, "trace", {"device": device, "on": on})
    except EvapdError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"traced now: {', '.join(answer['traced']) or 'none'}; `evapd trace {device} --run RUN` prints what a run has"
    )


def commission(
    config: Annotated[Path, typer.Argument(help="rig file (YAML)")],
    *,
    voltage: Annotated[
        float | None,
        typer.Option(help="V to which the specimen supply may go; without it nothing is energised"),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="the rig's folder, instead of the one in the file")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="folder for the result; by default `commissioning` in the rig's folder"),
    ] = None,
    dark_s: Annotated[float, typer.Option("--dark", help="seconds of dark counts", min=1)] = 10.0,
    yes: Annotated[bool, typer.Option("--yes", help="there is no specimen; do not ask")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs")] = False,
) -> None:
    """Measure what the configuration must know of a rig: time constants, readback, latencies, dark counts, clocks.

    The daemon must not run. Devices are read and pulses run with nothing energised; with --voltage the specimen supply is stepped,
    WITHOUT A SPECIMEN. The result is written with its date, and says where the settings do not fit.
    """
    from datetime import UTC, datetime

    from evapd.commission.page import document, text, write
    from evapd.commission.session import Session, Wanted
    from evapd.config import load_rig

    try:
        loaded = load_rig(config, folder=folder)
        if _guard_answers(loaded.layout.guard_ipc):
            raise StateError("a guard runs in this folder: stop the daemon first")
        if voltage is not None and not yes:
            typer.confirm(
                f"The specimen supply goes to {voltage:g} V. There is NO SPECIMEN, and nobody touches the cable?",
                abort=True,
            )
        wanted = Wanted(voltage_v=voltage, dark_s=dark_s)
        found = Session(loaded, wanted, lambda line: typer.echo(line, err=True)).run()
        content = document(found, loaded, datetime.now(UTC))
        path = write(content, output or loaded.layout.folder / "commissioning")
    except EvapdError as error:
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        typer.echo(f"{error}{notes}", err=True)
        raise typer.Exit(EXIT_CONFIG if isinstance(error, ConfigError) else 1) from None
    typer.echo(json.dumps(content, indent=2) if as_json else f"{text(found, loaded)}\nwritten to {path}")


def _guard_answers(address: str) -> bool:
    from evapd.rpc import Requester

    with Requester(address, 0.5) as requester:
        try:
            requester.request("ping", {})
        except RequestTimeout:
            return False
    return True


def _print_trace(run: Path, device: str) -> None:
    from evapd.device.tracing import KIND, lines
    from evapd.record.reader import read_run

    for message in read_run(run):
        event = message.document if message.topic == "event." else None
        if isinstance(event, dict) and event.get("kind") == KIND and event["device"] == device:
            for line in lines(event):
                typer.echo(line)


def _said(answers: "list[Answer]") -> str:
    said = [f"  {one.connect}: {one.question!r} -> {one.reply!r}" for one in answers if one.reply is not None]
    return (
        "\n".join(["It said:", *said]) if said else "Nothing answered: is it on, and this interface chosen?"
    )


def _document(found: "list[Found]", answers: "list[Answer]") -> dict[str, Any]:
    return {
        "found": [
            {"driver": one.driver, "connect": one.connect, "identity": asdict(one.identity)} for one in found
        ],
        "answers": [
            asdict(one)
            | {"question": one.question.decode("latin-1"), "reply": one.reply and one.reply.decode("latin-1")}
            for one in answers
        ],
    }


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("new-driver")(new_driver)
    app.command()(probe)
    app.command()(trace)
    app.command()(commission)
