"""What of an observation can be believed: checked, bounded numbers, or nothing."""

import math
from dataclasses import dataclass

from evapd.control.types import ControlSettings, RateObservation

# A saturated or lossy window counts as at least this multiple of the target.
SATURATED_RATIO = 3.0
# More ions than this in one pulse cannot be counted; larger numbers are garbage.
_MOST_PER_PULSE = 100.0
_MOST_VOLTAGE_V = 1e6


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one window of `dt_s` that ended at `t_s`; `log_v` is ln of the measured V_dc in V."""

    t_s: float
    dt_s: float
    pulses: float
    hits: float
    background: float
    log_v: float
    saturated: bool

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
    background = float(observation.background)
    if not 0.0 < background < math.inf:
        background = settings.dark_rate_hz * pulses / settings.pulse_rate_hz
    return Counts(
        t_s=float(observation.t_s),
        dt_s=min(pulses / settings.pulse_rate_hz, 10.0 * settings.tick_s),
        pulses=pulses,
        hits=hits,
        background=min(background, hits + 0.5 * background),
        log_v=math.log(v_dc_v),
        saturated=saturated,
    )
