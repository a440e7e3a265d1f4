"""Subscribers that join and leave, stall and die, beside a run: nothing grows, and those who stay lose nothing.

Runs where EVAPD_CHURN_S says how long 50 a second come and go (`make proofs`: 60 s); EVAPD_STALL_S, how long one is stopped
(20 s). Welcome, repair and memory have short tests of their own among the unit tests of the stream.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evapd.stream.frame import HITS, WORDS
from support.bench_processes import rss_mb
from support.bench_table import Row
from support.soak_load import Load
from support.soak_memory import Holdings, threads
from support.soak_page import tell
from support.soak_rig import FollowingProcess, SoakRig, end_all, recorded, soak_rig
from support.wait import wait_for

CHURN_S = float(os.environ.get("EVAPD_CHURN_S", "2"))
STALL_S = float(os.environ.get("EVAPD_STALL_S", "1"))
PER_S = 50.0
HITS_PER_S = 20_000.0
_CHURN = Path(__file__).parents[1] / "support" / "soak_churn.py"


@pytest.fixture
def rig() -> Iterator[SoakRig]:
    with soak_rig(HITS_PER_S) as made:
        yield made


def let_time_pass(seconds: float, holding: Holdings) -> None:
    """Sample each half second."""
    for _ in range(max(1, round(2 * seconds))):
        holding.sample()
        until_s = time.monotonic() + 0.5
        wait_for(lambda until_s=until_s: time.monotonic() >= until_s, "half a second", 5.0, every_s=0.05)  # type: ignore[misc]


@pytest.mark.timeout(120 + 3 * CHURN_S)
def test_fifty_a_second_come_and_go_and_nothing_grows(rig: SoakRig) -> None:
    holding, load = Holdings(rig.pid("acquire")), Load()
    with FollowingProcess(rig, f"{HITS},{WORDS}") as one, FollowingProcess(rig, HITS) as other:
        rig.begin()
        load.sample()
        churn(rig, min(CHURN_S, 5.0))  # the first ones fill caches
        wait_for(lambda: subscriptions(rig) == 2, "only those who stay", 20.0, every_s=0.1)
        holding.sample()
        ring_mb = rig.metrics()["evapd_stream_ring_bytes"] / 1e6
        standing = threads(rig.pid("acquire"))
        joined = churn(rig, CHURN_S, holding)
        wait_for(lambda: subscriptions(rig) == 2, "only those who stay", 20.0, every_s=0.1)
        load.sample()
        holding.sample()
        ring_mb = rig.metrics()["evapd_stream_ring_bytes"] / 1e6 - ring_mb
        left = threads(rig.pid("acquire"))
        done = rig.finish()
        told = end_all([one, other])
    rows, _, _ = recorded(rig.store())
    waits_ms = 1e3 * np.array(joined["waits_s"])
    tell(
        "churn", f"50 subscribers a second join, are welcomed, read for 0.5 s and leave, for {joined['took_s']:.0f} s, beside {HITS_PER_S:.0f} hits/s with words",
        [
            Row("joined, of them without a welcome", f"{joined['joined']}, {joined['unwelcome']}", "50 per s, 0"),
            Row("per second", f"{joined['joined'] / joined['joining_s']:.1f}", "50"),
            Row("socket opened to welcome, p50 / p99 / max", f"{np.median(waits_ms):.1f} / {np.quantile(waits_ms, 0.99):.1f} / {waits_ms.max():.1f} ms", "p50 < 5 ms"),
            Row("descriptors of acquire before, most, after", f"{holding.fds[0]}, {max(holding.fds)}, {holding.fds[-1]}", "as before"),
            Row("threads of acquire before, after", f"{standing}, {left}", "as before"),
            Row("memory of acquire before, after", f"{holding.mb[0]:.1f} MB, {holding.mb[-1]:.1f} MB; the replay ring filled by {ring_mb:.1f} MB meanwhile", "no more than the ring"),
            Row("hits: counted, in the journal, at the two who stayed", f"{done['hits']:,}, {rows[HITS]:,}, " + ", ".join(f"{one['rows'][HITS]:,}" for one in told), "equal"),
            Row("frames lost by the two who stayed; fetched again", ", ".join(f"{one['lost']}; {one['recovered']}" for one in told), "0"),
            Row("the machine", load.told()),
        ],
    )  # fmt: skip
    assert joined["unwelcome"] == 0
    assert holding.fds[-1] <= holding.fds[0] + 2
    assert [one["lost"] for one in told] == [0, 0]
    assert [one["rows"][HITS] for one in told] == [rows[HITS]] * 2 == [done["hits"]] * 2
    assert holding.mb[-1] - holding.mb[0] - ring_mb < 20.0


@pytest.mark.timeout(120 + 6 * STALL_S)
def test_who_is_stopped_gets_all_of_it_later_and_who_dies_costs_nothing(rig: SoakRig) -> None:
    holding, pid = Holdings(rig.pid("acquire")), rig.pid("acquire")
    with (
        FollowingProcess(rig, f"{HITS},{WORDS}") as steady,
        FollowingProcess(rig, f"{HITS},{WORDS}") as stopped,
        FollowingProcess(rig, f"{HITS},{WORDS}") as for_ever,
        FollowingProcess(rig, f"{HITS},{WORDS}", every_s=1.0, stall_s=STALL_S) as asleep,
    ):
        rig.begin()
        let_time_pass(1.0, holding)
        fds, mb = holding.fds[-1], rss_mb(pid)
        doomed = [FollowingProcess(rig, HITS) for _ in range(4)]
        for one in (stopped, for_ever):
            one.process.send_signal(signal.SIGSTOP)
        for one in doomed:
            let_time_pass(STALL_S / 4, holding)
            one.__exit__()  # SIGKILL
        stopped.process.send_signal(signal.SIGCONT)
        let_time_pass(max(1.0, STALL_S / 4), holding)
        most_mb = max(holding.mb)
        for_ever.process.kill()
        wait_for(lambda: subscriptions(rig) == 3, "the dead to be forgotten", 20.0, every_s=0.1)
        holding.sample()
        fds_after = holding.fds[-1]
        done = rig.finish()
        told = end_all([steady, stopped, asleep])
    rows, _, _ = recorded(rig.store())
    tell(
        "stalls", f"one subscriber stopped for {STALL_S:.0f} s (SIGSTOP), one whose program sleeps {STALL_S:.0f} s again and again, one stopped until it is killed, four killed in the middle, beside {HITS_PER_S:.0f} hits/s with words",
        [
            Row("hits: counted, in the journal, at the steady one, the stopped one, the sleeper", f"{done['hits']:,}, {rows[HITS]:,}, " + ", ".join(f"{one['rows'][HITS]:,}" for one in told), "equal"),
            Row("words in the journal, at these three", f"{rows[WORDS]:,}, " + ", ".join(f"{one['rows'][WORDS]:,}" for one in told), "equal"),
            Row("frames lost, fetched again: steady; stopped; sleeper", "; ".join(f"{one['lost']}, {one['recovered']}" for one in told), "0 lost"),
            Row("descriptors of acquire before, after", f"{fds}, {fds_after}", "one less: of the dead"),
            Row("memory of acquire before, most", f"{mb:.0f} MB, {most_mb:.0f} MB", "budgets of 64 MB: ring, three that wait"),
        ],
    )  # fmt: skip
    assert [one["lost"] for one in told] == [0, 0, 0]
    assert [one["rows"] for one in told] == [rows, rows, rows]
    assert done["hits"] == rows[HITS]
    assert fds_after <= fds + 2
    assert most_mb - mb < 4 * 64.0


def churn(rig: SoakRig, seconds: float, holding: Holdings | None = None) -> dict[str, object]:
    """Let them come and go; samples meanwhile."""
    with subprocess.Popen(
        [sys.executable, str(_CHURN), str(rig.config), str(PER_S), str(seconds)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, **rig.env["acquire"]},
    ) as process:  # fmt: skip
        while True:
            try:
                told, _ = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if holding is not None:
                    holding.sample()
        return dict(json.loads(told))


def subscriptions(rig: SoakRig) -> int:
    """Those who follow hits."""
    values = rig.metrics()
    return int(values.get('evapd_stream_subscribers{topic="hits."}', 0))
