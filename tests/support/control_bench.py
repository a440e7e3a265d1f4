"""Runs the control benchmark: every scenario, every law, every seed, on all cores; prints tables, writes page and pictures."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from evapd.control import LAWS, RateLaw, RateObservation, Setpoint, create
from support.control_figures import figures, spread
from support.control_loop import Run, run_loop
from support.control_plain import Oracle, Proportional, Stepper
from support.control_scenarios import GROUPS, Scenario

OURS = tuple(name for name in ("imm", "pi-log") if name in LAWS)
PLAIN: dict[str, Callable[..., Any]] = {"proportional": Proportional, "stepper": Stepper}
LAWS_TOLD = (*OURS, *PLAIN)
Results = dict[tuple[str, str, str], dict[str, Any]]  # group, scenario, law -> figure -> one value per seed


def run(scenario: Scenario, law: str, seed: int) -> Run:
    """One run of one law; the seed settles specimen and counts, the same ones for every law."""
    settings = scenario.settings()
    if law == "oracle":
        made: Any = Oracle(settings, scenario.specimen)
    else:
        made = PLAIN[law](settings) if law in PLAIN else create(law, settings)
    around = scenario.circumstances
    return run_loop(
        made,
        settings,
        scenario.specimen,
        around,
        seed,
        scenario.seconds,
        plain=law in PLAIN or law == "oracle",
    )


def _job(task: tuple[str, int, str, int]) -> tuple[str, str, str, dict[str, float], float]:
    group, index, law, seed = task
    scenario = GROUPS[group][index]
    begun_s = time.perf_counter()
    found = figures(run(scenario, law, seed), scenario)
    return group, scenario.name, law, found, time.perf_counter() - begun_s


def measure(seeds: int, groups: list[str], workers: int) -> tuple[Results, dict[str, float]]:
    """Run everything; gives the figures, and the seconds of computing by law."""
    tasks = [
        (group, index, law, seed)
        for group in groups
        for index, scenario in enumerate(GROUPS[group])
        for law in (*LAWS_TOLD, *(("oracle",) if scenario.oracle else ()))
        for seed in range(seeds)
    ]
    gathered: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    spent_s: dict[str, float] = {}
    with ProcessPoolExecutor(workers) as pool:
        for group, name, law, found, took_s in pool.map(_job, tasks, chunksize=4):
            gathered.setdefault((group, name, law), []).append(found)
            spent_s[law] = spent_s.get(law, 0.0) + took_s
    if any(len(values) != seeds for values in gathered.values()):
        raise AssertionError("a seed is missing")
    return {key: spread(values) for key, values in gathered.items()}, spent_s


def step_costs(ticks: int = 2000) -> dict[str, tuple[float, float]]:
    """Median and 99th percentile of one call of `step`, in us: the first scenario, one process, a clock around the law."""
    scenario, costs = GROUPS["tracking"][0], {}
    settings = scenario.settings()
    for name in OURS:
        timed = _Timed(create(name, settings))
        run_loop(timed, settings, scenario.specimen, scenario.circumstances, 1, ticks * settings.tick_s)
        took_us = sorted(timed.took_us)
        costs[name] = took_us[len(took_us) // 2], took_us[int(0.99 * len(took_us))]
    return costs


class _Timed:
    """A law with a stopwatch."""

    def __init__(self, law: RateLaw) -> None:
        self._law, self.took_us = law, list[float]()
        self.reset, self.inhibited, self.resumed = law.reset, law.inhibited, law.resumed

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        begun_ns = time.perf_counter_ns()
        proposal = self._law.step(observation, now_s)
        self.took_us.append(1e-3 * (time.perf_counter_ns() - begun_ns))
        return proposal


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    from support.control_report import insert, tables  # noqa: PLC0415 - workers need no tables

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("EVAPD_SEEDS", "20")))
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its two marks")
    parser.add_argument("--pictures", type=Path, help="draw the typical runs into this folder")
    chosen = parser.parse_args(arguments)
    workers = len(os.sched_getaffinity(0))
    begun_s = time.monotonic()
    results, spent_s = measure(chosen.seeds, chosen.groups, workers)
    text = tables(results, chosen.seeds, time.monotonic() - begun_s, spent_s, step_costs())
    print(text)
    if chosen.page:
        insert(chosen.page, text)
    if chosen.pictures:
        from support.control_pictures import draw_all  # noqa: PLC0415 - a plotting library takes seconds

        draw_all(chosen.pictures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
