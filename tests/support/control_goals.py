"""What the laws shall reach, row by row, and whether they do."""

from typing import Any, NamedTuple

import numpy as np


class Goal(NamedTuple):
    """One goal: the median over the seeds of `figure` in a scenario shall not exceed `most`."""

    what: str
    group: str
    scenario: str
    figure: str
    most: float
    times_oracle: bool = False


GOALS = (
    Goal("scatter, slow noise", "tracking", "slow noise: sd 0.03, 10 s", "rms", 1.1, True),
    Goal("scatter, usual noise", "tracking", "usual noise: sd 0.1, 2 s", "rms", 1.1, True),
    Goal("scatter, rough noise", "tracking", "rough noise: sd 0.25, 1 s", "rms", 1.1, True),
    Goal("scatter, drift only", "tracking", "drift only", "rms", 2.0, True),
    Goal("-20 % at chi 0.25: largest rate / target", "steps", "-20 %, chi = 0.25, S = 60", "peak", 1.5),
    Goal("-20 % at chi 0.25: ions above 5 x", "steps", "-20 %, chi = 0.25, S = 60", "excess_ions", 0),
    Goal("-20 % over 20 000 ions: ions above 5 x", "steps", "-20 % over 20 000 ions, S = 60", "excess_ions", 0),
    Goal("abrupt, leakage, software: ions above 5 x", "abrupt", "abrupt, records 30 ms late", "excess_ions", 1e5),
    Goal("abrupt, leakage, 1 ms inhibit: ions above 5 x", "abrupt", "hardware inhibit within 1 ms", "excess_ions", 1e4),
    Goal("8 s without pulses: largest rate after return", "lost", "8 s without pulses", "peak", 1.15),
    Goal("8 s without pulses, slow noise: the same", "lost", "8 s without pulses, slow noise", "peak", 1.15),
    Goal("start from 60 %: seconds", "start", "S = 60", "reach_s", 22),
    Goal("start from 60 %: largest rate", "start", "S = 60", "start_peak", 1.15),
    Goal("start from 60 %, slow noise: largest rate", "start", "S = 60, slow noise", "start_peak", 1.15),
    *(
        Goal(f"brittle specimens lost at the start, {what}", "start", what, "lost", 0)
        for what in ("S = 60", "S = 200", "S = 250, 50 hits/s", "S = 250, 50 hits/s, hunting at 1.2 %/s")
    ),
    Goal("V_dc from counting noise, ppm", "ripple", "S = 60, 2000 hits/s", "ripple_ppm", 100),
    Goal("V_dc from counting noise, 20 hits/s, ppm", "ripple", "S = 60, 20 hits/s", "ripple_ppm", 100),
    Goal("detector silent: further rise, V", "lost", "detector silent for 8 s, 10 % below target", "rise_v", 5),
    Goal("detector silent while hunting: further rise, V", "lost", "detector silent for 8 s while hunting", "rise_v", 5),
    *(
        Goal(f"limit cycles, S = {s}", "robust", "as usual" if s == 60 else f"S = {s}", "cycle", 0)
        for s in (30, 60, 100, 200, 250)
    ),
)  # fmt: skip
# Figures that are counts of seeds: the sum over the seeds is told, not a median.
COUNTED = {"lost", "cycle", "held"}


def value(results: Any, goal: Goal, law: str) -> tuple[float, float] | None:
    """Median (or number of seeds) and worst seed of a law; None when it was not run."""
    found = results.get((goal.group, goal.scenario, law))
    if found is None:
        return None
    values = found[goal.figure]
    if goal.times_oracle:
        oracle = results.get((goal.group, goal.scenario, "oracle"))
        if oracle is None:
            return None
        return float(np.median(values) / np.median(oracle["rms"])), float((values / oracle["rms"]).max())
    if goal.figure in COUNTED:
        return float(values.sum()), float(values.sum())
    return float(np.median(values)), float(values.max())
