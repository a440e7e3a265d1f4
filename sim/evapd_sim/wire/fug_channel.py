"""One set value of a FuG supply and its ramp: registers S0, S0A, S0R, S0B, S0S, S0H and the same of S1."""

from dataclasses import dataclass

SLOW_START_PER_S = 11.11e-3  # ramp mode 3 below 1 V or 1 A


@dataclass(slots=True)
class SetChannel:
    """A set value and the value in force that follows it; the latter can be set, too (two clients do), and goes on from there.

    Ramp modes: 0 at once, 1 ramp both ways, 2 ramp upwards and fall at once, 3 as 2 with a special slow start,
    4 as 2 and both values forced to 0 while the output is off. One client's documentation has mode 4 ramp both ways: `mode4_down`.
    """

    rated: float
    mode4_down: bool = False
    wanted: float = 0.0  # S0
    actual: float = 0.0  # S0A
    rate_per_s: float = 0.0  # S0R
    mode: int = 0  # S0B
    high_resolution: int = 0  # S0H

    def __post_init__(self) -> None:
        self.rate_per_s = self.rate_per_s or self.rated

    @property
    def ramping(self) -> bool:
        """Whether the value in force is still on its way."""
        return self.actual != self.wanted

    def force(self, value: float) -> None:
        """Put both values to `value` without a ramp."""
        self.wanted = self.actual = value

    def advance(self, dt_s: float, *, output_on: bool) -> None:
        """Let the value in force follow for `dt_s`."""
        if self.mode == 4 and not output_on:
            self.force(0.0)
        upwards = self.wanted > self.actual
        falls_at_once = self.mode in {2, 3} or (self.mode == 4 and not self.mode4_down)
        if self.mode == 0 or (not upwards and falls_at_once):
            self.actual = self.wanted
            return
        if upwards and self.mode == 3 and self.actual < 1.0:
            below = min(1.0, self.wanted)
            slow_s = min(dt_s, (below - self.actual) / SLOW_START_PER_S)
            self.actual = below if slow_s < dt_s else self.actual + SLOW_START_PER_S * slow_s
            dt_s -= slow_s
        step = self.rate_per_s * dt_s
        gap = self.wanted - self.actual
        self.actual = self.wanted if abs(gap) <= step else self.actual + (step if gap > 0 else -step)
