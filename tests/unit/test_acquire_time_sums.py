"""The watch over time sums in acquire: one alarm per fault, little work, and never in the pipeline's way."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from evapd.acquire.bus import Bus
from evapd.acquire.time_sums import WORDS_PER_S, TimeSumWatch, WordSample
from evapd.blocks import TdcBlock
from evapd.config.model import Matching, TimeSums
from evapd.stream.frame import Framer
from support.anodes import quad
from support.calibrations import stream
from support.signals import part_of

STREAM = stream(quad(), 40_000).block


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Told:
    """Where events end up."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def __call__(self, kind: str, severity: str, what: str, **extra: Any) -> None:
        assert kind == "time_sum"
        assert extra["time_sums"]["state"]
        self.events.append((severity, what))

    @property
    def severities(self) -> list[str]:
        return [severity for severity, _ in self.events]


def run(
    block: TdcBlock, seconds: int = 40, x1_later_ps: np.ndarray | float = 0.0
) -> tuple[Told, TimeSumWatch]:
    """Send a block's words over so many seconds, in small blocks every 50 ms."""
    clock, told = Clock(), Told()
    watch = TimeSumWatch(quad(), TimeSums(window_hits=1_000), Matching(), told, clock)
    later = np.broadcast_to(np.asarray(x1_later_ps) / float(block.bin_ps), block.n)
    time = np.rint(block.time + np.where(block.channel == 1, later, 0)).astype(np.int32)
    cuts = np.linspace(0, block.n, seconds * 20 + 1).astype(int)
    for a, b in pairwise(cuts):
        part = part_of(block, a, b, block.first_pulse, block.last_pulse)
        object.__setattr__(part, "time", time[a:b])
        watch.offer(part)
        clock.now_s += 0.05
        watch.tick()
    return told, watch


def test_a_calibrated_stream_raises_no_alarm_and_is_told_in_the_status() -> None:
    told, watch = run(STREAM)
    assert told.events == []
    status = watch.now.as_dict()
    assert status["state"] == "ok"
    assert set(status["layers"]) == {"x", "y"}


def test_a_drift_raises_exactly_one_alarm() -> None:
    told, _ = run(STREAM, x1_later_ps=np.linspace(0, 800, STREAM.n))
    assert told.severities == ["alarm"]
    assert "drift away from calibration quad-" in told.events[0][1]


def test_a_jump_raises_one_alarm_that_says_lost() -> None:
    told, _ = run(STREAM, x1_later_ps=np.where(np.arange(STREAM.n) > STREAM.n / 2, 5_000.0, 0.0))
    assert told.severities == ["alarm"]
    assert "hits are being lost" in told.events[0][1]


def test_a_drift_that_becomes_a_loss_is_told_again() -> None:
    told, _ = run(STREAM, x1_later_ps=np.linspace(0, 4_000, STREAM.n))
    assert told.severities == ["alarm", "alarm"]


def test_a_time_sum_that_comes_back_ends_the_alarm() -> None:
    bump = np.clip(600 * np.sin(np.linspace(0, 1.4 * np.pi, STREAM.n)), 0, None)
    told, _ = run(STREAM, x1_later_ps=bump)
    assert told.severities == ["alarm", "info"]


@pytest.mark.parametrize(
    "block",
    [stream(quad(), 30, detection=0.0002, noise_hz=200_000.0, dark_hz=0.0).block, stream(quad(), 300).block],
)
def test_noise_alone_and_too_few_hits_raise_none(block: TdcBlock) -> None:
    told, watch = run(block)
    assert told.events == []
    assert str(watch.now.state) == "unknown"


def test_a_dead_mcp_is_told_as_a_warning_once() -> None:
    clock, told = Clock(), Told()
    watch = TimeSumWatch(quad(), TimeSums(), Matching(), told, clock)
    watch.offer(part_of(STREAM, 0, 20_000, STREAM.first_pulse, STREAM.last_pulse))
    dead = np.flatnonzero(STREAM.channel != 0)[:2_000]
    part = TdcBlock(
        first_pulse=STREAM.first_pulse,
        last_pulse=STREAM.last_pulse,
        bin_ps=STREAM.bin_ps,
        pulse=STREAM.pulse[dead],
        channel=STREAM.channel[dead],
        time=STREAM.time[dead],
    )
    for _ in range(60):
        clock.now_s += 1.0
        watch.tick()
        watch.offer(part)
    assert told.severities == ["warning"]
    assert "channel is dead" in told.events[0][1]


@pytest.mark.parametrize("part", ["_sample.offer", "_tracker.judge", "_tracker.feed", "_sample.take"])
def test_a_fault_of_the_watch_is_one_alarm_and_no_exception(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("broken")

    clock, told = Clock(), Told()
    watch = TimeSumWatch(quad(), TimeSums(), Matching(), told, clock)
    owner, name = part.split(".")
    monkeypatch.setattr(getattr(watch, owner), name, broken)
    for _ in range(5):
        watch.offer(STREAM)
        clock.now_s += 1.1
        watch.tick()
    assert told.severities == ["alarm"]
    assert "no longer watched" in told.events[0][1]
    assert watch.now.as_dict()["state"] == "unknown"


def test_a_fault_that_cannot_even_be_told_does_not_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(*_: Any, **__: Any) -> None:
        raise OSError("nobody listens")

    clock = Clock()
    watch = TimeSumWatch(quad(), TimeSums(), Matching(), deaf, clock)
    monkeypatch.setattr(watch._tracker, "judge", deaf)
    clock.now_s += 2.0
    watch.tick()
    assert watch.now.as_dict()["state"] == "unknown"


def test_at_any_rate_only_so_many_words_are_looked_at() -> None:
    clock = Clock()
    sample = WordSample(clock)
    taken = 0
    for _ in range(100):
        sample.offer(STREAM)
        clock.now_s += 0.05
        taken += sum(block.n for block in sample.take())
    assert 0.8 * 5 * WORDS_PER_S < taken <= 6 * WORDS_PER_S


def test_a_slow_stream_is_looked_at_whole() -> None:
    clock = Clock()
    sample = WordSample(clock)
    part = part_of(STREAM, 0, 50, 0, 1_000)
    for _ in range(100):
        sample.offer(part)
        clock.now_s += 0.05
    assert sum(block.n for block in sample.take()) == 100 * part.n


def test_what_is_cut_off_is_cut_between_pulses() -> None:
    sample = WordSample(Clock())
    sample.offer(STREAM)
    (block,) = sample.take()
    assert block.n < STREAM.n
    assert STREAM.pulse[block.n] != block.pulse[-1]


def test_a_taker_that_stalls_costs_no_memory() -> None:
    clock = Clock()
    sample = WordSample(clock)
    for _ in range(5_000):
        sample.offer(part_of(STREAM, 0, 50, 0, 1_000))
        clock.now_s += 0.05
    assert len(sample.take()) <= 1_024


def test_good_news_of_the_time_sums_end_their_alarm_on_the_bus() -> None:
    class Nobody:
        def publish(self, frame: object) -> None:
            del frame

    bus = Bus(Framer("test", lambda: 0, lambda: 0), Nobody())
    bus.event("time_sum", "alarm", "drifting")
    assert bus.alarms == {"time_sum": "drifting"}
    bus.event("time_sum", "info", "back")
    assert bus.alarms == {}
