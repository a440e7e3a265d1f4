"""The simple, auditable law: proportional-integral in log rate and log voltage.

With x = ln(rate) - S_m ln(V) estimated from the counts, the wanted voltage is the one at which x + S_m ln(V) = ln(target).
Because x is referred to the voltage that was there when the ions flew, delay and slew limits do not wind anything up; which voltage
that was is settled in `voltage.py`, so that a readback that steps is not taken for a specimen that changed.
The integral part is a slow trend of x (the apex blunts). Bandwidth follows the counts: the estimate wanders only as much as
keeps counting noise on V near `VOLTAGE_NOISE`, and opens when the counts contradict it by more than chance.
Up is slow and bounded; down is fast.
"""

import math
from dataclasses import replace

from evapd.control.counts import Background, Counts, usable
from evapd.control.estimate import LogRateEstimate
from evapd.control.ledger import Ledger
from evapd.control.limits import Limits
from evapd.control.types import ControlSettings, RateObservation, Setpoint
from evapd.control.voltage import VoltageTrack

# Assumed sensitivity d ln(rate) / d ln(V). Real ones lie between 30 and 250; the loop gain below leaves room for three times this.
SENSITIVITY = 80.0
# Counting noise allowed on V_dc, relative rms: a fifth of the width of a peak at a resolving power of 2000.
VOLTAGE_NOISE = 6e-5
# Product of loop gain and total delay; pi/2 is the limit of stability, and S may be three times S_m.
_LOOP_GAIN_UP = 0.3
_LOOP_GAIN_DOWN = 1.0
_FAR_ABOVE = 0.3  # log units above target from which the fast way down is taken
_HUNTING_BELOW = math.log(0.05)  # log units relative to target
_KNOWN_SD = 0.5  # the estimate counts as known when its standard deviation is below this


