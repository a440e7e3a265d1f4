"""Where live analysis gets its hits: a bounded queue beside the pipeline, which never waits for it."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from evapd.blocks import HitBlock

_log = logging.getLogger(__name__)
ROOM_S = 0.4  # of hits that may wait


class Batch(NamedTuple):
    """What came since the last time."""

    run: str
    began: bool  # the run began since the last time: what was counted belongs to another
    blocks: list[HitBlock]
    detected: int  # hits, also of the blocks that were passed over


class HitTap:
    """Takes whole blocks while there is room, and passes over whole blocks when there is none.

    Whether a block is taken depends on those before it alone, never on what is in it: a block that is larger than the room left is
    taken, and those after it wait until the debt is paid. So what is analysed is a fair sample.
    """

    def __init__(self, hits_per_s: float, clock: Callable[[], float]) -> None:
        self._clock, self._per_s, self._most = clock, hits_per_s, hits_per_s * ROOM_S
        self._lock = threading.Lock()
        self._blocks: deque[HitBlock] = deque()
        self._run, self._began = "", False
        self._detected = 0
        self._room, self._asked_s = self._most, clock()
        self.fault: Exception | None = None

    def begin(self, run: str) -> None:
        """Begin with a run; what waited is forgotten."""
        with self._lock:
            self._blocks.clear()
            self._run, self._began, self._detected = run, True, 0
            self._room, self._asked_s = self._most, self._clock()
            self.fault = None

    def offer(self, block: HitBlock) -> None:
        """Take a block, or pass it over; called for every block by the pipeline's thread, returns at once, never raises."""
        if self.fault is not None:
            return
        try:
            if not block.n:
                return
            now_s = self._clock()
            with self._lock:
                self._detected += block.n
                self._room = min(self._room + (now_s - self._asked_s) * self._per_s, self._most)
                self._asked_s = now_s
                if self._room > 0.0:
                    self._room -= block.n
                    self._blocks.append(block)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the hits must go on to the record
            _log.exception("the hits for live analysis cannot be kept")
            self.fault = error

    def take(self) -> Batch:
        """Give what has come since the last time."""
        with self._lock:
            batch = Batch(self._run, self._began, list(self._blocks), self._detected)
            self._blocks.clear()
            self._began, self._detected = False, 0
        return batch
