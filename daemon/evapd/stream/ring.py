"""The newest frames in memory, bounded in bytes, for subscribers that missed some."""

import threading
from collections import OrderedDict

from evapd.stream.frame import HITS, WORDS, Frame

BULK = (HITS, WORDS)
HELD_BYTES = 740  # of a frame in memory besides its own: objects for its key, header, payload and array, as tracemalloc counts them


class _Shelf:
    """Frames in the order they came; the oldest leave when the budget is used up."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.nbytes = 0
        self.frames: OrderedDict[tuple[str, int], Frame] = OrderedDict()

    def add(self, seq: int, frame: Frame) -> None:
        self.frames[frame.topic, seq] = frame
        self.nbytes += frame.nbytes + HELD_BYTES
        while self.nbytes > self.budget_bytes:
            _, oldest = self.frames.popitem(last=False)
            self.nbytes -= oldest.nbytes + HELD_BYTES


class Ring:
    """Keeps frames by topic and number; thread-safe.

    The bulk topics `hits.` and `words.` have a budget of their own, so that a second of hits does not push out the
    events of an hour.

    Args:
        bulk_bytes: Budget of `hits.` and `words.` together.
        other_bytes: Budget of all other topics together.
    """

    def __init__(self, bulk_bytes: int, other_bytes: int) -> None:
        self._bulk, self._other = _Shelf(bulk_bytes), _Shelf(other_bytes)
        self._lock = threading.Lock()
        self._newest: dict[str, int] = {}

    def add(self, seq: int, frame: Frame) -> None:
        """Keep a frame; numbers of a topic come once each."""
        with self._lock:
            self._shelf(frame.topic).add(seq, frame)
            self._newest[frame.topic] = seq

    def newest(self, topic: str) -> int:
        """Give the last number that came of a topic, -1 before the first."""
        with self._lock:
            return self._newest.get(topic, -1)

    def get(self, topic: str, seq: int) -> Frame | None:
        """Give a frame, or None when it has left or never came."""
        with self._lock:
            return self._shelf(topic).frames.get((topic, seq))

    @property
    def nbytes(self) -> int:
        """Bytes held, those of the objects around each frame too."""
        with self._lock:
            return self._bulk.nbytes + self._other.nbytes

    def _shelf(self, topic: str) -> _Shelf:
        return self._bulk if topic in BULK else self._other
