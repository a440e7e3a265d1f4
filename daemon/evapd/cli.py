"""The command line. Each command is thin: it checks words, calls one part, and prints for people or, with --json, for programs.

Exit codes: 0 done, 1 failed, 2 usage, 78 invalid configuration.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from evapd import (
    __version__,
    cli_alarms,
    cli_data,
    cli_drivers,
    cli_energy,
    cli_keys,
    cli_runs,
    cli_stage,
    cli_web,
    cli_wiring,
)
from evapd.config import check_rig, schema_text
from evapd.config.model import Sockets
from evapd.errors import ConfigError, EvapdError
from evapd.process import EXIT_CONFIG, EXIT_FAILED
from evapd.security.keys import keys_from_environment

app = typer.Typer(
    name="evapd",
    help="The field-evaporation daemon: acquisition, control and recording for home-built atom probes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path, typer.Argument(help="rig file (YAML)")]
Run = Annotated[Path, typer.Argument(help="run folder or .nxs file")]
Folder = Annotated[Path | None, typer.Option(help="folder for runs and sockets, instead of the rig's own")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
ControlAddress = Annotated[str, typer.Option("--control", help="address of the control socket")]
CONTROL = Sockets().control
STREAM = Sockets().stream


def _print(content: Any, *, as_json: bool, text: str = "") -> None:
    typer.echo(json.dumps(content, indent=2, default=str) if as_json else text)


def _fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _ask(control: str, command: str, args: dict[str, Any] | None = None) -> dict[str, Any]:
    from evapd.rpc.terminal import ask

    return ask(control, command, args)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def check(config: Config, *, as_json: Json = False) -> None:
    """Check a rig file and report every error at once, as file:line:column; and what acts when the guard dies."""
    from evapd.guard.deadman import dead_man_of
    from evapd.report.named_files import problems_in
    from evapd.report.named_folders import warnings_of

    loaded, problems = check_rig(config)
    found = [str(problem) for problem in problems]
    if loaded is not None:
        found += problems_in(loaded)
    if found:
        _print({"valid": False, "problems": found}, as_json=as_json, text="\n".join(found))
        raise typer.Exit(EXIT_CONFIG)
    assert loaded is not None  # noqa: S101 - no problems means that there is a rig
    text = f"{config}: valid, rig '{loaded.rig.name}', {len(loaded.rig.devices)} devices"
    left = dead_man_of(loaded)
    warned = list(warnings_of(loaded))
    text += "".join(f"\nWARNING: {one}" for one in warned)
    text += f"\n{'' if left.exists or left.observes else 'WARNING: '}{left.text}"
    content = {"valid": True, "digest": loaded.digest, "problems": [], "warnings": warned}
    _print(content | {"dead_man": left.document()}, as_json=as_json, text=text)


@app.command()
def schema() -> None:
    """Print the JSON schema of a rig file, with the settings of every installed driver."""
    typer.echo(schema_text(), nl=False)


@app.command()
def drivers(*, as_json: Json = False) -> None:
    """List the installed drivers: name, kind, class, package, and what they are for."""
    from evapd.report.tables import driver_rows, table

    rows = driver_rows()
    _print(rows, as_json=as_json, text=table(rows, ("name", "kind", "class", "package", "doc")))


@app.command()
def rules(
    *,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="print the tables of docs/safety.md")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the guard's rules: what triggers each, what it does, what ends it, which thresholds it has."""
    from evapd.guard.rules.page import markdown, rows
    from evapd.report.tables import table

    found = rows()
    if as_markdown and not as_json:
        typer.echo(markdown())
        return
    shown = [
        row
        | {
            "latch": "yes" if row["latch"] else "",
            "thresholds": ", ".join(f"{k} {v}" for k, v in row["thresholds"].items()),
        }
        for row in found
    ]
    text = table(shown, ("name", "trigger", "action", "latch", "release", "thresholds"))
    _print(found, as_json=as_json, text=text)


