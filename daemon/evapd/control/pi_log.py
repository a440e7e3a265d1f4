"""The simple, auditable law: proportional-integral in log rate and log voltage.

With x = ln(rate) - S_m ln(V) estimated from the counts, the wanted voltage is the one at which x + S_m ln(V) = ln(target).
Because x is referred to the voltage that was really there when the ions flew, delay and slew limits do not wind anything up.
The integral part is a slow trend of x (the apex blunts). Bandwidth follows the counts: the estimate wanders only as much as
keeps counting noise on V near `VOLTAGE_NOISE`, and opens when the counts contradict it by more than chance.
Up is slow and bounded; down is fast.
"""

import math
from collections import deque

from evapd.control.estimate import LogRateEstimate
from evapd.control.types import ControlSettings, RateObservation, Setpoint

# Assumed sensitivity d ln(rate) / d ln(V). Real ones lie between 30 and 250; the loop gain below leaves room for three times this.
SENSITIVITY = 80.0
# Counting noise allowed on V_dc, relative rms: a fifth of the width of a peak at a resolving power of 2000.
VOLTAGE_NOISE = 6e-5
# Product of loop gain and total delay; pi/2 is the limit of stability, and S may be three times S_m.
_LOOP_GAIN_UP = 0.3
_LOOP_GAIN_DOWN = 1.0
_FAR_ABOVE = 0.3  # log units above target from which the fast way down is taken
_HUNTING_BELOW = math.log(0.05)  # log units relative to target
# The readback differs from the set point by calibration; it is learned while the set point stands still.
_STILL = 5e-4  # log units that the set point may have moved within _STILL_S
_STILL_S = 1.0
_MAX_OFFSET = 0.02
_KNOWN_SD = 0.5  # the estimate counts as known when its standard deviation is below this


