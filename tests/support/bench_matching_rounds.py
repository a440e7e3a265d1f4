"""Contenders timed against each other: CPU time of one thread, round by round in turn, so that other load hits all alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

R = TypeVar("R")
Prepare = Callable[[], Callable[[], R]]  # all that is not to be timed, giving the call that is


class Timing(NamedTuple, Generic[R]):
    """Best and median of the rounds, and what the last round gave."""

    best_ns: float
    median_ns: float
    result: R


def interleaved(contenders: Mapping[str, Prepare[R]], rounds: int) -> dict[str, Timing[R]]:
    """Time every contender in every round; a round before the first is not counted."""
    spent: dict[str, list[int]] = {name: [] for name in contenders}
    results: dict[str, R] = {}
    for _ in range(rounds + 1):
        for name, prepare in contenders.items():
            run = prepare()
            begin_ns = time.thread_time_ns()
            results[name] = run()
            spent[name].append(time.thread_time_ns() - begin_ns)
    return {name: Timing(min(ns[1:]), statistics.median(ns[1:]), results[name]) for name, ns in spent.items()}