@app.command()
def run(
    config: Config,
    folder: Folder = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="begin no run by itself, and stay after one")] = False,
) -> None:
    """Start everything that a rig needs and watch over it until Ctrl-C, or until its run has ended."""
    from evapd.report.named_files import problems_in
    from evapd.supervisor.progress import Progress
    from evapd.supervisor.supervisor import supervise

    loaded, problems = check_rig(config, folder)
    if loaded is None:
        _fail("\n".join(map(str, problems)), EXIT_CONFIG)
    if found := problems_in(loaded):
        _fail("\n".join(found), EXIT_CONFIG)
    progress = Progress(sys.stdout)
    progress.say(f"evapd {__version__}, rig '{loaded.rig.name}' ({config}), folder {loaded.layout.folder}")
    code, record = supervise(loaded, progress, waiting=wait)
    if record is not None:
        from evapd.report.outcome import report_outcome

        good = report_outcome(loaded, Path(record["folder"]), progress.say)
        code = code or (0 if good else EXIT_FAILED)
    raise typer.Exit(code)


@app.command()
def status(control: ControlAddress = CONTROL, *, as_json: Json = False) -> None:
    """Ask a running daemon how things stand."""
    from evapd.report.tables import status_text

    answer = _ask(control, "status")
    _print(answer, as_json=as_json, text=status_text(answer))


@app.command()
def start(
    name: Annotated[str | None, typer.Option(help="name of the run")] = None,
    notes: Annotated[str, typer.Option(help="notes for the record")] = "",
    control: ControlAddress = CONTROL,
) -> None:
    """Begin a run."""
    _ask(control, "start", {"name": name, "notes": notes})
    typer.echo("accepted; follow it with `evapd watch`")


@app.command()
def stop(reason: Annotated[str, typer.Argument()] = "", control: ControlAddress = CONTROL) -> None:
    """End the run: pulses off, voltage down, record closed."""
    _ask(control, "stop", {"reason": reason})
    typer.echo("accepted")


@app.command()
def abort(
    reason: Annotated[str, typer.Argument()] = "",
    control: ControlAddress = CONTROL,
    folder: Annotated[Path, typer.Option(help="the rig's folder, for the way straight to the guard")] = Path(
        "evapd-data"
    ),
) -> None:
    """Pulses off and voltage down by the quickest way, now. Goes straight to the guard when acquire is gone."""
    from evapd.client import abort_now

    typer.echo(abort_now(control, folder, reason, keys=cli_keys.keys_or_none()))


@app.command("set")
def set_(
    *,
    target_rate: Annotated[float | None, typer.Option(help="hits per live pulse")] = None,
    pulse_fraction: Annotated[float | None, typer.Option(help="V_p / V_dc")] = None,
    pulse_rate_hz: Annotated[float | None, typer.Option(help="Hz")] = None,
    energy_pj: Annotated[float | None, typer.Option(help="of a laser pulse, pJ")] = None,
    v_ceiling_v: Annotated[float | None, typer.Option(help="V_dc is not raised above, V")] = None,
    energy_ceiling_pj: Annotated[
        float | None, typer.Option(help="nor the energy of a laser pulse, pJ")
    ] = None,
    law: Annotated[str | None, typer.Option(help="control law")] = None,
    hold: Annotated[
        bool | None, typer.Option("--hold/--release", help="stop pulses a tenth lower, or resume")
    ] = None,
    control: ControlAddress = CONTROL,
) -> None:
    """Change settings of the run under way; each change opens a segment."""
    settings = {
        "target_rate": target_rate, "pulse_fraction": pulse_fraction, "pulse_rate_hz": pulse_rate_hz,
        "energy_pj": energy_pj, "v_ceiling_v": v_ceiling_v, "energy_ceiling_pj": energy_ceiling_pj, "law": law,
        "hold": hold,
    }  # fmt: skip
    given = {key: value for key, value in settings.items() if value is not None}
    if not given:
        _fail("nothing to set; see `evapd set --help`", 2)
    typer.echo(json.dumps(_ask(control, "set", given)))


@app.command()
def note(text: str, control: ControlAddress = CONTROL) -> None:
    """Write a note into the run's record."""
    _ask(control, "note", {"text": text})


