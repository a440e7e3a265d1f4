"""Tables of measured numbers beside their goals, with the machine named."""

import os
import platform
import sys
from pathlib import Path
from typing import NamedTuple, TextIO


class Row(NamedTuple):
    """One measured number and what it should be, both as text with units."""

    what: str
    measured: str
    goal: str = ""


def machine() -> str:
    """The machine and what else it is doing, in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or "unknown processor",
    )
    load = os.getloadavg()[0]
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, load {load:.1f}, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def print_table(title: str, rows: list[Row], file: TextIO | None = None) -> None:
    """Print rows under a title, columns aligned."""
    file = file or sys.stdout
    rows = [Row("what", "measured", "goal"), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    print(f"\n{title}\n{machine()}", file=file)
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(("  " + "  ".join(cells)).rstrip(), file=file)
