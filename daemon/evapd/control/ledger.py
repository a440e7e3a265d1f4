"""Safety net below every model: what was believed is held against what was counted.

Whatever goes wrong in the reckoning (a calibration of the readback, a supply that is slower than configured, a wrong sensitivity), a law that believes
the target and counts something else for seconds is wrong. Each step notes the rate that is expected at the specimen once the set point has arrived;
the counts that come from then on are summed against it over about ten seconds. What is beyond chance is taken back by a slow integral, which
is added to everything that the law expects from then on. What is within chance but does not go away is taken back too, far more slowly and by a few per cent
at most. Nothing is learned far from the target, at the start, while the voltage is in doubt, or without counts.
"""

import math
from collections import deque

from evapd.control.types import ControlSettings

_MEMORY_S = 10.0
_INTEGRAL_S = 5.0
_FADING_S = 200.0
# Standard deviations of the counts (over-dispersion is known to the caller) within which nothing is corrected.
_CHANCE = 2.5
_FARTHEST = 1.0  # log units
_SETTLED = 0.1  # log units from the target within which a law says that it is there
# What is less than that but lasts is a lean of the law (wariness lowers more often than it need): taken back within so many counts.
_LEAN_COUNTS, _LEAN_SHORTEST_S = 2e5, 60.0
_LEAST = 20.0  # counts expected below which nothing is told


class Ledger:
    """Sums of counts expected and seen, and the bias that follows from them."""

    def __init__(self, settings: ControlSettings, *, most_lean: float = 0.0) -> None:
        """Take settings and the lean that may be taken back, log units; 0 for a law that has an integral of its own."""
        self._settings = settings
        self._most_lean = most_lean
        self._beliefs: deque[tuple[float, float]] = deque(
            maxlen=max(16, math.ceil((settings.delay_s + 1.5) / settings.tick_s))
        )
        self.reset()

    def aim(self, settings: ControlSettings) -> None:
        """Another target from now on."""
        self._settings = settings
        self.lose_track()

    def reset(self) -> None:
        """Nothing is known."""
        self._found = self._lean = 0.0
        self.lose_track()

    @property
    def bias(self) -> float:
        """What the law's expectation has to be raised by, log units."""
        return self._found + self._lean

    def lose_track(self) -> None:
        """What was expected says nothing about what comes next; the bias stays."""
        self._beliefs.clear()
        self._seen = self._expected = self._foreign = 0.0

    def relieve(self, by: float) -> None:
        """The reckoning itself has changed what is expected by -`by` log units: what the bias did instead is not needed any more."""
        if self._found * by < 0.0:
            self._found = math.copysign(max(0.0, abs(self._found) - abs(by)), self._found)

    def believe(self, now_s: float, above: float) -> None:
        """Note the log rate relative to target (bias included) that is expected from now on; far from the target it is no promise."""
        while self._beliefs and self._beliefs[-1][0] >= now_s:
            self._beliefs.pop()
        self._beliefs.append((now_s, above - self.bias if abs(above) < _SETTLED else math.nan))

    def count(
        self,
        middle_s: float,
        dt_s: float,
        *,
        hits: float,
        pulses: float,
        background: float,
        dispersion: float,
    ) -> None:
        """Take in a window of counts around `middle_s`; `dispersion` is variance over mean of the counts."""
        believed = self._believed(middle_s - self._settings.hv_tau_up_s - 0.5 * self._settings.tick_s)
        if math.isnan(believed):
            return
        log_rate = math.log(self._settings.target_rate) + believed
        keep = math.exp(-dt_s / _MEMORY_S)
        self._seen = self._seen * keep + hits - background
        self._expected = self._expected * keep + pulses * math.exp(min(log_rate, 3.0))
        self._foreign = self._foreign * keep + background
        self._found *= math.exp(-dt_s / _FADING_S)
        expected = self._expected * math.exp(self.bias)
        if expected < _LEAST:
            return
        # Half of a sum that forgets exponentially is independent counts.
        sd = math.sqrt(0.5 * dispersion * (max(expected, self._seen) + self._foreign)) / expected
        off = math.log(max(self._seen, 0.1 * expected) / expected)
        beyond = math.copysign(max(0.0, abs(off) - _CHANCE * sd), off)
        self._found += beyond * -math.expm1(-dt_s / _INTEGRAL_S)
        self._found = max(-_FARTHEST, min(_FARTHEST, self._found))
        target_hz = self._settings.target_rate * self._settings.pulse_rate_hz
        slow_s = max(_LEAN_SHORTEST_S, _LEAN_COUNTS / target_hz)
        self._lean += off * -math.expm1(-dt_s / slow_s)
        self._lean = max(-self._most_lean, min(self._most_lean, self._lean))

    def _believed(self, at_s: float) -> float:
        for since_s, above in reversed(self._beliefs):
            if since_s <= at_s + 1e-9:
                return above
        return math.nan
