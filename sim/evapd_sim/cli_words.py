"""The commands `evapd-sim words` and `evapd-sim score`: test a matching alone, against the truth."""

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from evapd.errors import ConfigError, EvapdError
from evapd_sim.anode import load_anode
from evapd_sim.effects import SignalEffects
from evapd_sim.events import Events
from evapd_sim.files import read_hits, read_truth, write_truth, write_words
from evapd_sim.score import Score
from evapd_sim.score import score as compare
from evapd_sim.stream import Electronics, simulate

_Option = typer.Option


def words(
    anode: Annotated[Path, typer.Argument(help="Anode file (YAML) of the simulated detector.")],
    output: Annotated[Path, _Option("--output", "-o", help="Words file to write (.npz).")],
    *,
    truth: Annotated[Path | None, _Option(help="Truth file to write (.npz).")] = None,
    pulses: Annotated[int, _Option(min=1, max=2**31 - 1)] = 1_000_000,
    seed: Annotated[int, _Option(min=0)] = 0,
    detection: Annotated[float, _Option(help="Events per pulse.", min=0, max=1)] = 0.05,
    multi: Annotated[float, _Option(help="Chance of one more ion.", min=0, max=0.99)] = 0.30,
    most: Annotated[int, _Option(help="Ions of one event at most.", min=1, max=1000)] = 8,
    pulse_rate_hz: Annotated[float, _Option(min=1, max=1e8)] = 200_000.0,
    disc_mm: Annotated[
        float | None, _Option(help="Radius of the disc that ions fill; the anode's.", min=0.1)
    ] = None,
    missing: Annotated[float, _Option(help="Chance of each signal to be lost.", min=0, max=1)] = 0.05,
    noise_hz: Annotated[float, _Option(help="Lone signals per channel.", min=0)] = 200.0,
    dark_hz: Annotated[float, _Option(help="Hits without an ion.", min=0)] = 20.0,
    bin_ps: Annotated[str, _Option(help="Bin of the converter, also as a fraction.")] = "5000/384",
    jitter_ps: Annotated[float | None, _Option(help="Sigma of one signal; the anode's.", min=0)] = None,
    dead_time_ps: Annotated[float | None, _Option(help="Of every channel; the anode's.", min=0)] = None,
    walk_ps: Annotated[float, _Option(help="Change of a time sum along its layer.")] = 0.0,
    nonlinearity_um: Annotated[float, _Option(help="Bend of a coordinate at the rim.")] = 0.0,
    reflections: Annotated[float, _Option(help="Chance of each signal to be followed by a copy.")] = 0.0,
    threshold: Annotated[float, _Option(help="Of the discriminators, in mean signal heights.")] = 0.0,
    effects: Annotated[
        list[str] | None, _Option("--set", help="key=value of any effect of docs/twin.md, repeatable.")
    ] = None,
) -> None:
    """Write the words that a stream of events leaves on ANODE, and the truth behind them."""
    try:
        shown = {
            "walk_ps": walk_ps,
            "nonlinearity_um": nonlinearity_um,
            "reflections": reflections,
            "threshold": threshold,
        }
        electronics = Electronics(
            jitter_ps=jitter_ps,
            dead_time_ps=dead_time_ps,
            missing=missing,
            noise_hz=noise_hz,
            bin_ps=_bin(bin_ps),
        )
        stream, true_hits = simulate(
            load_anode(anode),
            Events(detection=detection, multi=multi, most=most, dark_hz=dark_hz, pulse_rate_hz=pulse_rate_hz),
            electronics,
            pulses=pulses,
            seed=seed,
            effects=_effects(shown, effects or []),
            disc_mm=disc_mm,
        )
        write_words(output, stream, pulses=pulses, bin_ps=electronics.bin_ps)
        if truth is not None:
            write_truth(truth, true_hits)
    except EvapdError as error:
        _fail(error)
    typer.echo(
        f"{len(stream.pulse)} words of {len(true_hits.pulse)} hits in {pulses} pulses; "
        f"{100 * true_hits.ceiling:.2f} % of the hits can be recovered"
    )


def score(
    hits: Annotated[Path, typer.Argument(help="Hits file (.npz) that a matching made.")],
    truth: Annotated[Path, typer.Argument(help="Truth file (.npz) of the words it read.")],
    *,
    tof_ps: Annotated[float, _Option(help="A hit is right within this of a true one.", min=0)] = 1000.0,
    distance_mm: Annotated[float, _Option(help="... and within this on the detector.", min=0)] = 0.3,
    as_json: Annotated[bool, _Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell how many of the true hits are among HITS, and how many of HITS are ghosts."""
    try:
        result = compare(read_truth(truth), read_hits(hits), tof_ps=tof_ps, distance_mm=distance_mm)
    except EvapdError as error:
        _fail(error)
    typer.echo(json.dumps(_plain(result)) if as_json else _table(result))


def _fail(error: EvapdError) -> NoReturn:
    typer.echo(f"evapd-sim: {error}", err=True)
    raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


def _bin(text: str) -> Fraction:
    try:
        bin_ps = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"--bin-ps: '{text}' is no number and no fraction such as 5000/384") from None
    if not 0 < bin_ps <= 1_000_000:
        raise ConfigError(f"--bin-ps: {text} ps, allowed is more than 0 and at most 1000000")
    return bin_ps


def _effects(shown: dict[str, Any], texts: list[str]) -> SignalEffects:
    chosen = dict(shown)
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in SignalEffects.model_fields:
            raise ConfigError(
                f"'{text}' is no effect, allowed are {', '.join(SignalEffects.model_fields)} (as key=value)"
            )
        chosen[key] = _number_or_text(value)
    try:
        return SignalEffects.model_validate(chosen)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, each['loc'])) or 'effects'}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
        raise ConfigError("; ".join(lines)) from None


def _number_or_text(value: str) -> float | str:
    """A bare number is in the unit of its key; a quantity such as `1 ns` says its own."""
    try:
        return float(value)
    except ValueError:
        return value


def _plain(result: Score) -> dict[str, Any]:
    by_multiplicity = {many: found._asdict() for many, found in result.by_multiplicity.items()}
    return dataclasses.asdict(result) | {"by_multiplicity": by_multiplicity}


def _table(result: Score) -> str:
    lines = [
        f"found       {100 * result.efficiency:6.2f} % of {result.true_hits} true hits",
        f"ceiling     {100 * result.ceiling:6.2f} % have enough signals in the words",
        f"            {100 * result.of_recoverable:6.2f} % of the ceiling is reached",
        f"ghosts      {100 * result.ghosts:6.2f} % of {result.hits} hits",
        "",
        "ions in the pulse      hits    found  ceiling",
    ]
    lines += [
        f"{many:17d} {found.hits:9d} {100 * found.efficiency:6.2f} % {100 * found.ceiling:6.2f} %"
        for many, found in result.by_multiplicity.items()
    ]
    lines += ["", "quality    share    ghosts"]
    lines += [
        f"{code:7d} {100 * share:6.2f} % {100 * result.ghosts_by_quality[code]:7.2f} %"
        for code, share in result.share_by_quality.items()
    ]
    return "\n".join(lines)