@app.command()
def watch(
    stream: Annotated[str, typer.Option(help="address of the stream")] = STREAM,
    control: ControlAddress = CONTROL,
    *,
    once: Annotated[bool, typer.Option(help="print the present state and end")] = False,
    attend: Annotated[
        bool, typer.Option(help="say that somebody is there: attended mode then misses you")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show rate, voltage, hits and alarms live in the terminal."""
    from evapd.client.watch import watch as watch_live

    raise typer.Exit(
        watch_live(stream, control, once=once, as_json=as_json, attend=attend, keys=keys_from_environment())
    )


@app.command()
def plot(
    run_path: Run,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=".png or .html; <id>.png in the run folder")
    ] = None,
    mass: cli_data.Mass = None,
) -> None:
    """Write a report of a finalised run (spectrum with found peaks, detector map, histories) as PNG or one HTML file."""
    from evapd.report.page import write_report

    typer.echo(write_report(run_path, output, mass))


@app.command()
def rematch(
    source: Annotated[Path, typer.Argument(help="run folder, or words file (.npz)", metavar="RUN|WORDS")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help=".npz for hits alone, .nxs for all that is known of the run"),
    ],
    anode: Annotated[Path | None, typer.Option(help="anode file; by default the run's own anode")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; by default one per core")] = None,
    block_words: Annotated[int, typer.Option(min=1, help="words of one task: memory, not result")] = 2**20,
    *,
    risky: Annotated[
        bool | None,
        typer.Option("--risky/--no-risky", help="hits that nothing checks; by default as recorded"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the output file if it is there")] = False,
    as_json: Json = False,
) -> None:
    """Match recorded words again, with another anode or calibration."""
    from evapd.matching import Anode
    from evapd.rematch import rematch as match_again
    from evapd.rematch.telling import account, bar

    used = Anode.load(anode) if anode is not None else None
    with bar(shown=not as_json) as progress:
        done = match_again(
            source,
            used,
            output,
            workers=workers,
            block_words=block_words,
            risky=risky,
            force=force,
            progress=progress,
        )
    _print(done.as_dict(), as_json=as_json, text=account(done))


@app.command()
def calibrate(
    source: Annotated[Path, typer.Argument(help="run folder, or words file (.npz)", metavar="RUN|WORDS")],
    output: Annotated[Path, typer.Option("-o", "--output", help="anode file to write (YAML)")],
    anode: Annotated[
        Path | None, typer.Option(help="anode file to begin with; by default the run's own anode")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="PNG to write: before and after")] = None,
    radius_mm: Annotated[
        float | None,
        typer.Option(min=0.1, help="radius of the area that the hits fill; by default the anode's"),
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="replace the output files if they are there")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find the constants of the anode from recorded words: time sums, walk, offsets, scales, dead time."""
    from datetime import UTC, datetime

    from evapd.report.calibrated import calibrate_recorded
    from evapd.report.calibration_text import calibration_text

    with typer.progressbar(length=1000, label="reading words", file=sys.stderr) as bar:
        done = calibrate_recorded(
            source, output, anode=anode, picture=picture, radius_mm=radius_mm, force=force,
            made=datetime.now(UTC), progress=lambda share: bar.update(int(1000 * share) - bar.pos),
        )  # fmt: skip
    _print(done.as_dict(), as_json=as_json, text=f"{calibration_text(done)}\n\n{output}")


@app.command()
def recover(
    folder: Annotated[Path, typer.Argument(help="run folder, or the rig's folder for all of its runs")],
    *,
    as_json: Json = False,
) -> None:
    """Mark what a dead daemon left unfinished; the journal is read, never changed."""
    from evapd.record.recover import recover_run, recover_unfinished

    single = (folder / "run.json").exists() or (folder / "journal").is_dir()
    reports = [recover_run(folder)] if single else recover_unfinished(folder / "runs")
    text = "\n".join(map(str, reports)) or "nothing to recover"
    _print([report.as_dict() for report in reports], as_json=as_json, text=text)


@app.command()
def guard(config: Config, folder: Folder = None) -> None:
    """Run the guard process alone, as a service manager does."""
    from evapd.guard.process import main as guard_main

    raise typer.Exit(guard_main(config, folder))


@app.command()
def acquire(config: Config, folder: Folder = None) -> None:
    """Run the acquire process alone, as a service manager does."""
    from evapd.acquire.process import main as acquire_main

    raise typer.Exit(acquire_main(config, folder))


cli_data.register(app)
cli_alarms.register(app)
cli_drivers.register(app)
cli_wiring.register(app)
cli_energy.register(app)
cli_stage.register(app)
cli_runs.register(app)
cli_web.register(app)
cli_keys.register(app)  # last: it adds --keys to what is there


def main() -> None:
    """Entry point: an error that evapd raises on purpose is a message, not a traceback."""
    try:
        app()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_CONFIG)
    except EvapdError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_FAILED)
    except OSError as error:
        sys.stderr.write(
            f"{error.filename or 'evapd'}: {error.strerror or error}; check the path, its permissions and its disk\n"
        )
        sys.exit(EXIT_FAILED)
