"""What a person sees of a rematch: a bar while it runs, where there is a terminal, and an account at its end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from evapd.matching.quality import Quality, is_risky, missing_mask
from evapd.rematch.job import RematchResult
from evapd.rematch.work import Progress as Tell
from evapd.rematch.work import by_quality


@contextmanager
def bar(*, shown: bool) -> Iterator[Tell]:
    """Show progress on the terminal's error stream; nothing where that is no terminal, or `shown` is not set."""
    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda _share, _words, _hits: None
        return
    columns = (
        TextColumn("rematching"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[words]:,} words, {task.fields[hits]:,} hits"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as shown_bar:
        task = shown_bar.add_task("", total=1.0, words=0, hits=0)
        yield lambda share, words, hits: shown_bar.update(task, completed=share, words=words, hits=hits)


def account(result: RematchResult) -> str:
    """Say what was made, from what, and how fast."""
    counters = result.counters
    lines = [
        f"{result.out}: {result.hits:,} hits from {counters.words:,} words, calibration {result.calibration}",
        f"  words     {_words(result)}",
    ]
    if counters.saturated_pulses:
        lines.append(f"  crowded   {counters.saturated_pulses:,} pulses had more signals than are matched")
    lost = result.reading.damaged + result.reading.undecodable
    if lost:
        lines.append(f"  lost      {lost:,} frames of words are damaged and were left out")
    lines += [f"  fell      {what}" for what in _falls(result)]
    lines += [
        f"  {'quality' if k == 0 else '':<9} {what}"
        for k, what in enumerate(_qualities(by_quality(counters)))
    ]
    if result.recorded_hits is not None:
        more = result.hits - result.recorded_hits
        share = f" ({more / result.recorded_hits:+.2%})" if result.recorded_hits else ""
        lines.append(f"  recorded  {result.recorded_hits:,} hits; {more:+,} now{share}")
    if result.left_out:
        lines.append(f"  not known from words alone, and left out: {', '.join(result.left_out)}")
    lines.append(
        f"  speed     {counters.words / result.seconds / 1e6:.2f} M words/s, {result.hits / result.seconds / 1e6:.2f} M hits/s, "
        f"{result.seconds:.2f} s with {result.workers} {'processes' if result.workers > 1 else 'process'}"
    )
    return "\n".join(lines)


def _words(result: RematchResult) -> str:
    counters = result.counters
    told = f"{counters.used:,} in hits, {counters.unused:,} in none, {counters.damaged:,} damaged"
    if counters.damaged:
        told += " (impossible channel, pulse, time or order: set aside)"
    return told


def _falls(result: RematchResult) -> Iterator[str]:
    fall = result.reading.first_fall
    if fall is None:
        return
    falls = result.reading.falls
    yield (
        f"the pulse counter falls at {falls} place{'s' if falls > 1 else ''}, first before word {fall.place:,} (counted "
        f"from 0), from pulse {fall.last:,} to about {fall.then:,}; behind it, words of pulses that there were already are "
        "damaged: write what follows the fall to a words file of its own to have its hits"
    )


def _qualities(hits_by_code: Mapping[int, int]) -> Iterator[str]:
    """Say how complete the hits are; the single codes, some 60 of a hex anode, are for programs."""
    groups: dict[tuple[bool, int, str], int] = {}
    for code, hits in hits_by_code.items():
        missing, risky = missing_mask(code).bit_count(), is_risky(code)
        if missing:
            what = f"{missing} signal{'s' if missing > 1 else ''} missing"
            what += " (risky: nothing checks them)" if risky else ""
        elif code == Quality.FULL:
            what = "all signals seen"
        else:
            what = "all signals seen, contested: some fit nearly as well into another hit"
        key = risky, missing, what
        groups[key] = groups.get(key, 0) + hits
    total = sum(groups.values())
    for (_, _, what), hits in sorted(groups.items()):
        yield f"{hits:>12,}  {hits / total:7.2%}  {what}"
