"""The acquire chain at full speed: pregenerated words through readout, matching, journal and stream, with three subscribers.

Readout, pipeline, journal and publisher are those of the daemon, with their threads, in one process; the source is words in
memory that are handed out as fast as they are taken, so there is no driver, no guard and no link in it.
"""

import dataclasses
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from evapd.acquire.bus import Bus
from evapd.acquire.counts import Counter
from evapd.acquire.pipeline import Pipeline
from evapd.acquire.readout import Readout
from evapd.blocks import Anchor, TdcBlock
from evapd.config.model import Instrument
from evapd.device import Identity, TdcDescription
from evapd.device.readings import TdcReading
from evapd.matching import Matcher
from evapd.record.journal import JournalWriter, read_journal
from evapd.stream.frame import HITS, WORDS, Framer
from evapd.stream.publisher import Publisher
from support.anodes import quad
from support.bench_live import live_bench_service
from support.bench_processes import SubscriberProcess, cpu_s, rss_mb
from support.bench_table import Row, print_table
from support.recorded_runs import record_run
from support.signals import SignalModel, part_of, simulate
from support.wait import wait_for

pytestmark = pytest.mark.bench

SECONDS = 10.0
BLOCKS, BLOCK_PULSES = 20, 75_000  # a block holds about 4200 hits
WAITING_BLOCKS = 16  # the source waits when so many have not been matched
WAITING_BYTES = 128_000_000  # or so much has not reached the disk
BUDGET_BYTES = 64_000_000  # of the stream, as a rig has it by default
INSTRUMENT = Instrument(flight_path_mm=110, tof_window_ns=(60, 1500), background_window_ns=(2500, 4900))


def pregenerated() -> list[TdcBlock]:
    """Words of 5 % detection and 30 % multi-hits in consecutive blocks."""
    words = simulate(SignalModel(detection=0.05, multi=0.30), BLOCKS * BLOCK_PULSES, 1).block
    edges = np.arange(BLOCKS + 1) * BLOCK_PULSES
    at = np.searchsorted(words.pulse, edges)
    return [part_of(words, at[k], at[k + 1], int(edges[k]), int(edges[k + 1]) - 1) for k in range(BLOCKS)]


