"""What of an observation can be believed: checked, bounded numbers, or nothing."""

import math
from dataclasses import dataclass, replace

from evapd.control.types import ControlSettings, RateObservation

# A saturated or lossy window counts as at least this multiple of the target.
SATURATED_RATIO = 3.0
# More ions than this in one pulse cannot be counted; larger numbers are garbage.
_MOST_PER_PULSE = 100.0
_MOST_VOLTAGE_V = 1e6
# The background is a mean over so many of its counts: it follows the ions where it is part of them, within these times.
_BACKGROUND_COUNTS = 200.0
_BACKGROUND_SHORTEST_S, _BACKGROUND_LONGEST_S = 0.5, 10.0
_ENOUGH = 6.0  # expected ions from which on their absence tells something


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one window of `dt_s` that ended at `t_s`; `log_v` is ln of the measured V_dc in V.

    `background` is what was counted beside the time-of-flight window, scaled to it; 0 may also mean that nobody counted.
    """

    t_s: float
    dt_s: float
    pulses: float
    hits: float
    background: float
    log_v: float
    saturated: bool

    def fall_short_of(self, ions: float) -> bool:
        """Whether less than half of so many expected ions came, where those were enough to tell."""
        return ions > _ENOUGH and self.hits - self.background < 0.5 * ions

    @property
    def middle_s(self) -> float:
        """Middle of the window."""
        return self.t_s - 0.5 * self.dt_s


def usable(observation: RateObservation | None, settings: ControlSettings) -> Counts | None:
    """Give the counts that may be believed; None when the law must not learn from this observation.

    Missing, invalid, without pulses, with a voltage that cannot be: None. Saturated counts are raised to what they at least mean,
    also where the window says nothing about its pulses.
    """
    if observation is None or not (observation.valid and observation.pulser_ok):
        return None
    v_dc_v, pulses, hits = float(observation.v_dc_v), float(observation.pulses), float(observation.hits)
    if not (math.isfinite(observation.t_s) and math.isfinite(pulses) and 1.0 <= v_dc_v <= _MOST_VOLTAGE_V):
        return None
    saturated = bool(observation.saturated)
    if pulses <= 0.0 and saturated:
        pulses = settings.pulse_rate_hz * settings.tick_s
    if pulses <= 0.0 or not 0.0 <= hits < math.inf:
        return None
    if saturated:
        hits = max(hits, SATURATED_RATIO * settings.target_rate * pulses)
    hits = min(hits, _MOST_PER_PULSE * pulses)
    told = float(observation.background)
    told = told if 0.0 <= told < math.inf else 0.0
    return Counts(
        t_s=float(observation.t_s),
        dt_s=min(pulses / settings.pulse_rate_hz, 10.0 * settings.tick_s),
        pulses=pulses,
        hits=hits,
        background=min(told, hits + 3.0 * math.sqrt(hits) + 10.0),
        log_v=math.log(v_dc_v),
        saturated=saturated,
    )


class Background:
    """Mean of the counts that have nothing to do with pulses, over some seconds: one window of them is mostly chance.

    Until the first of them is told, the configured dark rate stands.
    """

    def __init__(self, settings: ControlSettings) -> None:
        self._per_pulse = settings.dark_rate_hz / settings.pulse_rate_hz
        self._told = False

    def expected(self, counts: Counts) -> Counts:
        """Give the counts with the background that is expected in their window."""
        self._told = self._told or counts.background > 0.0
        if self._told:
            rate_hz = self._per_pulse * counts.pulses / max(counts.dt_s, 1e-6)
            mean_s = _BACKGROUND_COUNTS / max(rate_hz, 1e-6)
            mean_s = min(max(mean_s, _BACKGROUND_SHORTEST_S), _BACKGROUND_LONGEST_S)
            share = -math.expm1(-counts.dt_s / mean_s)
            self._per_pulse += share * (counts.background / counts.pulses - self._per_pulse)
        return replace(counts, background=self._per_pulse * counts.pulses)
