"""`evapd runs`: the runs of a rig, which of them are kept, and what retention removes. `evapd.cli` takes it over."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from evapd.errors import StateError

Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
Folder = Annotated[Path, typer.Argument(help="the rig's folder")]
_FOLDER = Path("evapd-data")
_LIST = "list"


class _ListByDefault(TyperGroup):
    """`evapd runs FOLDER` is `evapd runs list FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the default command in front where none is given."""
        # `ctx` is of the click that typer brings along, which has no public name.
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [_LIST, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_ListByDefault, help="List the runs in a rig's folder; keep or prune their journals.")


@app.command(_LIST)
def list_(folder: Folder = _FOLDER, *, as_json: Json = False) -> None:
    """List the runs in a rig's folder; the default."""
    from evapd.report.tables import run_rows, table

    rows = run_rows(folder / "runs")
    _print(rows, as_json=as_json, text=table(rows, ("id", "state", "flags", "hits", "pulses", "end")))


@app.command()
def keep(
    run_id: Annotated[str, typer.Argument(help="the run's id, as `evapd runs` lists it")],
    folder: Folder = _FOLDER,
    *,
    release: Annotated[bool, typer.Option("--release", help="let the rules have it again")] = False,
    as_json: Json = False,
) -> None:
    """Protect a run: no retention rule removes anything of it."""
    from evapd.record.run import RunStore

    if Path(run_id).name != run_id:
        raise StateError(f"'{run_id}' is no id of a run; `evapd runs` lists them")
    info = RunStore(folder / "runs" / run_id).update(keep=not release)
    _print(
        {"run": info.id, "keep": info.keep},
        as_json=as_json,
        text=f"{info.id}: {'kept' if info.keep else 'released'}",
    )


@app.command()
def prune(
    folder: Folder = _FOLDER,
    *,
    rig: Annotated[Path | None, typer.Option(help="rig file whose record.retention gives the rules")] = None,
    keep_days: Annotated[
        float | None, typer.Option(min=0, help="journals of runs that ended longer ago go")
    ] = None,
    keep_gb: Annotated[float | None, typer.Option(min=0, help="above this the oldest journals go")] = None,
    raw_words_days: Annotated[
        float | None, typer.Option(min=0, help="raw words of runs that ended longer ago go")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, remove nothing")] = False,
    as_json: Json = False,
) -> None:
    """Remove journals of finalised, verified runs by rule, oldest first; run.json and .nxs stay."""
    from evapd.config import load_rig
    from evapd.config.record import Retention
    from evapd.record.retention import prune as prune_runs

    rules = load_rig(rig, folder).rig.record.retention if rig is not None else Retention()
    given = {"keep_days": keep_days, "keep_gb": keep_gb, "raw_words_days": raw_words_days}
    rules = Retention(
        **(rules.model_dump() | {name: value for name, value in given.items() if value is not None})
    )
    if not rules.active:
        raise StateError("no rule is given: name one, such as --keep-days 90, or a rig file with --rig")
    done = prune_runs(folder / "runs", rules, time.time_ns() // 1000, dry_run=dry_run)
    lines = [
        f"{one.run}: {one.what or 'nothing'} {'would go' if dry_run else 'removed'}, {one.bytes / 1e6:.1f} MB: {one.why}"
        for one in done
    ]
    content = {"dry_run": dry_run, "removals": [asdict(one) for one in done]}
    _print(content, as_json=as_json, text="\n".join(lines) or "nothing is due")


def _print(content: Any, *, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(content, indent=2) if as_json else text)


def register(program: typer.Typer) -> None:
    """Add the commands to the program."""
    program.add_typer(app, name="runs")
