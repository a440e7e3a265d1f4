"""A soak: words at 200 000 hits/s through the whole daemon with three subscribers, memory flat, every hit accounted for.

EVAPD_SOAK_S says how long (`make soak` takes 1800 s), EVAPD_SOAK_HITS_PER_S how many, EVAPD_PROOF_PAGE where the table is
written. Words are recorded: a journal of about 18 MB for each second, removed afterwards.
"""

import os
import time
from contextlib import ExitStack, suppress

import numpy as np
import pytest

from evapd.record.journal import JournalReport
from evapd.rpc import Requester
from evapd.stream.frame import HITS, WORDS
from support.bench_processes import cpu_s
from support.bench_table import Row
from support.soak_load import Load
from support.soak_memory import Fit, Holdings
from support.soak_page import tell
from support.soak_rig import FollowingProcess, SoakRig, recorded, soak_rig
from support.soak_source import sent

SOAK_S = float(os.environ.get("EVAPD_SOAK_S", "3"))
HITS_PER_S = float(os.environ.get("EVAPD_SOAK_HITS_PER_S", "200000"))
LONG_S = 600.0  # from here on memory is judged: before, caches are still being filled
WARM_UP_S = min(300.0, SOAK_S / 3)
SAMPLE_S = min(10.0, SOAK_S / 12)
ASK_S = 0.2
STALL_EVERY_S, STALL_S = 120.0, 20.0  # of the slow subscriber: more than may wait for it


class Watch:
    """Samples memory and asks for `status` all along."""

    def __init__(self, rig: SoakRig) -> None:
        self.rig, self.load = rig, Load()
        self.holdings = {name: Holdings(rig.pid(name)) for name in ("acquire", "guard")}
        self.latency_s: list[float] = []
        self.hits: list[tuple[float, int]] = []
        self.metrics: dict[str, float] = {}

    def run(self, seconds: float) -> None:
        """Look on for so long; an interrupt ends it earlier, and what there is then is told."""
        with suppress(KeyboardInterrupt):
            self._look(seconds)

    def _look(self, seconds: float) -> None:
        begun_s = next_sample_s = time.monotonic()
        with Requester(self.rig.loaded.rig.sockets.control, 10.0, client="soak") as requester:
            while (now_s := time.monotonic()) < begun_s + seconds:
                asked_s = time.perf_counter()
                status = requester.request("status", {})
                self.latency_s.append(time.perf_counter() - asked_s)
                if now_s >= next_sample_s:
                    next_sample_s += SAMPLE_S
                    self.hits.append((now_s, status["hits"]))
                    self.load.sample()
                    self.metrics = self.rig.metrics()
                    for holding in self.holdings.values():
                        holding.sample()
                    assert status["run_state"] == "running", status["alarms"]
                time.sleep(ASK_S)

    def fits(self, after_s: float = WARM_UP_S) -> dict[str, Fit]:
        """Memory after the warm-up, or from a later time on."""
        return {name: one.fit(one.t_s[0] + after_s) for name, one in self.holdings.items()}

    def dropped(self) -> int:
        """Frames that found the stream's own queue full."""
        named = "evapd_stream_dropped_frames_total"
        assert self.metrics["evapd_stream_frames_total"] > 0
        return int(sum(value for name, value in self.metrics.items() if name.startswith(named)))

    def rates(self) -> str:
        """Hits per second between samples: mean, least, most."""
        t_s, hits = np.array(self.hits).T
        rates = np.diff(hits) / np.diff(t_s) / 1e3
        return f"{(hits[-1] - hits[0]) / (t_s[-1] - t_s[0]) / 1e3:.1f} (least {rates.min():.1f}, most {rates.max():.1f}) khit/s"


