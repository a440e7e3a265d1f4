"""The level of the heartbeat output, which an external relay watches: it holds only while the level alternates."""


class Heartbeat:
    """Says at each tick which level the output shall have. Pure: the caller brings the time and writes the level.

    The level changes in `step` and nowhere else, so a loop that stands still leaves it standing, whatever other threads do. It stays where it
    is when beating ends: one more change would keep the relay for its whole time once more. Beating that has ended, because the guard
    said that it is not well or because ticks were missing, does not begin by itself: the relay has dropped out, and closing it again
    would let a supply or pulser come back that nobody looks at. `restart` is for a person's acknowledgement.
    """

    def __init__(self, half_period_s: float = 0.1, longest_gap_s: float = 0.4) -> None:
        """Begin stopped, at the lower level.

        Args:
            half_period_s: time from one change to the next, in s; with ticks of `tick_s` a change may be late by that much.
            longest_gap_s: a longer time between two ticks ends the beating, in s; shorter than the relay's own time.

        Raises:
            ValueError: when a time is not above 0, or the gap is shorter than half a period.
        """
        if not 0.0 < half_period_s <= longest_gap_s:
            raise ValueError(
                f"half period {half_period_s} s, longest gap {longest_gap_s} s: wanted is 0 < half period <= gap"
            )
        self._half_period_s = half_period_s
        self._longest_gap_s = longest_gap_s
        self._tick_s = self._due_s = 0.0  # of the last tick, of the next change
        self.level = False
        self.beating = False
        self.why = "not started"  # why it does not beat, for a person

    def restart(self, now_s: float) -> None:
        """Beat from `now_s` (monotonic, s) on; the first change comes with the next tick."""
        if not self.beating:
            self.beating, self.why = True, ""
            self._tick_s = self._due_s = now_s

    def stop(self, why: str) -> None:
        """End the beating; the level stays."""
        if self.beating:
            self.beating, self.why = False, why

    def step(self, now_s: float, *, healthy: bool) -> bool:
        """Give the level for the output at `now_s` (monotonic, s).

        Args:
            now_s: time of this tick.
            healthy: whether the guard vouches for this tick: its readings are fresh and its decision was carried out.
        """
        gap_s, self._tick_s = now_s - self._tick_s, now_s
        if not 0.0 <= gap_s <= self._longest_gap_s:
            self.stop(f"{gap_s:.3f} s between two ticks")
        elif not healthy:
            self.stop("the guard is not well")
        if self.beating and now_s >= self._due_s:
            self.level = not self.level
            # On the grid, so that ticks just before their time do not slow the beat down; late changes are never made up for.
            self._due_s += self._half_period_s
            if self._due_s <= now_s:
                self._due_s = now_s + self._half_period_s
        return self.level
