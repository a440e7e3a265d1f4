"""The rows that the fault suite measured, and the page they make."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

HEAD = ("no.", "fault", "how it enters", "expected", "reaction", "rise V", "condition", "lost", "verdict")


@dataclass
class Row:
    """One fault. `number` is that of the list of twenty-five; L: further ones; N: what stands in no list."""

    number: str
    fault: str
    how: str
    expected: str
    reaction: str = "-"
    rise_v: float | None = None
    condition: str = "-"
    lost: str = "-"
    verdict: str = "met"

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        rise = "-" if self.rise_v is None else f"{self.rise_v:.1f}"
        return (
            self.number, self.fault, self.how, self.expected, self.reaction, rise, self.condition, self.lost, self.verdict,
        )  # fmt: skip


ROWS: list[Row] = []
AGAIN: list[str] = []
"""Runs before a fault that did not get to their target and were begun once more, and why."""


def order(row: Row) -> tuple[str, int, str]:
    """The twenty-five by number, then those whose numbers begin with L, then those with N."""
    digits = "".join(char for char in row.number if char.isdigit())
    letter = row.number[0] if row.number[0].isalpha() else ""
    return (letter, int(digits or 0), row.number)


def markdown(rows: list[Row]) -> str:
    """All rows as a Markdown table."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + " --- |" * len(HEAD)]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row.cells())} |" for row in rows]
    return "\n".join(lines) + "\n"


def summary(rows: list[Row]) -> str:
    """How many met their expectation, where."""
    short = sum(row.verdict != "met" for row in rows)
    return f"{len(rows)} faults, {len(rows) - short} met, {short} fall short; {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


BEGIN, END = "<!-- the table is written by `make faults PAGE=docs/faults.md` -->", "<!-- end of the table -->"


def write_page(page: Path, rows: list[Row]) -> None:
    """Put the table between its marks on a page."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{summary(rows)}\n\n{markdown(rows)}\n{END}{after}")
