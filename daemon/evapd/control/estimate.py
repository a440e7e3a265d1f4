"""Poisson-aware estimate of the log rate at known voltage.

The quantity that is tracked is x = ln(rate) - S_m ln(V): to the extent that the assumed sensitivity S_m is right it does not
change when the law moves the voltage, so what is left is the specimen. Counts are Poisson around
pulses * exp(x + S_m ln V) + background, over-dispersed by a factor because ions come in cascades.
"""

import math
from collections import deque
from dataclasses import dataclass, field

# Fano factor of geometric cascades with p = 0.13, a usual share of multiple events.
OVER_DISPERSION = 1.3
# Windows, in observations, over which a departure from the estimate is looked for: long ones serve low counts.
_WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# A departure this many sigma wide happens by chance less than once an hour over all windows.
_DEPARTURE_SIGMA = 4.5
_MAX_VARIANCE = 4.0
_MAX_STEP = 2.0


@dataclass(slots=True)
class LogRateEstimate:
    """Recursive estimate of x with its variance; opens up when the counts contradict it.

    `wander_per_s` is the process noise of x in 1/s: it sets the bandwidth, and so how much counting noise passes.
    """

    x: float
    variance: float = _MAX_VARIANCE
    over_dispersion: float = OVER_DISPERSION
    # Running sums of counts seen and counts expected, newest last, so that a window is one subtraction.
    _sums: deque[tuple[float, float]] = field(
        default_factory=lambda: deque([(0.0, 0.0)], maxlen=_WINDOWS[-1] + 1)
    )

    def predict(self, dt_s: float, wander_per_s: float, drift_per_s: float) -> None:
        """Let time pass: x drifts by a known trend and becomes less certain."""
        self.x += drift_per_s * dt_s
        self.variance = min(_MAX_VARIANCE, self.variance + wander_per_s * dt_s)

    def update(self, hits: float, pulses: float, log_v_term: float, background: float) -> float:
        """Take in the counts of one window; `log_v_term` is S_m ln(V). Gives the correction that was made to x.

        One Gauss-Newton step of the Poisson likelihood with the present estimate as prior; the step is bounded so that
        one window cannot throw the estimate beyond what its counts can say.
        """
        signal = pulses * math.exp(min(50.0, self.x + log_v_term))
        expected = signal + background
        seen, awaited = self._sums[-1]
        self._sums.append((seen + hits, awaited + expected))
        self._open_on_departure()
        # Half a count more keeps the information finite when nothing is expected and something comes.
        information = (
            signal * signal / (self.over_dispersion * (expected + 0.5 * max(0.0, hits - expected) + 1e-12))
        )
        gain = self.variance / (1.0 + self.variance * information)
        score = (hits - expected) * signal / (self.over_dispersion * (expected + 1e-12))
        correction = max(-_MAX_STEP, min(_MAX_STEP, gain * score))
        if hits > expected and signal > 0.0:
            # Never beyond the rate that the counts themselves show.
            shown = math.log(max(hits - background, 0.5) / signal)
            correction = min(correction, max(shown, 0.0))
        self.x += correction
        self.variance = gain
        return correction

    def reseed(self, x: float, variance: float) -> None:
        """Forget the past: the estimate is now `x` with this variance."""
        self.x, self.variance = x, min(_MAX_VARIANCE, variance)
        self._forget()

    def _forget(self) -> None:
        self._sums.clear()
        self._sums.append((0.0, 0.0))

    def _open_on_departure(self) -> None:
        seen, awaited = self._sums[-1]
        for window in _WINDOWS:
            if window >= len(self._sums):
                return
            hits, expected = (
                now - then for now, then in zip((seen, awaited), self._sums[-1 - window], strict=True)
            )
            sigma = math.sqrt(self.over_dispersion * max(expected, 0.25) + 0.5)
            if abs(hits - expected) > _DEPARTURE_SIGMA * sigma:
                ratio = math.log((hits + 0.5) / (expected + 0.5))
                self.variance = min(_MAX_VARIANCE, max(self.variance, ratio * ratio))
                self._forget()
                return