@pytest.mark.timeout(240 + 2 * SOAK_S)
def test_a_soak_loses_nothing_and_holds_its_memory() -> None:
    with soak_rig(HITS_PER_S) as rig, ExitStack() as stack:
        every_s = STALL_EVERY_S if SOAK_S > 2 * STALL_EVERY_S else 0.0
        readers = [
            stack.enter_context(one)
            for one in (
                FollowingProcess(rig, f"{HITS},{WORDS}"),
                FollowingProcess(rig, HITS),
                FollowingProcess(rig, HITS, every_s=every_s, stall_s=STALL_S),
            )
        ]
        rig.begin()
        watch, before_s = Watch(rig), cpu_s(rig.pid("acquire"))
        begun_s = time.monotonic()
        watch.run(SOAK_S)
        took_s = time.monotonic() - begun_s
        share = (cpu_s(rig.pid("acquire")) - before_s) / took_s
        running = rig.status() or {}
        done = rig.finish()
        told = [reader.end() for reader in readers]
        words = sent(rig.words)["words"]
        rows, frames, report = recorded(rig.store())
        conditions = done["last_run"]["conditions"]
    fits, latency_ms = watch.fits(), 1e3 * np.array(watch.latency_s)
    late = watch.fits(2 * took_s / 3)
    slow = told[2]
    tell(
        "soak",
        f"`make soak`: the whole daemon for {took_s:.0f} s, words recorded, live analysis, 3 subscribers by the shipped client",
        [
            Row("hits per second", watch.rates(), "200 khit/s"),
            Row("words: sent by the source, counted, in the journal", f"{words:,}, {done['words']:,}, {rows[WORDS]:,}", "equal"),
            Row("hits: counted, in the journal", f"{done['hits']:,}, {rows[HITS]:,}", "equal"),
            Row("hits received by the three subscribers", ", ".join(f"{one['rows'][HITS]:,}" for one in told), "equal"),
            Row("words received by the subscriber of words", f"{told[0]['rows'][WORDS]:,}", "equal"),
            Row("frames lost by the three subscribers", ", ".join(str(one["lost"]) for one in told), "0, 0, 0"),
            Row("counted losses of the daemon; dropped by the stream's own queue", f"{_losses(running)}; {watch.dropped()}", "none; 0"),
            Row("frames fetched again (third one stalls)", ", ".join(str(one["recovered"]) for one in told) + f"; {slow['stalls']} stalls of {STALL_S:.0f} s"),
            Row("journal", f"{report.bytes / 1e9:.2f} GB in {report.segments} segments, {frames[HITS]:,} frames of hits, checksums wrong {_wrong(report)}", "0 wrong"),
            Row("memory of acquire after the warm-up", str(fits["acquire"]), "flat within 2 %"),
            Row("memory of guard after the warm-up", str(fits["guard"])),
            *(Row(f"memory of {name} in the last third", str(fit)) for name, fit in late.items()),
            Row("descriptors of acquire, first and last", f"{watch.holdings['acquire'].fds[0]}, {watch.holdings['acquire'].fds[-1]}", "equal"),
            Row(f"`status` answered, p50 / p99 / max of {len(latency_ms)}", _ms(latency_ms)),
            Row("frame made to frame decoded, p50 / p99 / max, stalls left out", "; ".join(f"{one['age_ms'][0]:.1f} / {one['age_ms'][1]:.1f} / {one['age_ms'][2]:.0f} ms" for one in told)),
            Row("processor time of acquire", f"{100 * share:.0f} % of a core"),
            Row("the machine", watch.load.told()),
            Row("state of the run", ", ".join(conditions), "GOOD"),
        ],
    )  # fmt: skip
    assert done["words"] == rows[WORDS] == words == told[0]["rows"][WORDS]
    assert [one["rows"][HITS] for one in told] == [rows[HITS]] * 3 == [done["hits"]] * 3
    assert [one["lost"] for one in told] == [0, 0, 0]
    assert _wrong(report) == 0
    assert _losses(running) == "none"
    assert conditions == ["GOOD"]
    if SOAK_S >= LONG_S:
        assert abs(fits["acquire"].growth) <= 0.02


def _losses(status: dict[str, object]) -> str:
    losses = status["losses"]
    assert isinstance(losses, dict)
    return ", ".join(f"{name} {value}" for name, value in losses.items() if value) or "none"


def _wrong(report: JournalReport) -> int:
    return report.damaged_bytes + report.torn_bytes


def _ms(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> str:
    return f"{np.median(values):.1f} / {np.quantile(values, 0.99):.1f} / {values.max():.0f} ms"