class WordsInMemory:
    """A TDC that has the next block ready whenever the chain has room, round and round, with its pulses counted on."""

    def __init__(self, blocks: list[TdcBlock]) -> None:
        self.words = self.sent = 0
        self.has_room: Callable[[], bool] = lambda: False
        self._blocks = blocks
        self._stop = threading.Event()

    def open(self) -> Identity:
        return Identity(vendor="evapd", model="words in memory")

    def close(self) -> None:
        self._stop.set()

    def describe(self) -> TdcDescription:
        return TdcDescription(bin_ps=self._blocks[0].bin_ps, channels=5, counter_bits=64)

    def arm(self) -> None:
        self.words = self.sent = 0

    def disarm(self) -> None:
        self._stop.set()

    def make_safe(self) -> None:
        self._stop.set()

    def read(self) -> TdcReading:
        return TdcReading(t_mono_s=time.monotonic(), armed=True, pulse_counter=self.sent * BLOCK_PULSES)

    def read_block(self, timeout_s: float) -> TdcBlock | None:
        deadline_s = time.monotonic() + timeout_s
        while not self.has_room():
            if self._stop.wait(0.0005) or time.monotonic() > deadline_s:
                return None
        if self._stop.is_set():
            return None
        turn, place = divmod(self.sent, len(self._blocks))
        shift, block = turn * BLOCKS * BLOCK_PULSES, self._blocks[place]
        self.sent += 1
        self.words += block.n
        return dataclasses.replace(
            block,
            first_pulse=block.first_pulse + shift,
            last_pulse=block.last_pulse + shift,
            pulse=block.pulse + np.uint64(shift),
            anchor=Anchor(block.last_pulse + shift, time.monotonic_ns() // 1000),
        )


def recorded(folder: Path) -> dict[str, int]:
    """Rows by topic in a journal, every checksum tried."""
    rows = {HITS: 0, WORDS: 0}
    for frame in read_journal(folder):
        rows[frame.topic] += frame.header["n"]
    return rows


@pytest.mark.parametrize(
    ("words", "goal_mhit_s", "analysed"), [(True, 1, False), (False, 5, False), (False, 5, True)],
    ids=["words", "hits-only", "hits-only-analysed"],
)  # fmt: skip
def test_chain_at_full_speed(tmp_path: Path, words: bool, goal_mhit_s: int, analysed: bool) -> None:
    faults: list[str] = []
    source = WordsInMemory(pregenerated())
    framer = Framer("bench", lambda: time.monotonic_ns() // 1000, lambda: time.time_ns() // 1000, run="bench")
    readout = Readout("memory", source, lambda *event: faults.append(str(event)))
    matcher, counter = Matcher(quad()), Counter(INSTRUMENT)
    matcher.warm_up()
    with ExitStack() as stack:
        any_port = "tcp://127.0.0.1:*"
        publisher = stack.enter_context(
            Publisher(
                any_port, any_port, any_port, instance="bench", budget_bytes=BUDGET_BYTES, snapshot=dict,
                next_seq=framer.next_seq,
            )
        )  # fmt: skip
        journal = JournalWriter(
            tmp_path, prefix="bench", segment_bytes=256_000_000, queue_bytes=512_000_000, reserve_bytes=0,
            on_fault=faults.append, clock=time.monotonic,
        )  # fmt: skip
        bus = Bus(framer, publisher)
        bus.open_journal(journal, "bench")
        topics = [HITS, HITS, f"{HITS},{WORDS}" if words else HITS]
        subscribers = [
            stack.enter_context(SubscriberProcess(publisher.address, publisher.replay_address, each))
            for each in topics
        ]
        live = live_bench_service(publisher.publish_live)
        if analysed:
            live.start()
            stack.callback(live.stop)
        pipeline = Pipeline(
            readout, matcher, counter, framer, bus, words=words, tap=live.tap.offer if analysed else None
        )
        pipeline.start()
        source.has_room = lambda: (
            readout.blocks.qsize() < WAITING_BLOCKS and journal.queued_bytes < WAITING_BYTES
        )
        readout.start()
        readout.arm()
        memory_mb: list[float] = []
        begun_s, begun_cpu_s, hits_by_s = time.monotonic(), cpu_s(), [0]
        while (now_s := time.monotonic()) < begun_s + SECONDS:
            time.sleep(max(0.0, begun_s + len(hits_by_s) - now_s))
            hits_by_s.append(counter.now.hits)
            memory_mb.append(rss_mb())
        readout.disarm()
        wait_for(lambda: not readout.armed.is_set(), "the end of the source")
        assert pipeline.drain(60.0), "the pipeline did not drain"
        took_s, took_cpu_s = time.monotonic() - begun_s, cpu_s() - begun_cpu_s
        wait_for(lambda: publisher.stats().queued_bytes == 0, "the stream's queue to empty")
        bus.beat()  # the last numbers, so that a subscriber sees what it missed at the end
        told = [subscriber.end() for subscriber in subscribers]
        dropped = publisher.dropped
        readout.stop(5.0)
    journal.close(120.0)
    synced_s = time.monotonic() - begun_s
    now, in_journal = counter.now, recorded(tmp_path)
    shutil.rmtree(tmp_path)
    rate = now.hits / took_s / 1e6
    print_table(
        f"acquire chain at full speed, 5 % detection, 30 % multi-hit, {'words recorded' if words else 'hits only'}{', analysed live' if analysed else ''}, "
        f"3 subscribers, {took_s:.0f} s",
        [
            Row("sustained", f"{rate:.2f} Mhit/s, {now.words / took_s / 1e6:.1f} Mword/s", f">= {goal_mhit_s} Mhit/s"),
            Row("slowest and fastest second", "{:.2f} and {:.2f} Mhit/s".format(*extremes(hits_by_s))),
            Row("processor time of the process", f"{1e9 * took_cpu_s / now.hits:.0f} ns per hit, {100 * took_cpu_s / took_s:.0f} % of a core"),
            Row("hits in all", f"{now.hits:,d}"),
            *([Row("analysed live", live.told())] if analysed else []),
            Row("to the journal", f"{journal.written.bytes / took_s / 1e6:.0f} MB/s, durable {synced_s - took_s:.1f} s after"),
            Row("dropped before matching, by the journal", f"{readout.overflows}, {journal.lost}", "0, 0"),
            Row("dropped by the stream's own queue", str(dropped), "0"),
            Row("subscribers: frames taken", ", ".join(str(one["frames"]) for one in told)),
            Row("subscribers: fetched again, lost", ", ".join(f"{one['recovered']} {one['lost']}" for one in told), "0 0, ..."),
            Row("memory after 2 s, at the end", f"{memory_mb[1]:.0f} MB, {memory_mb[-1]:.0f} MB", "flat"),
        ],
    )  # fmt: skip
    assert pipeline.error is None
    assert now.hits > 0
    assert (readout.overflows, journal.lost, faults[1:]) == (
        0,
        0,
        [],
    )  # the first says that the source answers
    assert now.words == source.words
    assert in_journal == {HITS: now.hits, WORDS: now.words if words else 0}
    for one in told:
        assert one["lost"] or one["rows"][HITS] == now.hits


def extremes(hits_by_s: list[int]) -> tuple[float, float]:
    rates = np.diff(hits_by_s) / 1e6
    return float(rates.min()), float(rates.max())


def test_size_and_speed_of_finalising(tmp_path: Path) -> None:
    store, made = record_run(tmp_path, 100.0, rate=0.05)
    hits = sum(block.n for block in made)
    begun_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "evapd.record.finalise", "--json", store.folder],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    took_s = time.perf_counter() - begun_s
    told = json.loads(done.stdout.splitlines()[-1])
    shutil.rmtree(tmp_path)
    print_table(
        f"finalising a run of {hits / 1e6:.2f} Mhit in 100 s",
        [
            Row("measured columns of a hit", f"{told['bytes_per_hit']:.2f} bytes", "<= 14 bytes"),
            Row("file, with slow values and pulses", f"{told['bytes'] / hits:.2f} bytes per hit", "<= 14 bytes"),
            Row("speed, start of the process included", f"{hits / took_s / 1e6:.2f} Mhit/s ({took_s:.1f} s)"),
        ],
    )  # fmt: skip
    assert told["hits"] == hits
