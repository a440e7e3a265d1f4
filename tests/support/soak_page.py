"""Tables of the proofs, printed and put between their marks on the page that EVAPD_PROOF_PAGE names."""

import os
from datetime import UTC, datetime
from pathlib import Path

from support.bench_table import Row, machine, print_table

HEAD = ("what", "measured", "goal")


def marks(name: str) -> tuple[str, str]:
    """What a table stands between."""
    return f"<!-- table {name}: written by the proof itself -->", f"<!-- end of table {name} -->"


def markdown(rows: list[Row]) -> str:
    """Rows as a Markdown table."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + " --- |" * len(HEAD)]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def put(text: str, name: str, content: str) -> str:
    """Give the page with `content` between the marks of `name`; a table that has no place yet comes last."""
    begin, end = marks(name)
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def tell(name: str, title: str, rows: list[Row]) -> None:
    """Print a table; write it where EVAPD_PROOF_PAGE says."""
    print_table(title, rows)
    write(name, title, markdown(rows))


def write(name: str, title: str, table: str) -> None:
    """Write a Markdown table where EVAPD_PROOF_PAGE says, with the day and the machine as it is now."""
    page = os.environ.get("EVAPD_PROOF_PAGE")
    if page:
        path = Path(page)
        content = f"{title}. {datetime.now(UTC).date()}, {machine()}.\n\n{table}"
        path.write_text(put(path.read_text(), name, content))
