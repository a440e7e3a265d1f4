"""Learn by how much counts scatter more than Poisson's: ions come in cascades (Fano factor 1 to 2.5)."""

USUAL = 1.3
_LOWEST, _HIGHEST = 1.0, 3.0
_MEMORY = 400.0  # windows
_LEAST_COUNT = 2.0
_FARTHEST = 9.0  # a square this many times the mean one is an event, not scatter


class Dispersion:
    """Variance over mean of the counts, from differences of neighbouring windows, in which the specimen hardly changes."""

    def __init__(self) -> None:
        self.value = USUAL
        self._before: tuple[float, float] | None = None

    def lose_track(self) -> None:
        """The next window has no neighbour."""
        self._before = None

    def observe(self, hits: float, expected: float, wander: float) -> None:
        """Take in a window; `wander` is the variance of the log rate from one window to the next."""
        before, self._before = self._before, (hits, expected)
        if before is None or min(expected, before[1]) < _LEAST_COUNT:
            return
        scale = expected / before[1]
        difference = hits - before[0] * scale
        poisson = expected * (1.0 + scale)
        seen = max(0.0, (difference * difference - wander * expected * expected) / poisson)
        seen = min(seen, _FARTHEST * self.value)
        self.value = min(_HIGHEST, max(_LOWEST, self.value + (seen - self.value) / _MEMORY))