class PiLog:
    """Law `pi-log`; see the module for the idea. Deterministic, in seconds of virtual time."""

    def __init__(self, settings: ControlSettings) -> None:
        self._delay_s = settings.delay_s + 1.5 * settings.tick_s + settings.hv_tau_up_s
        self._estimate = LogRateEstimate(x=0.0)
        self._trend = 0.0  # 1/s of x
        self._limits = Limits(settings)
        self._voltage = VoltageTrack(settings)
        self._ledger = Ledger(settings)
        self._background = Background(settings)
        self._aim(settings)
        self._log_v = self._limits.lowest
        self._then_s = 0.0
        self._blind_until_s: float | None = None

    def reset(self, v_dc_v: float, now_s: float) -> None:
        """Begin from a voltage in V: nothing is known of the rate there, half a dark count is assumed."""
        self._log_v = self._limits.start(v_dc_v)
        self._voltage.reset(self._log_v, now_s)
        self._ledger.reset()
        self._background = Background(self._settings)
        self._then_s = now_s
        self._trend = 0.0
        self._blind_until_s = None
        self._seed_silent()

    def confine(self, v_max_v: float) -> None:
        """Do not go above this voltage in V from now on."""
        self._limits.confine(v_max_v)

    def set_ceilings(self, v_max_v: float, energy_max_pj: float | None = None) -> None:
        """Move the upper end of the range of voltage, in V."""
        del energy_max_pj
        self._limits.set_highest(v_max_v)

    def retarget(self, target_rate: float) -> None:
        """Hold another rate from now on, in hits per live pulse; what is known stays, the voltage moves from where it is."""
        self._aim(replace(self._settings, target_rate=target_rate))

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        """Take in the newest counts and propose the next voltage."""
        now_s = now_s if math.isfinite(now_s) else self._then_s
        dt_s = self._limits.seconds(self._then_s, now_s)
        self._then_s = now_s
        self._voltage.advance(now_s)
        counts = None if self._is_blind(now_s) else usable(observation, self._settings)
        if counts is None:
            return self._setpoint("frozen")
        self._take_in(self._background.expected(counts), dt_s, now_s)
        doubtful = self._voltage.doubtful(now_s)
        self._move(self._error(), dt_s, may_rise=not doubtful)
        return self._setpoint("doubtful" if doubtful else "hunting" if self._hunting() else "track")

    def inhibited(self, now_s: float, ratio: float) -> None:
        """Freeze; the rate was `ratio` times the target at the present voltage."""
        del now_s
        self._blind_until_s = math.inf
        seen = self._log_target + math.log(min(max(ratio, 1e-3), 1e6) if ratio > 0.0 else 1e-3)
        self._estimate.reseed(seen - SENSITIVITY * self._log_v, 0.25)
        self._trend = 0.0
        self._ledger.lose_track()

    def resumed(self, now_s: float) -> None:
        """Go on once the counts of the inhibited time have passed through the delay."""
        self._blind_until_s = now_s + self._settings.delay_s + self._settings.tick_s
        self._then_s = now_s
        self._voltage.settle()

    def _aim(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._log_target = math.log(settings.target_rate)
        self._ledger.aim(settings)
        target_hz = settings.target_rate * settings.pulse_rate_hz
        # Steady bandwidth g for which counting noise on ln V is VOLTAGE_NOISE: g = 2 R (S eps)^2 / phi.
        phi = self._estimate.over_dispersion
        noise = (SENSITIVITY * VOLTAGE_NOISE) ** 2
        self._bandwidth = min(2.0 * target_hz * noise / phi, _LOOP_GAIN_UP / self._delay_s)
        self._wander = self._bandwidth**2 * phi / target_hz
        self._settled_variance = (
            4.0 * self._bandwidth * phi / target_hz
        )  # four times that of the steady estimate

    def _is_blind(self, now_s: float) -> bool:
        if self._blind_until_s is not None:
            if now_s < self._blind_until_s:
                return True
            self._blind_until_s = None
        return False

    def _take_in(self, counts: Counts, dt_s: float, now_s: float) -> None:
        log_rate = self._estimate.x + SENSITIVITY * self._voltage.now
        gone = counts.fall_short_of(counts.pulses * math.exp(min(log_rate, 3.0)))
        if (fallen := self._voltage.fallen_to(counts.log_v, now_s, ions_gone=gone)) is not None:
            # Others have lowered the voltage: go on from where it is.
            self._log_v = max(fallen, min(self._limits.lowest, self._log_v))
            self._voltage.follow(self._log_v, now_s)
        log_v = self._voltage.take(counts.log_v, counts.middle_s, now_s)
        # Where the voltage did not move but is only reckoned otherwise, it is x that was wrong, not the rate.
        reckoned = SENSITIVITY * self._voltage.reckoned
        self._estimate.x -= reckoned
        self._ledger.relieve(reckoned)
        known = math.sqrt(self._estimate.variance) < _KNOWN_SD
        settled = self._estimate.variance < self._settled_variance
        self._check(counts, dt_s, now_s)
        self._estimate.predict(dt_s, self._wander, self._trend if known else 0.0)
        correction = self._estimate.update(counts.hits, counts.pulses, SENSITIVITY * log_v, counts.background)
        if settled and not self._hunting():
            # Only what a settled estimate still has to correct is a trend; a transient is not.
            # Integral part: damping 0.7 with the steady bandwidth; bounded to what a blunting or a layered apex can do.
            small = max(-0.1, min(0.1, correction))
            self._trend = max(-0.2, min(0.2, self._trend + 0.5 * self._bandwidth * small))

    def _check(self, counts: Counts, dt_s: float, now_s: float) -> None:
        if self._hunting() or self._voltage.doubtful(now_s):
            self._ledger.lose_track()
            return
        self._ledger.count(
            counts.middle_s,
            dt_s,
            hits=counts.hits,
            pulses=counts.pulses,
            background=counts.background,
            dispersion=self._estimate.over_dispersion,
        )

    def _seed_silent(self) -> None:
        silent_hz = max(0.5 * self._settings.dark_rate_hz, 0.5)
        log_rate = math.log(min(silent_hz / self._settings.pulse_rate_hz, 0.01 * self._settings.target_rate))
        self._estimate.reseed(log_rate - SENSITIVITY * self._log_v, 4.0)

    def _log_rate(self) -> float:
        """Log rate expected at the voltage that was commanded last."""
        return self._estimate.x + SENSITIVITY * self._log_v + self._ledger.bias

    def _error(self) -> float:
        ahead = self._trend * self._delay_s
        return self._log_target - self._log_rate() - ahead

    def _hunting(self) -> bool:
        return self._log_rate() - self._log_target < _HUNTING_BELOW

    def _move(self, error: float, dt_s: float, *, may_rise: bool) -> None:
        settings = self._settings
        gain_per_s = (_LOOP_GAIN_DOWN if error < -_FAR_ABOVE else _LOOP_GAIN_UP) / self._delay_s
        wanted = -math.expm1(-gain_per_s * dt_s) * error / SENSITIVITY
        slew_up = settings.max_slew_up_hunting if self._hunting() else settings.max_slew_up
        self._log_v = self._limits.move(self._log_v, wanted, dt_s, slew_up if may_rise else 0.0)
        self._voltage.command(self._log_v)

    def _setpoint(self, mode: str) -> Setpoint:
        log_rate = self._log_rate()
        self._ledger.believe(self._then_s, log_rate - self._log_target)
        return Setpoint(
            v_dc_v=self._limits.volts(self._log_v),
            sensitivity=SENSITIVITY,
            log_rate=log_rate,
            log_rate_sd=math.sqrt(self._estimate.variance),
            mode=mode,
        )