class PiLog:
    """Law `pi-log`; see the module for the idea. Deterministic, in seconds of virtual time."""

    def __init__(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._log_target = math.log(settings.target_rate)
        self._target_hz = settings.target_rate * settings.pulse_rate_hz
        self._delay_s = settings.delay_s + 1.5 * settings.tick_s + settings.hv_tau_up_s
        # Steady bandwidth g for which counting noise on ln V is VOLTAGE_NOISE: g = 2 R (S eps)^2 / phi.
        self._estimate = LogRateEstimate(x=0.0)
        phi = self._estimate.over_dispersion
        noise = (SENSITIVITY * VOLTAGE_NOISE) ** 2
        self._bandwidth = min(2.0 * self._target_hz * noise / phi, _LOOP_GAIN_UP / self._delay_s)
        self._wander = self._bandwidth**2 * phi / self._target_hz
        self._settled_variance = (
            4.0 * self._bandwidth * phi / self._target_hz
        )  # four times that of the steady estimate
        self._trend = 0.0  # 1/s of x
        self._offset = 0.0  # ln(V measured / V commanded)
        self._commands: deque[float] = deque(maxlen=max(2, round(_STILL_S / settings.tick_s)))
        self._log_v = math.log(max(settings.v_min_v, 1.0))
        self._then_s = 0.0
        self._blind_until_s: float | None = None

    def reset(self, v_dc_v: float, now_s: float) -> None:
        """Begin from a voltage in V: nothing is known of the rate there, half a dark count is assumed."""
        self._log_v = math.log(max(v_dc_v, 1.0))
        self._then_s = now_s
        self._trend = self._offset = 0.0
        self._commands.clear()
        self._blind_until_s = None
        self._seed_silent()

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        """Take in the newest counts and propose the next voltage."""
        dt_s = min(max(now_s - self._then_s, 0.0), 3 * self._settings.tick_s)
        self._then_s = now_s
        blind = self._is_blind(observation, now_s)
        self._commands.append(self._log_v)
        if observation is not None and not blind:
            self._learn_offset(observation.v_dc_v, dt_s)
            self._take_in(observation, dt_s)
        if blind:
            return self._setpoint("frozen")
        error = self._error()
        self._move(error, dt_s)
        return self._setpoint("hunting" if self._hunting() else "track")

    def inhibited(self, now_s: float, ratio: float) -> None:
        """Freeze; the rate was `ratio` times the target at the present voltage."""
        del now_s
        self._blind_until_s = math.inf
        seen = self._log_target + math.log(max(ratio, 1e-3))
        self._estimate.reseed(seen - SENSITIVITY * (self._log_v + self._offset), 0.25)
        self._trend = 0.0

    def resumed(self, now_s: float) -> None:
        """Go on once the counts of the inhibited time have passed through the delay."""
        self._blind_until_s = now_s + self._settings.delay_s + self._settings.tick_s
        self._then_s = now_s

    def _is_blind(self, observation: RateObservation | None, now_s: float) -> bool:
        if self._blind_until_s is not None:
            if now_s < self._blind_until_s:
                return True
            self._blind_until_s = None
        if observation is None:
            return True
        return not (observation.valid and observation.pulser_ok) or (
            observation.pulses <= 0 and not observation.saturated
        )

    def _learn_offset(self, v_dc_v: float, dt_s: float) -> None:
        commands = self._commands
        if len(commands) < (commands.maxlen or 0) or max(commands) - min(commands) > _STILL:
            return
        seen = max(-_MAX_OFFSET, min(_MAX_OFFSET, math.log(max(v_dc_v, 1.0)) - self._log_v))
        self._offset += (seen - self._offset) * -math.expm1(-dt_s / _STILL_S)

    def _take_in(self, observation: RateObservation, dt_s: float) -> None:
        log_v_term = SENSITIVITY * math.log(max(observation.v_dc_v, 1.0))
        hits, pulses = float(observation.hits), max(observation.pulses, 1)
        if observation.saturated:
            # Lost or saturated counts are a lower bound: never read them as less than three times the target.
            hits = max(hits, 3.0 * self._settings.target_rate * pulses)
        background = min(observation.background, hits) if observation.background else self._dark(pulses)
        known = math.sqrt(self._estimate.variance) < _KNOWN_SD
        settled = self._estimate.variance < self._settled_variance
        self._estimate.predict(dt_s, self._wander, self._trend if known else 0.0)
        correction = self._estimate.update(hits, pulses, log_v_term, background)
        if settled and not self._hunting():
            # Only what a settled estimate still has to correct is a trend; a transient is not.
            # Integral part: damping 0.7 with the steady bandwidth; bounded to what a blunting or a layered apex can do.
            small = max(-0.1, min(0.1, correction))
            self._trend = max(-0.2, min(0.2, self._trend + 0.5 * self._bandwidth * small))

    def _dark(self, pulses: int) -> float:
        return self._settings.dark_rate_hz * pulses / self._settings.pulse_rate_hz

    def _seed_silent(self) -> None:
        silent_hz = max(0.5 * self._settings.dark_rate_hz, 0.5)
        log_rate = math.log(min(silent_hz / self._settings.pulse_rate_hz, 0.01 * self._settings.target_rate))
        self._estimate.reseed(log_rate - SENSITIVITY * self._log_v, 4.0)

    def _log_rate(self) -> float:
        """Log rate expected at the voltage that was commanded last."""
        return self._estimate.x + SENSITIVITY * (self._log_v + self._offset)

    def _error(self) -> float:
        ahead = self._trend * self._delay_s
        return self._log_target - self._log_rate() - ahead

    def _hunting(self) -> bool:
        return self._log_rate() - self._log_target < _HUNTING_BELOW

    def _move(self, error: float, dt_s: float) -> None:
        settings = self._settings
        fast_down = error < -_FAR_ABOVE
        gain_per_s = (_LOOP_GAIN_DOWN if fast_down else _LOOP_GAIN_UP) / self._delay_s
        wanted = -math.expm1(-gain_per_s * dt_s) * error / SENSITIVITY
        slew_up = settings.max_slew_up_hunting if self._hunting() else settings.max_slew_up
        change = max(-settings.max_slew_down * dt_s, min(slew_up * dt_s, wanted))
        low, high = math.log(max(settings.v_min_v, 1.0)), math.log(settings.v_max_v)
        # A voltage below v_min_v (the start ramp is still under way) is not lifted by the clamp in one step.
        self._log_v = min(high, max(self._log_v + change, min(low, self._log_v + slew_up * dt_s)))

    def _setpoint(self, mode: str) -> Setpoint:
        return Setpoint(
            v_dc_v=min(math.exp(self._log_v), self._settings.v_max_v),
            sensitivity=SENSITIVITY,
            log_rate=self._log_rate(),
            log_rate_sd=math.sqrt(self._estimate.variance),
            mode=mode,
        )
