"""TDC drivers: words per second through each vendor's library, of which this project's stand-ins take the place."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from evapd.blocks import TdcBlock
from evapd.record.hitsfile import write_hits
from evapd_drivers.tdc.crono4 import TimeTagger4, Xtdc4
from evapd_drivers.tdc.replay import ReplayHits, ReplayWords
from evapd_drivers.tdc.surface_concept import SurfaceConceptHits, SurfaceConceptWords
from evapd_drivers.tdc.swabian import Swabian
from evapd_drivers.tdc.tdc8hp import Tdc8Hp
from evapd_drivers.tdc.xhptdc8 import Xhptdc8
from evapd_sim.sdk.sctdc import BIN_PS, FakeScTdc
from evapd_sim.sdk.swabian import FakeTimeTagger
from evapd_sim.sdk.tdc4 import FakeTdc4
from evapd_sim.sdk.tdc8hp import FakeTdc8Hp
from evapd_sim.sdk.xhptdc8 import FakeXhptdc8
from support.bench_matching_tables import print_columns
from support.blocks import hits
from support.recorded_words import save_words
from support.signals import SignalModel, simulate

pytestmark = pytest.mark.bench
PULSES, HITS, ROUNDS, GOAL = 100_000, 500_000, 5, "2"  # goal in Mword/s, starts among them
PERIOD_PS, ROOM, BUFFERED = 5_000_000, 1 << 23, 1000


class Case(NamedTuple):
    """One driver: what puts everything into its library, how many words come out without another pulse, and how many go in."""

    name: str
    driver: Any
    deliver: Callable[[], object]
    words: int
    edges: int


def seconds(case: Case) -> float:
    """Best time to read what waits in the library."""
    best = float("inf")
    for _ in range(ROUNDS):
        case.driver.arm()
        case.deliver()
        began_s, words = time.perf_counter(), 0
        while words < case.words:
            block = case.driver.read_block(0.1)
            words += block.n if block is not None else 0
            assert time.perf_counter() < began_s + 30.0, f"{case.name}: {words} of {case.words} words"
        best = min(best, time.perf_counter() - began_s)
        case.driver.disarm()
    case.driver.close()
    return best


def opened(kind: Any, connect: str, **settings: Any) -> Any:
    driver = kind(kind.Config(connect=connect, **settings))
    driver.open()
    return driver


def rescaled(block: TdcBlock, width_ps: float) -> tuple[Any, ...]:
    """Words as the stand-ins take them, in bins of a width."""
    time_bins = np.rint(block.time * (float(block.bin_ps) / width_ps)).astype(np.int64)
    return block.pulse.astype(np.int64), block.channel, time_bins


def taggers(folder: Path, block: TdcBlock) -> Iterator[Case]:
    """Every start is in the stream; words of the last pulses wait for the next start."""
    words = int(np.count_nonzero(block.pulse < PULSES - 10))
    board = FakeXhptdc8(folder, PERIOD_PS, capacity=ROOM)
    fill = partial(board.deliver, *rescaled(block, 1.0), pulses=PULSES)
    yield Case("cronologic-xhptdc8", opened(Xhptdc8, f"library:{board.path}"), fill, words, block.n + PULSES)
    tagger = FakeTimeTagger(PERIOD_PS)
    tagger.plug()
    fill = partial(tagger.deliver, *rescaled(block, 1.0), pulses=PULSES)
    yield Case("swabian", opened(Swabian, "module:evapd_sim.sdk.swabian"), fill, words, block.n + PULSES)
    groups = FakeTdc8Hp(folder, 200_000, capacity=ROOM)
    fill = partial(groups.deliver, *rescaled(block, 25.0), pulses=PULSES)
    yield Case("roentdek-tdc8hp", opened(Tdc8Hp, f"library:{groups.path}"), fill, words, block.n + PULSES)
    stops = int(np.count_nonzero(block.channel > 0))
    for kind, name, width_ps in ((TimeTagger4, "timetagger4", 500.0), (Xtdc4, "xtdc4", 5000 / 384)):
        packets = FakeTdc4(folder, capacity=8 * ROOM)
        fill = partial(packets.deliver, *rescaled(block, width_ps), pulses=PULSES)
        yield Case(f"cronologic-{name}", opened(kind, f"library:{packets.path}"), fill, stops, stops + PULSES)


def detectors(folder: Path, block: TdcBlock) -> Iterator[Case]:
    """Starts are counted in hardware; the newest pulse, or what fills no buffer, waits."""
    made = FakeScTdc(folder, capacity=ROOM)
    pulse, zero = np.sort(np.random.default_rng(1).integers(0, PULSES, HITS)), np.zeros(HITS)
    words, found = rescaled(block, BIN_PS), (pulse, zero + 5e5, zero, zero)
    for pipe, waits in (("user", 100), ("buffered", 2 * BUFFERED)):
        connect, settings = (
            f"library:{made.path}",
            {"ini": str(made.ini), "pipe": pipe, "buffered_events": BUFFERED},
        )
        driver = opened(SurfaceConceptWords, connect, **settings)
        fill = partial(made.deliver, *words, pulses=PULSES)
        yield Case(f"surface-concept-words, pipe {pipe}", driver, fill, block.n - waits, block.n - waits)
        driver = opened(SurfaceConceptHits, connect, **settings)
        fill = partial(made.deliver_hits, *found, pulses=PULSES)
        yield Case(f"surface-concept, pipe {pipe} (hits)", driver, fill, HITS - waits, HITS - waits)


def recordings(folder: Path, block: TdcBlock) -> Iterator[Case]:
    """Played as fast as it is taken."""
    settings = {"speed": 0, "pulse_rate_hz": 2e5}
    path = save_words(folder / "words.npz", block)
    yield Case("replay", opened(ReplayWords, f"file:{path}", **settings), lambda: None, block.n, block.n)
    write_hits(folder / "hits.npz", [hits(0, 10**6, [(pulse, 1) for pulse in range(HITS)])])
    driver = opened(ReplayHits, f"file:{folder / 'hits.npz'}", **settings)
    yield Case("replay-hits (hits)", driver, lambda: None, HITS, HITS)


def test_words_per_second_through_the_libraries(tmp_path: Path) -> None:
    block = simulate(SignalModel(detection=0.05, multi=0.30), PULSES, 1).block
    rows = []
    for kind in (taggers, detectors, recordings):
        for case in kind(tmp_path, block):
            took_s = seconds(case)
            mega = [f"{1e-6 * n / took_s:.1f}" for n in (case.words, case.edges)]
            rows.append((case.name, *mega, GOAL, f"{1e9 * took_s / case.edges:.0f}"))
    print_columns(
        "TDC drivers: what waits in the library until it is blocks, best of 5; with starts: the pulses' own edges among them",
        ("driver", "Mword/s", "with starts", "goal", "ns each"),
        rows,
    )
