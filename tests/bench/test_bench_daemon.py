"""The whole daemon on the simulated rig: start, rest and work of each process, the guard's punctuality, and the way of a pulse."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evapd.guard.chronicle import PREFIX as GUARD_PREFIX
from evapd.guard.realtime import LOOP_PRIORITY
from evapd.record.journal import read_journal
from evapd.record.run import ACQUIRE_PREFIX
from evapd.stream.frame import HITS, LOOP, Message
from support.bench_processes import bare_loop, busy, chain_at_full_speed
from support.bench_rig import MeasuredRig, Usage, measured_rig
from support.bench_table import Row, print_table

pytestmark = pytest.mark.bench

SECONDS = 10.0
NEAR_THRESHOLD = {"control": {"v_start_v": 2400}}  # of the simulated specimen, so that the ramp takes seconds
QUICK_TICKS = {"tick_s": 0.02}  # the quickest loop allowed: most ticks to look at


def frames_of(rig: MeasuredRig, topic: str, where: str, prefix: str) -> list[Message]:
    """Frames of one topic in the journal of the run under way."""
    return [
        frame
        for folder in rig.loaded.layout.runs.glob(f"*/{where}")
        for frame in read_journal(folder, prefix)
        if frame.topic == topic
    ]


def loop_rows(rig: MeasuredRig, since_us: int, until_us: int) -> dict[str, NDArray[Any]]:
    """Rows of the guard's loop between two monotonic times."""
    parts = [frame.columns for frame in frames_of(rig, LOOP, "journal/guard", GUARD_PREFIX)]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    inside = (rows["t_mono_us"] >= since_us) & (rows["t_mono_us"] < until_us)
    return {name: column[inside] for name, column in rows.items()}


def pulse_to_tick_s(rig: MeasuredRig, rows: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Age of the oldest pulse that each tick counts for the first time; the times of pulses are those of the anchors."""
    anchors = np.array([frame.header["anchor"] for frame in frames_of(rig, HITS, "journal", ACQUIRE_PREFIX)])
    oldest_us = np.interp(rows["pulse"][:-1] + 1, anchors[:, 0], anchors[:, 1])
    return (rows["t_mono_us"][1:] - oldest_us) / 1e6


def quantiles(values: NDArray[np.float64], factor: float, *shares: float) -> str:
    """Quantiles and the largest, each times a factor."""
    return " / ".join(f"{factor * cut:.2f}" for cut in (*np.quantile(values, shares), values.max()))


def test_start_rest_work_and_the_way_of_a_pulse() -> None:
    with measured_rig():
        pass  # kernels compiled, files of the interpreter in memory: the next start is a warm one
    with measured_rig(NEAR_THRESHOLD) as rig, ExitStack() as stack:
        ready_s = {name: rig.ready_s(name) for name in rig.pids}
        time.sleep(2.0)
        usage = Usage(rig.pids)
        time.sleep(SECONDS)
        idle = usage.texts()
        subscribers = [stack.enter_context(rig.subscribe(HITS)) for _ in range(3)]
        rig.evaporate()
        since_us, usage, commands = time.monotonic_ns() // 1000, Usage(rig.pids), []
        while (until_us := time.monotonic_ns() // 1000) < since_us + SECONDS * 1e6:
            commands.append(rig.guard_status()["devices"]["specimen-supply"]["last_command_s"])
            time.sleep(0.1)
        work, status = usage.texts(), rig.status()
        told = [subscriber.end() for subscriber in subscribers]
        ticks_s = pulse_to_tick_s(rig, loop_rows(rig, since_us, until_us))
        rate_hz = rig.loaded.rig.pulse.rate_hz
    ages_s, commands_s = np.concatenate([one["ages_s"] for one in told]), np.array(commands)
    in_all_ms = 1e3 * (np.quantile(ticks_s, 0.99) + np.quantile(commands_s, 0.99))
    per_s = f"at {status['rate_per_pulse'] * rate_hz:.0f} hits/s, words recorded"
    print_table(
        f"the daemon on the simulated rig, {SECONDS:.0f} s each",
        [
            *(Row(f"{name}: start to ready, warm", f"{s:.2f} s", "< 5 s in all") for name, s in ready_s.items()),
            *(Row(f"{name}: idle", text) for name, text in idle.items()),
            *(Row(f"{name}: {per_s}", text) for name, text in work.items()),
            Row(f"pulse to subscriber, p50 / p99 / max of {len(ages_s)} frames", f"{quantiles(ages_s, 1e3, 0.5, 0.99)} ms", "p99 < 80 ms"),
            Row(f"pulse to tick, p50 / p99 / max of {len(ticks_s)} ticks", f"{quantiles(ticks_s, 1e3, 0.5, 0.99)} ms"),
            Row(f"set and read of the supply, p50 / p99 / max of {len(commands_s)}", f"{quantiles(commands_s, 1e3, 0.5, 0.99)} ms"),
            Row("pulse to set point read back, the two p99 added", f"{in_all_ms:.0f} ms", "p99 < 100 ms"),
        ],
    )  # fmt: skip
    assert [one["lost"] for one in told] == [0, 0, 0]


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing else for a while."""
    yield
    time.sleep(SECONDS)


@contextmanager
def two_that_compute() -> Iterator[None]:
    """Two processes that only compute, for a while."""
    with busy(2):
        yield
        time.sleep(2 * SECONDS)


LOADS = {
    "no other load": quiet,
    "beside two busy processes": two_that_compute,
    "beside an acquire chain at full speed, words recorded, 3 subscribers": chain_at_full_speed,
}


@pytest.mark.parametrize("realtime", [False, True], ids=["ordinary", "SCHED_FIFO"])
def test_punctuality_of_the_guard(realtime: bool) -> None:
    with measured_rig(
        {"control": NEAR_THRESHOLD["control"] | QUICK_TICKS, "guard": {"realtime": realtime}}
    ) as rig:
        granted = rig.guard_status()["realtime"]
        rig.evaporate()
        rows, bare = {}, {}
        for name, load in LOADS.items():
            since_us = time.monotonic_ns() // 1000
            with (
                bare_loop(QUICK_TICKS["tick_s"], priority=LOOP_PRIORITY if granted else 0) as late_us,
                load(),
            ):
                pass
            until_us = time.monotonic_ns() // 1000
            time.sleep(0.2)  # until the last of them are on disk
            rows[name] = loop_rows(rig, since_us, until_us)["lateness_us"]
            bare[name] = np.array(late_us)
    priority = "granted" if granted else "refused" if realtime else "not asked for"
    print_table(
        f"wake-up lateness at 50 Hz in a run, p50 / p99 / p99.9 / max, real-time priority {priority}",
        [
            row
            for name in LOADS
            for row in (
                Row(f"guard, {name}: {len(rows[name])} ticks", f"{quantiles(rows[name], 1e-3, 0.5, 0.99, 0.999)} ms", "p99.9 < 5 ms" if granted else "reported"),
                Row("a bare loop of the same priority", f"{quantiles(bare[name], 1e-3, 0.5, 0.99, 0.999)} ms"),
            )
        ],
    )  # fmt: skip
    assert all(len(late_us) > 0 for late_us in rows.values())
