"""Tables with many columns: printed with the machine named, and as markdown where `EVAPD_BENCH_MARKDOWN` names a file."""

import os
from collections.abc import Sequence
from pathlib import Path

from support.bench_table import machine

MARKDOWN = "EVAPD_BENCH_MARKDOWN"


def print_columns(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; append it to the markdown file when there is one."""
    table = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    print(f"\n{title}\n{machine()}")
    for row in table:
        print(("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip())
    path = os.environ.get(MARKDOWN)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(markdown(title, head, rows))


def markdown(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as markdown."""
    lines = [
        f"**{title}**",
        "",
        _line(head),
        _line(["---"] * len(head)),
        *(_line(row) for row in rows),
        "",
        "",
    ]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def percent(share: float, digits: int = 1) -> str:
    """A share as text."""
    return f"{100 * share:.{digits}f} %"
