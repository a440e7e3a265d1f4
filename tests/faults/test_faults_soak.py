"""High rates: a surge that nothing can follow, and a soak in which everything that went in must come out."""

import os
import time
from collections.abc import Iterator

import numpy as np
import pytest

from evapd.stream.frame import HITS, WORDS
from support.bench_processes import SubscriberProcess, rss_mb
from support.faults_rig import FaultRig, fault_rig

SOAK_S = float(os.environ.get("EVAPD_SOAK_S", "60"))
TARGET = (
    0.1  # 20 000 hits/s, 100 000 words/s: what the simulated physics can make beside the daemon on two cores
)


@pytest.fixture(scope="module")
def quick() -> Iterator[FaultRig]:
    with fault_rig({"control": {"target_rate": TARGET, "v_start_v": 2730}}) as rig:
        yield rig


def test_surge(rig: FaultRig) -> None:
    with rig.fault("7", "surge: 10^6 ions/s for 3 s at whatever voltage", "`flash ions_per_s=1e6 for_s=3 holds_above=0`",
                   "pulses off < 250 ms, V falls < 250 ms, queues bounded: acquire < 200 MB more, every loss counted") as fault:  # fmt: skip
        before_mb = rss_mb(rig.daemon.processes["acquire"].pid)
        fault.do("flash", ions_per_s=1e6, for_s=3, holds_above=0)
        fault.inhibited_within(0.25)
        fault.descends_within(0.25)
        fault.waits(5.0)
        grown_mb = rss_mb(rig.daemon.processes["acquire"].pid) - before_mb
        fault.row.reaction += f", acquire grew by {grown_mb:.0f} MB"
        rig.finish_run("the surge is over")
        told = fault.closed()
        assert not told.acquire.crc_errors
        assert not told.frame_gaps
        assert told.info.counters["journal_lost"] == 0
        assert told.missing_words == 0 or "TAINTED" in told.conditions, "words are missing and nobody says so"
        assert grown_mb < 200.0
        fault.rises_at_most(5.0)


@pytest.mark.timeout(300 + 2 * SOAK_S)
def test_soak(quick: FaultRig) -> None:
    rig, sockets = quick, quick.daemon.loaded.rig.sockets
    with rig.fault("25", f"soak of {SOAK_S:.0f} s at 20 000 hits/s with 3 readers", "nothing is disturbed (EVAPD_SOAK_S for more)",
                   "words in = written, published = read, after the first third memory grows < 10 MB, and the replay ring to its budget, guard's ticks late by > 20 ms: 0") as fault:  # fmt: skip
        readers = [
            SubscriberProcess(sockets.stream, sockets.replay, topics) for topics in (HITS, HITS, WORDS)
        ]
        try:
            fault.now(lambda: None)
            pids = {name: process.pid for name, process in rig.daemon.processes.items()}
            fault.waits(SOAK_S / 3)
            early = {name: rss_mb(one) for name, one in pids.items()}
            fault.rig.wait(2 * SOAK_S / 3)
            grown = {name: rss_mb(one) - early[name] for name, one in pids.items()}
            assert fault.runs()
            rig.finish_run("the soak is over")
            lost = [reader.end()["lost"] for reader in readers]
        finally:
            for reader in readers:
                reader.__exit__()
        told = fault.closed("GOOD")
        late = told.loop["lateness_us"][told.loop["t_mono_us"] > 1e6 * fault.since_s] / 1e3
        fault.row.reaction = (
            f"{told.words} words, loop p99 {np.quantile(late, 0.99):.1f} ms late, at most {late.max():.1f} ms, "
            f"grew by {', '.join(f'{name} {mb:.1f}' for name, mb in grown.items())} MB"
        )
        fault.nothing_lost(told, tail_s=0.2)
        assert lost == [0, 0, 0]
        assert told.info.counters["words"] == told.words
        # The replay ring of acquire fills up to its budget; everything else stands still.
        assert grown["guard"] < 10.0
        assert grown["acquire"] < 10.0 + sockets.stream_budget_mb
        assert (late > 20.0).sum() == 0
        assert time.monotonic() - fault.since_s >= SOAK_S
