"""From blocks of words, or of hits matched in hardware, to frames, on one thread: match, count, journal first, then publish.

Every block is matched and counted as it comes, so that the guard hears of it within milliseconds; frames are cut every
10 000 hits or 50 ms, so that a subscriber is not flooded with small ones.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from evapd.acquire.counts import Counter
from evapd.acquire.readout import Readout
from evapd.blocks import HitBlock, TdcBlock, join_hits, join_words, split
from evapd.stream.frame import Frame, Framer

_log = logging.getLogger(__name__)
FLUSH_HITS = 10_000
FLUSH_WORDS = 200_000
FLUSH_S = 0.05
FRAME_HITS, FRAME_WORDS = (
    14_000,
    19_000,
)  # so that a frame fits into what queues count on, LARGEST_FRAME_BYTES
_WAIT_S = 0.01
HARDWARE = "hardware"  # calibration of hits that no matcher of ours has made


class Matching(Protocol):
    """What the pipeline needs of a matcher."""

    def match(self, block: TdcBlock) -> HitBlock:
        """Match a block."""
        ...

    def flush(self) -> HitBlock:
        """Match the pulse that was carried over."""
        ...


class Sink(Protocol):
    """Where frames go: journal, then stream."""

    def emit(self, frame: Frame) -> None:
        """Take a frame; never blocks."""
        ...


class Pipeline:
    """Takes blocks from the readout while a run is under way.

    `look` is shown every block of words, `tap` every block of hits, after it was put aside for the record; they must return at
    once and never raise. Where the source delivers hits there is no matcher, and there are no words to look at.
    """

    def __init__(
        self,
        readout: Readout,
        matcher: Matching | None,
        counter: Counter,
        framer: Framer,
        sink: Sink,
        *,
        words: bool,
        look: Callable[[TdcBlock], None] | None = None,
        tap: Callable[[HitBlock], None] | None = None,
    ) -> None:
        self._look, self._tap = look, tap
        self._readout, self._matcher, self._counter = readout, matcher, counter
        self._framer, self._sink, self._record_words = framer, sink, words
        self._words: list[TdcBlock] = []
        self._hits: list[HitBlock] = []
        self._pending_hits = self._pending_words = 0
        self._flushed_s = time.monotonic()
        self._draining = threading.Event()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)

    def start(self) -> None:
        """Begin to take blocks; the source is armed after this."""
        self._thread.start()

    def drain(self, timeout_s: float) -> bool:
        """Take what is left in the queue, flush, and end; False when that was not done in time."""
        self._draining.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                block = self._readout.take(_WAIT_S)
                if block is not None:
                    self._take_in(*self._matched(block))
                elif self._draining.is_set():
                    break
                self._flush_when_due()
            if self._matcher is not None:
                self._take_in(None, self._matcher.flush())
            self._flush()
        except Exception as error:  # noqa: BLE001 - whatever it was, it must be seen and the run closed
            # The conductor sees the error and closes the run; a dead pipeline must not look like a silent specimen.
            _log.exception("the pipeline has failed")
            self.error = error

    def _matched(self, block: TdcBlock | HitBlock) -> tuple[TdcBlock | None, HitBlock]:
        if isinstance(block, HitBlock):
            return None, replace(block, calibration=block.calibration or HARDWARE)
        if self._matcher is None:
            raise TypeError("a source of hits has delivered words")
        return block, self._matcher.match(block)

    def _take_in(self, words: TdcBlock | None, hits: HitBlock) -> None:
        self._counter.add(words, hits)
        if words is not None and self._record_words:
            self._words.append(words)
            self._pending_words += words.n
        self._hits.append(hits)
        self._pending_hits += hits.n
        if words is not None and self._look is not None:
            self._look(words)
        if self._tap is not None:
            self._tap(hits)

    def _flush_when_due(self) -> None:
        due = time.monotonic() - self._flushed_s >= FLUSH_S
        if due or self._pending_hits >= FLUSH_HITS or self._pending_words >= FLUSH_WORDS:
            self._flush()

    def _flush(self) -> None:
        self._flushed_s = time.monotonic()
        if self._words:
            words = join_words(self._words)
            if words.n or words.loss:
                for part in split(words, FRAME_WORDS):
                    self._sink.emit(self._framer.words(part))
        if self._hits:
            for portion in split(join_hits(self._hits), FRAME_HITS):
                self._sink.emit(self._framer.hits(portion))
        self._words.clear()
        self._hits.clear()
        self._pending_hits = self._pending_words = 0
