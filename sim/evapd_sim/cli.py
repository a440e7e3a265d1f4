"""The command `evapd-sim`: the twin of a rig, events that disturb it, one simulated instrument alone, or words of which the truth is known."""

import inspect
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import TypeAdapter, ValidationError

from evapd.errors import ConfigError
from evapd_sim import cli_disturb, cli_words
from evapd_sim.plant import Plant
from evapd_sim.wire.alone import Alone
from evapd_sim.wire.base import Wire
from evapd_sim.wire.registry import all_wires
from evapd_sim.wire.serve import serve_wire

# A frame must leave at least every 5 ms while physics computes in another thread; Python's own default alone is 5 ms.
_SWITCH_INTERVAL_S = 0.0005

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def twin(
    config: Annotated[Path, typer.Argument(help="Rig file with a `twin:` section.")],
    folder: Annotated[
        Path | None, typer.Option(help="The rig's folder, in place of the one in the file.")
    ] = None,
) -> None:
    """Simulate a whole rig: every instrument of CONFIG, on the addresses to which its drivers connect."""
    from evapd_sim.twin import run  # physics and its compiled kernels only where they are needed

    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    raise typer.Exit(run(config, folder))


@app.command()
def wire(
    name: Annotated[str | None, typer.Argument(help="Driver name, see --list.")] = None,
    *,
    listen: Annotated[
        str | None, typer.Option(help="tcp:127.0.0.1:PORT (0 = any), unix:PATH or pty:PATH.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the instrument, repeatable.")
    ] = None,
    baud: Annotated[int | None, typer.Option(help="Speed that the instrument is set to.", min=50)] = None,
    ions: Annotated[float, typer.Option(help="tdc-stream: ions per second.", min=0)] = 100.0,
    pulse_rate: Annotated[float, typer.Option(help="tdc-stream: pulses per second.", min=0)] = 10_000.0,
    list_all: Annotated[
        bool, typer.Option("--list", help="List the instruments and their settings.")
    ] = False,
) -> None:
    """Simulate one instrument alone, for any client, until SIGINT or SIGTERM."""
    try:
        if list_all:
            _list()
            return
        plant = Plant()
        plant.trigger.rate_hz = pulse_rate
        instrument = _make(name or "", plant, settings or [], baud)
        _serve(instrument, listen or "", Alone(instrument, plant, ions_hz=ions))
    except ConfigError as error:
        print(f"evapd-sim: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


app.command()(cli_words.words)
app.command()(cli_words.score)
app.command()(cli_disturb.do)
app.command()(cli_disturb.events)


def _make(name: str, plant: Plant, settings: list[str], baud: int | None) -> Wire:
    wires = _wires()
    if name not in wires:
        raise ConfigError(f"no simulated instrument '{name}', there are {', '.join(wires)}")
    kind = wires[name]
    return kind(plant, **_read_settings(name, kind, settings) | ({"baud": baud} if baud else {}))


def _wires() -> dict[str, type[Wire]]:
    try:
        return all_wires()
    except ValueError as error:
        raise ConfigError(f"{error}; mend or remove that package") from error


def _serve(instrument: Wire, listen: str, alone: Alone) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with serve_wire(instrument, listen, on_tick=alone) as server:
        print(f"listens on {server.address}", flush=True)
        stop.wait()


def _options(kind: type[Wire]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(kind.__init__).parameters
    return {
        key: parameter
        for key, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _read_settings(name: str, wire_class: type[Wire], texts: list[str]) -> dict[str, Any]:
    """Check `key=value` texts against what the instrument takes."""
    options, chosen = _options(wire_class), {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in options:
            raise ConfigError(
                f"'{text}' is no setting of {name}, allowed are {', '.join(options)} (as key=value)"
            )
        annotation = options[key].annotation
        if annotation is str:
            chosen[key] = value.encode("latin-1", "replace").decode("unicode_escape")
            continue
        try:
            chosen[key] = TypeAdapter(annotation).validate_python(yaml.safe_load(value))
        except (ValidationError, yaml.YAMLError) as error:
            kind = getattr(annotation, "__name__", str(annotation))
            raise ConfigError(f"'{value}' does not fit {key} of {name}, wanted is {kind}") from error
    return chosen


def _list() -> None:
    for name, kind in _wires().items():
        summary = (inspect.getdoc(kind) or "").splitlines()[0]
        print(f"{name}: {summary}")
        for key, parameter in _options(kind).items():
            print(f"    {key} = {parameter.default!r}")


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
