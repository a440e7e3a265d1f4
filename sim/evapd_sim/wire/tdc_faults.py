"""What goes wrong inside a TDC that speaks tdc-stream."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class TdcFaults:
    """Switched while it runs; all off at the start.

    Attributes:
        hung: no DATA frame leaves, heartbeats neither; requests are still answered.
        keeps: what is measured while hung waits in the FIFO, else it is lost.
        heartbeats: frames without words are sent.
        lost_share: share of the words that is dropped.
        told: whether dropped words are counted and flagged.
        full: every frame says SATURATED.
    """

    hung: bool = False
    keeps: bool = True
    heartbeats: bool = True
    lost_share: float = 0.0
    told: bool = True
    full: bool = False
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def kept(self, words: int) -> NDArray[np.bool_] | None:
        """Which of `words` words survive; None = all of them, without a draw."""
        if self.hung and not self.keeps:
            return np.zeros(words, dtype=np.bool_)
        if self.lost_share == 0.0:
            return None
        return self.rng.random(words) >= self.lost_share
