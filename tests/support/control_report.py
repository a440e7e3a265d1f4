"""Tables of the control benchmark as Markdown."""

import datetime as dt
import math
from pathlib import Path

import numpy as np

from support.bench_table import machine
from support.control_bench import LAWS_TOLD, Results
from support.control_goals import COUNTED, GOALS, Goal, value
from support.control_scenarios import GROUPS

BEGIN, END = "<!-- bench-control: begin -->", "<!-- bench-control: end -->"
# Group: title, and the figures that it shows: key, what it is called.
SHOWN: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "tracking": (
        "Scatter at the target",
        (("rms", "scatter of ln(rate) in 0.1 s, and as a multiple of the oracle's"),),
    ),
    "ripple": (
        "Counting noise on V_dc",
        (("ripple_ppm", "ripple of V_dc in ppm rms, a specimen without noise of its own (goal: 100)"),),
    ),
    "steps": (
        "Layers: the field falls by a fifth, rate feedback alone",
        (
            ("peak", "largest rate / target"),
            ("excess_ions", "ions above 5 x target"),
            ("recover_s", "seconds until within 25 % for good"),
            ("lost", "seeds above 3 x for 0.2 s: a brittle specimen would be lost"),
        ),
    ),
    "abrupt": (
        "Abrupt layers with leakage: the law and the guard's fast way (plain laws have none)",
        (
            ("excess_ions", "ions above 5 x target"),
            ("trips", "trips of the rate ceiling"),
            ("held", "seeds that ended in hold, for a person"),
            ("recover_s", "seconds until within 25 % for good, of 30"),
        ),
    ),
    "start": (
        "Start from 60 % of the threshold",
        (
            ("reach_s", "seconds to the target"),
            ("start_peak", "largest rate / target"),
            ("lost", "seeds above 3 x for 0.2 s; a brittle one is lost then"),
        ),
    ),
    "lost": (
        "Lost pulses, silent detector, readback, fracture",
        (
            ("rise_v", "further rise of the set point while blind, V"),
            ("peak", "largest rate / target afterwards"),
            ("excess_ions", "ions above 5 x target"),
            ("recover_s", "seconds until within 25 % for good"),
        ),
    ),
    "robust": (
        "One condition at a time: start from 80 %, slow noise, -10 % at chi = 0.15 from 55 s on",
        (
            ("reach_s", "seconds to the target"),
            ("start_peak", "largest rate / target before the step"),
            ("late_peak", "largest rate / target in the step"),
            ("rms", "scatter of ln(rate) between"),
            ("cycle", "seeds with a limit cycle"),
            ("lost", "seeds above 3 x for 0.2 s"),
        ),
    ),
}


def tables(
    results: Results,
    seeds: int,
    took_s: float,
    spent_s: dict[str, float],
    costs: dict[str, tuple[float, float]],
) -> str:
    """Everything as Markdown: goals first, then the scenarios."""
    date = dt.datetime.now(tz=dt.UTC).strftime("%d %B %Y, %H:%M UTC")
    work = ", ".join(f"{law} {seconds:.0f} s" for law, seconds in sorted(spent_s.items()))
    lines = [
        f"{seeds} seeds per cell, {took_s:.0f} s of wall clock on {machine()}; {date}. Computing, specimen included: {work}.",
        "",
        f"Median over the seeds, worst seed in brackets; counted figures are seeds out of {seeds}. **Bold** misses the goal.",
        "",
        "### Against the goals",
        "",
        *_goals(results, seeds),
        _row(
            (
                "one step of the law, median (99 %), us",
                "≤ 200",
                *(
                    f"{number(costs[law][0])} ({number(costs[law][1])})" if law in costs else ""
                    for law in LAWS_TOLD
                ),
            )
        ),
    ]
    for group, (title, shown) in SHOWN.items():
        if not any(key[0] == group for key in results):
            continue
        lines += ["", f"### {title}"]
        for figure, what in shown:
            lines += ["", f"*{what[0].upper()}{what[1:]}*", "", *_table(results, group, figure, seeds)]
    return "\n".join(lines) + "\n"


def insert(page: Path, text: str) -> None:
    """Put the tables between the two marks of a page."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{page}: the marks {BEGIN} and {END} are missing; put them where the tables go")
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def _goals(results: Results, seeds: int) -> list[str]:
    lines = _head(("what", "goal", *LAWS_TOLD))
    for goal in GOALS:
        cells = [_goal_cell(results, goal, law, seeds) for law in LAWS_TOLD]
        if any(cells):
            sign = f"≤ {number(goal.most)}" if goal.most else "0"
            lines.append(_row((goal.what, sign + (" x oracle" if goal.times_oracle else ""), *cells)))
    return lines


def _goal_cell(results: Results, goal: Goal, law: str, seeds: int) -> str:
    found = value(results, goal, law)
    if found is None:
        return ""
    median, worst = found
    text = number(median) + (f" of {seeds}" if goal.figure in COUNTED else f" ({number(worst)})")
    return text if median <= goal.most * (1 + 1e-9) else f"**{text}**"


def _table(results: Results, group: str, figure: str, seeds: int) -> list[str]:
    oracle = any(
        key[0] == group and key[2] == "oracle" for key in results
    ) and figure in {"rms", "peak", "start_peak"}  # fmt: skip
    laws = (*LAWS_TOLD, *(("oracle",) if oracle else ()))
    lines = _head(("scenario", *laws))
    for scenario in GROUPS[group]:
        cells = []
        for law in laws:
            found = results.get((group, scenario.name, law))
            cells.append("" if found is None else _cell(results, group, scenario.name, law, figure, seeds))
        if any(cell not in {"", "-"} for cell in cells):
            lines.append(_row((scenario.name, *cells)))
    return lines


def _cell(results: Results, group: str, name: str, law: str, figure: str, seeds: int) -> str:
    values = results[group, name, law][figure]
    if np.isnan(values).all():
        return "-"
    goals = [goal for goal in GOALS if (goal.group, goal.scenario, goal.figure) == (group, name, figure)]
    if figure in COUNTED:
        text = f"{values.sum():.0f} of {seeds}"
    else:
        text = f"{number(np.median(values))} ({number(values.max())})"
    if group == "tracking" and figure == "rms" and law != "oracle":
        reference = results[group, name, "oracle"]["rms"]
        text = f"{number(np.median(values))}, {np.median(values) / np.median(reference):.2f} x ({(values / reference).max():.2f} x)"
    missed = any(found[0] > goal.most for goal in goals if (found := value(results, goal, law)) is not None)
    return f"**{text}**" if missed and law != "oracle" else text


def number(value: float) -> str:
    """Three digits, and words where there is no number."""
    if math.isinf(value):
        return "never"
    if value == 0:
        return "0"
    if not 1e-3 < abs(value) < 9_999.5:
        return f"{value:.2g}".replace("e+0", "e").replace("e-0", "e-")
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text and abs(value) >= 10 else text


def _head(cells: tuple[str, ...]) -> list[str]:
    return [_row(cells), _row(("---",) * len(cells))]


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
