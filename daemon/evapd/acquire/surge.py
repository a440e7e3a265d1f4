"""Notices a block with far more hits than usual, so that the guard hears of it at once and not with the next record."""

_HITS = 60  # in one block: fewer are chance
_TIMES = 5.0  # the usual rate
_MEMORY_HITS = 400.0


class Surge:
    """Follows the usual number of hits per pulse, over the last few hundred hits."""

    def __init__(self) -> None:
        self._hits = self._pulses = 0.0

    def seen(self, hits: int, pulses: int) -> bool:
        """Take in a block; whether it has five times as many hits per pulse as usual, and at least 60."""
        surging = hits >= _HITS and hits * self._pulses > _TIMES * self._hits * pulses
        self._hits, self._pulses = self._hits + hits, self._pulses + pulses
        if self._hits > _MEMORY_HITS:
            part = _MEMORY_HITS / self._hits
            self._hits, self._pulses = part * self._hits, part * self._pulses
        return surging
