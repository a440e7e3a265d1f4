"""The pipeline between readout and frames."""

import time
from dataclasses import dataclass, field

import pytest

from evapd.acquire.counts import Counter
from evapd.acquire.pipeline import Pipeline
from evapd.acquire.time_sums import TimeSumWatch
from evapd.blocks import HitBlock, TdcBlock
from evapd.config.model import Instrument, Matching, TimeSums
from evapd.stream.frame import Frame, Framer, decode
from support.anodes import quad
from support.blocks import hits, words
from support.wait import wait_for


@dataclass
class Queue:
    """A readout that has its blocks already."""

    blocks: list[TdcBlock]

    def take(self, timeout_s: float) -> TdcBlock | None:
        del timeout_s
        return self.blocks.pop(0) if self.blocks else None


class OneHitPerWord:
    """A matcher that makes a hit of every word and holds back the last pulse."""

    def __init__(self) -> None:
        self.next_pulse = 0

    def match(self, block: TdcBlock) -> HitBlock:
        out = hits(
            self.next_pulse,
            block.last_pulse,
            [(int(p) - self.next_pulse, int(t)) for p, t in zip(block.pulse, block.time, strict=True)],
        )
        self.next_pulse = block.last_pulse + 1
        return out

    def flush(self) -> HitBlock:
        return hits(self.next_pulse, self.next_pulse - 1)


@dataclass
class Collector:
    frames: list[Frame] = field(default_factory=list)

    def emit(self, frame: Frame) -> None:
        self.frames.append(frame)


def run(blocks: list[TdcBlock], *, record_words: bool = True) -> tuple[Collector, Counter, Pipeline]:
    sink, counter = Collector(), Counter(Instrument(flight_path_mm=110))
    framer = Framer("test", lambda: 0, lambda: 0)
    pipeline = Pipeline(Queue(blocks), OneHitPerWord(), counter, framer, sink, words=record_words)  # type: ignore[arg-type]
    pipeline.start()
    assert pipeline.drain(10.0)
    return sink, counter, pipeline


def frames(sink: Collector, topic: str) -> list[HitBlock]:
    return [decode(*map(bytes, f.parts())).hit_block() for f in sink.frames if f.topic == topic]


def test_every_block_is_matched_counted_and_framed_before_the_drain_ends() -> None:
    sink, counter, _ = run([words(k, k + 9, [(k + 3, 0, 60_000)]) for k in range(0, 100, 10)])
    blocks = frames(sink, "hits.")
    assert sum(block.n for block in blocks) == 10
    assert (counter.now.pulses, counter.now.hits) == (100, 10)


def test_hit_frames_cover_all_pulses_without_gap_or_overlap() -> None:
    sink, _, _ = run([words(k, k + 9, [(k + 3, 0, 1)]) for k in range(0, 100, 10)])
    blocks = frames(sink, "hits.")
    firsts, lasts = [b.first_pulse for b in blocks], [b.last_pulse for b in blocks]
    assert firsts == [0, *(last + 1 for last in lasts[:-1])]
    assert lasts[-1] == 99


def test_words_are_recorded_only_where_asked_for() -> None:
    with_words, _, _ = run([words(0, 9, [(3, 0, 1)])])
    without, _, _ = run([words(0, 9, [(3, 0, 1)])], record_words=False)
    assert [f.topic for f in with_words.frames] == ["words.", "hits."]
    assert [f.topic for f in without.frames] == ["hits."]


class Broken(OneHitPerWord):
    def match(self, block: TdcBlock) -> HitBlock:
        raise ZeroDivisionError(block.n)


def test_a_dead_pipeline_says_so() -> None:
    framer = Framer("test", lambda: 0, lambda: 0)
    pipeline = Pipeline(
        Queue([words(0, 9)]),
        Broken(),
        Counter(Instrument(flight_path_mm=110)),
        framer,
        Collector(),
        words=True,  # type: ignore[arg-type]
    )
    pipeline.start()
    wait_for(lambda: pipeline.error is not None, "the error to be noted")
    assert isinstance(pipeline.error, ZeroDivisionError)


def test_a_watch_that_fails_takes_no_words_from_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(block: TdcBlock) -> None:
        raise ZeroDivisionError(block.n)

    sink, counter = Collector(), Counter(Instrument(flight_path_mm=110))
    watch = TimeSumWatch(quad(), TimeSums(), Matching(), lambda *_, **__: None, time.monotonic)
    monkeypatch.setattr(watch._sample, "offer", fails)
    pipeline = Pipeline(
        Queue([words(k, k + 9, [(k + 3, 0, 1)]) for k in range(0, 50, 10)]),  # type: ignore[arg-type]
        OneHitPerWord(),
        counter,
        Framer("test", lambda: 0, lambda: 0),
        sink,
        words=True,
        look=watch.offer,
    )
    pipeline.start()
    assert pipeline.drain(10.0)
    assert pipeline.error is None
    assert counter.now.words == 5
    recorded = [decode(*map(bytes, f.parts())).tdc_block() for f in sink.frames if f.topic == "words."]
    assert sum(block.n for block in recorded) == 5


def test_every_block_of_hits_is_shown_to_live_analysis_as_it_comes() -> None:
    seen: list[HitBlock] = []
    blocks = [words(k, k + 9, [(k + 3, 0, 60_000)]) for k in range(0, 50, 10)]
    pipeline = Pipeline(
        Queue(blocks), OneHitPerWord(), Counter(Instrument(flight_path_mm=110)), Framer("test", lambda: 0, lambda: 0),
        Collector(), words=True, tap=seen.append,
    )  # type: ignore[arg-type]  # fmt: skip
    pipeline.start()
    assert pipeline.drain(10.0)
    assert sum(block.n for block in seen) == 5
