"""What the pipeline has counted since arming; one immutable snapshot, replaced as a whole after each block."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evapd.acquire.hotspot import HotSpot
from evapd.acquire.surge import Surge
from evapd.blocks import HitBlock, Loss, TdcBlock
from evapd.config.model import Instrument
from evapd.units import PS_PER_NS

# A damaged word is noise, not a missing ion: it is counted, but does not make the rate a lower bound.
_LOST = Loss.WORDS_LOST | Loss.SEQUENCE_GAP | Loss.OVERFLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Cumulative counts since arming."""

    pulses: int = 0  # pulses whose hits have been matched
    live_pulses: int = 0
    words: int = 0
    hits: int = 0
    hits_window: int = 0  # in the time-of-flight window
    hits_background: int = 0  # in the background window
    hits_early: int = 0  # before the time-of-flight window
    triggers: int = 0  # words of the busiest channel
    map_hits: int = 0  # on the map in the last second; not cumulative
    hot_hits: int = 0  # those of them in its hottest cell
    loss: Loss = Loss.NONE  # everything ever flagged since arming
    lost_blocks: int = 0  # blocks whose counts are a lower bound because words were lost
    saturated_blocks: int = 0  # blocks whose counts are a lower bound because a FIFO was full
    jump_blocks: int = 0  # blocks before which the pulse counter jumped


class Counter:
    """Adds blocks to counts; written by the pipeline's thread, read by any."""

    def __init__(
        self,
        instrument: Instrument,
        clock: Callable[[], float] = time.monotonic,
        on_surge: Callable[[], None] = lambda: None,
    ) -> None:
        self._window_ps = _to_ps(instrument.tof_window_ns)
        self._background_ps = (
            _to_ps(instrument.background_window_ns) if instrument.background_window_ns else None
        )
        self._map, self._surge, self._on_surge = HotSpot(clock), Surge(), on_surge
        self.now = Counts()

    def reset(self) -> None:
        """Begin a run."""
        self._map.clear()
        self.now = Counts()

    def add(self, words: TdcBlock | None, hits: HitBlock) -> None:
        """Take in a block of words, if any, and the hits that came out of the matching."""
        now = self.now
        loss = hits.loss | (words.loss if words is not None else Loss.NONE)
        map_hits, hot_hits = self._map.add(hits)
        self.now = replace(
            now,
            pulses=now.pulses + hits.pulses,
            live_pulses=now.live_pulses + hits.pulses - hits.inhibited_pulses,
            words=now.words + (words.n if words is not None else 0),
            hits=now.hits + hits.n,
            hits_window=now.hits_window + _within(hits, self._window_ps),
            hits_background=now.hits_background
            + (_within(hits, self._background_ps) if self._background_ps else 0),
            hits_early=now.hits_early
            + (int(np.count_nonzero(hits.tof_ps < self._window_ps[0])) if hits.n else 0),
            triggers=now.triggers + (_busiest(words) if words is not None else 0),
            map_hits=map_hits,
            hot_hits=hot_hits,
            loss=now.loss | loss,
            lost_blocks=now.lost_blocks + bool(loss & _LOST),
            saturated_blocks=now.saturated_blocks + bool(loss & Loss.SATURATED),
            jump_blocks=now.jump_blocks + bool(loss & Loss.COUNTER_JUMP),
        )
        if self._surge.seen(hits.n, hits.pulses):
            self._on_surge()


def _to_ps(window_ns: tuple[float, float]) -> tuple[int, int]:
    return round(window_ns[0] * PS_PER_NS), round(window_ns[1] * PS_PER_NS)


def _within(hits: HitBlock, window_ps: tuple[int, int]) -> int:
    if not hits.n:
        return 0
    return int(np.count_nonzero((hits.tof_ps >= window_ps[0]) & (hits.tof_ps < window_ps[1])))


def _busiest(words: TdcBlock) -> int:
    return int(np.bincount(words.channel).max()) if words.n else 0
