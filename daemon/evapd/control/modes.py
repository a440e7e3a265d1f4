"""Several models of how a specimen's log rate wanders, run side by side and weighed by what they predict (interacting multiple models).

State of each model: (level, ripple, slope). The log rate at the present voltage is level + ripple; the level wanders and drifts with the
slope, the ripple forgets itself with a time constant (poles and terraces), the slope too. Only the process noise differs from model to model:

- quiet: the level wanders so little that counting noise hardly moves the voltage; blunting is its slope.
- slow, middle, quick: ripples of ever larger bandwidth; what lies between is a mixture of two.
- drift: a slope that may change by the second: a layer is coming up.
- jump: the level may be anywhere near, for one window.
- burst: a window of correlated evaporation that says nothing. It cannot last: after two windows in a row what looks like a burst is a change.

Method: Blom and Bar-Shalom, IEEE Trans. Autom. Control 33 (1988) 780; the observation is that of `poisson.py`.
"""

import math
from dataclasses import dataclass

import numpy as np

from evapd.control.poisson import Array, Window, assimilate

QUIET, SLOW, MIDDLE, QUICK, DRIFT, JUMP, BURST = range(7)
_COUNT = 7
# Standard deviation and time constant (s) of the ripple in each model.
_RIPPLE_SD = np.array([0.0, 0.03, 0.10, 0.25, 0.05, 0.05, 0.05])
_RIPPLE_S = np.array([1.0, 10.0, 2.0, 1.0, 1.0, 1.0, 1.0])
# Variance per second of the level, and of the slope (1/s^2 per s); the slope forgets itself with this time constant (s).
_LEVEL = np.array([0.0, 2e-6, 2e-6, 2e-6, 1e-3, 1e-3, 1e-3])
_SLOPE = np.array([1e-11, 1e-10, 1e-9, 1e-9, 1.0, 1e-2, 1e-2])
_SLOPE_S = np.array([3000.0, 300.0, 300.0, 300.0, 3.0, 3.0, 3.0])
# Slopes to begin with at 2000 counts/s (1/s): apexes blunt with their ions.
_SLOPE_SD = np.array([2e-3, 1e-3, 1e-3, 1e-3])
_JUMP_VARIANCE = 1.5**2
_BURST_VARIANCE = 2.0**2
# Changes per second from any lasting model: to another lasting one, to drift, to jump, to burst.
_TO_OTHER, _TO_DRIFT, _TO_JUMP, _TO_BURST = 0.003, 0.02, 0.005, 0.05
_FROM_DRIFT = 0.5
_ENTRY = 0.25  # variance of a slope that begins (1/s^2)
_BURST_WINDOWS = 2
_LASTING = 4
_PLENTY_HZ = 2000.0
_SHARPNESS = 2.0
_WARINESS = 0.6
_DANGER = 0.04
_LEAST_S = 1e-3  # in no time at all nothing could become a jump, and its share would be 0/0
_TRICKLE = 0.25
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is expected after a while at the same voltage."""

    log_rate: float
    sd: float


class ModeBank:
    """The models, their states (7 x 3), covariances (7 x 3 x 3) and weights (7)."""

    def __init__(self, counts_hz: float) -> None:
        self._level = _LEVEL.copy()
        self.expect(counts_hz)
        self._bursts = 0
        self.gain = 0.0  # share of a surprise that went into the log rate
        self.reseed(0.0, 4.0)

    def let_quiet_wander(self, level_per_s: float) -> None:
        """Set the variance per second of the quiet model's level."""
        self._level[QUIET] = level_per_s

    def expect(self, counts_hz: float) -> None:
        """Set the rate of counts: the fewer there are, the more it takes to believe in a ripple, since following it costs more noise."""
        self._ease = min(1.0, counts_hz / _PLENTY_HZ)
        self._blunting = counts_hz / _PLENTY_HZ

    def reseed(self, log_rate: float, variance: float) -> None:
        """Forget everything: the log rate is this, with this variance."""
        self._log_rate: float | None = None
        self.state = np.zeros((_COUNT, 3))
        self.state[:, 0] = log_rate
        self.covariance = np.zeros((_COUNT, 3, 3))
        self.covariance[:, 0, 0] = variance
        self.covariance[:, 1, 1] = _RIPPLE_SD**2
        self.covariance[:, 2, 2] = [*(_SLOPE_SD * self._blunting) ** 2, 0.25, 0.25, 0.25]
        rippled = self._ease * np.array([0.2, 0.1, 0.05])
        self.weights = np.array([0.9 - rippled.sum(), *rippled, 0.1, 0.0, 0.0])
        self._lasting = self.weights[:_LASTING] / self.weights[:_LASTING].sum()
        self._bursts = 0

    @property
    def wander_per_s(self) -> float:
        """Variance per second by which the log rate is taken to wander at present."""
        return float(self.weights @ (self._level + 2.0 * _RIPPLE_SD**2 / _RIPPLE_S))

    @property
    def disturbed(self) -> float:
        """Weight of drift, jump and burst together, 0 to 1."""
        return float(self.weights[_LASTING:].sum())

    def sound(self) -> bool:
        """Whether what is told is a number."""
        # What is no number in a covariance is none in its state one window later.
        return math.isfinite(self.log_rate())

    def log_rate(self) -> float:
        """Log rate now, at the voltage of the newest window."""
        if self._log_rate is None:
            self._log_rate = float(self.weights @ (self.state[:, 0] + self.state[:, 1]))
        return self._log_rate

    def predict(self, dt_s: float, shift: float, shift_variance: float, extra_per_s: float) -> None:
        """Let time pass while the voltage changes the log rate by `shift`, known with that variance."""
        self._log_rate = None
        self._mix(max(dt_s, _LEAST_S))
        keep_n, keep_s = np.exp(-dt_s / _RIPPLE_S), np.exp(-dt_s / _SLOPE_S)
        state, cov = self.state, self.covariance
        state[:, 0] += dt_s * state[:, 2] + shift
        state[:, 1] *= keep_n
        state[:, 2] *= keep_s
        cov[:, 0, :] += dt_s * cov[:, 2, :]
        cov[:, :, 0] += dt_s * cov[:, :, 2]
        cov[:, 1, :] *= keep_n[:, None]
        cov[:, :, 1] *= keep_n[:, None]
        cov[:, 2, :] *= keep_s[:, None]
        cov[:, :, 2] *= keep_s[:, None]
        cov[:, 0, 0] += (self._level + extra_per_s) * dt_s + shift_variance
        cov[:, 1, 1] += _RIPPLE_SD**2 * (1.0 - keep_n**2)
        cov[:, 2, 2] += _SLOPE * dt_s
        cov[JUMP, 0, 0] += _JUMP_VARIANCE

    def steeper(self, factor: float) -> None:
        """S is now taken for so many times what it was: what the quiet model holds for drift, a moving voltage cancelled, and it is as much larger."""
        self.state[QUIET, 2] *= factor
        self.covariance[QUIET, 2, :] *= factor
        self.covariance[QUIET, :, 2] *= factor

    def update(self, window: Window) -> None:
        """Take in the counts of one window."""
        self._log_rate = None
        state, cov = self.state, self.covariance
        prior = state[:, 0] + state[:, 1]
        gain = cov[:, :, 0] + cov[:, :, 1]
        variance = np.maximum(gain[:, 0] + gain[:, 1], _FLOOR)
        looked_at = variance.copy()
        looked_at[BURST] += _BURST_VARIANCE
        after, left, evidence = assimilate(prior, looked_at, window)
        if after[BURST] < prior[BURST]:
            evidence[BURST] -= 10.0  # ions come in bursts, they do not stay away in bursts
        after[BURST], left[BURST] = prior[BURST], variance[BURST]
        self.gain = float(self.weights @ (1.0 - left / variance))
        state += gain * ((after - prior) / variance)[:, None]
        cov -= gain[:, :, None] * gain[:, None, :] * ((variance - left) / variance**2)[:, None, None]
        weights = self.weights * np.exp(np.maximum(evidence - evidence.max(), -200.0))
        weights = np.maximum(weights / weights.sum(), 1e-6)
        self.weights = weights / weights.sum()
        self._bursts = self._bursts + 1 if self.weights[BURST] > 0.5 else 0
        lasting = self.weights[:_LASTING].sum()
        if lasting > 0.5:
            self._lasting = self.weights[:_LASTING] / lasting

    def ahead(self, after_s: float, climbing_s: float = 0.0) -> Ahead:
        """Expect the log rate after so many seconds at the voltage of the newest window; a climbing rate so much further on."""
        keep_n = np.exp(-after_s / _RIPPLE_S)
        slope = self.state[:, 2]
        each = (
            self.state[:, 0]
            + self.state[:, 1] * keep_n
            + slope * after_s
            + np.maximum(slope, 0.0) * climbing_s
        )
        # What is steered by is sharper than the weights: a model that hardly counts shall not rustle. Danger is heard at once.
        voice = self.weights**_SHARPNESS
        voice /= voice.sum()
        mean = float(voice @ each)
        wary = self.weights**_WARINESS
        wary /= wary.sum()
        feared = float(wary @ each)
        if feared > mean + _DANGER / self._ease**0.5:
            mean, voice = feared, wary
        now = self.covariance[:, 0, 0] + 2.0 * self.covariance[:, 0, 1] + self.covariance[:, 1, 1]
        spread = float(voice @ (now + (each - mean) ** 2))
        return Ahead(mean, max(spread, 0.0) ** 0.5)

    def _mix(self, dt_s: float) -> None:
        change = self._transitions(dt_s)
        prior = self.weights @ change
        share = (
            change * self.weights[:, None] / prior[None, :]
        )  # of what each model begins with, where it comes from
        # A trickle from quicker models would keep the slow ones from settling: below a share they run by themselves.
        quiet = share[:, :_LASTING]
        quiet[quiet < np.minimum(_TRICKLE, quiet.max(axis=0))] = 0.0  # the largest share always stays
        quiet /= quiet.sum(axis=0)
        mean = self.weights @ self.state
        off = self.state - mean
        second = self.covariance + off[:, :, None] * off[:, None, :]
        mixed = share.T @ off
        self.covariance = (share.T @ second.reshape(_COUNT, 9)).reshape(_COUNT, 3, 3) - (
            mixed[:, :, None] * mixed[:, None, :]
        )
        # What has just begun to drift may do so with any slope; few counts cannot tell which.
        self.covariance[DRIFT, 2, 2] += _ENTRY * self._ease * share[:_LASTING, DRIFT].sum()
        self.state = mixed + mean
        self.weights = prior

    def _transitions(self, dt_s: float) -> Array:
        change = np.zeros((_COUNT, _COUNT))
        other, drift, jump = _TO_OTHER * dt_s, _TO_DRIFT * self._ease**0.5 * dt_s, _TO_JUMP * dt_s
        burst = _TO_BURST * dt_s
        change[:_LASTING, :_LASTING] = other / (_LASTING - 1)
        change[QUIET, :_LASTING] *= self._ease
        change[:, DRIFT], change[:, JUMP], change[:, BURST] = drift, jump, burst
        change[DRIFT, :_LASTING] = self._lasting * (-np.expm1(-_FROM_DRIFT * dt_s))
        change[JUMP, :_LASTING] = 0.6 * self._lasting
        change[BURST, :_LASTING] = 0.7 * self._lasting
        change[JUMP, DRIFT] = 0.4
        if self._bursts >= _BURST_WINDOWS:
            change[:, BURST] = 1e-12
            change[BURST, JUMP] = 0.3
        else:
            change[BURST, BURST] = 0.3
        for mode in (QUIET, SLOW, MIDDLE, QUICK, DRIFT):
            change[mode, mode] = 0.0
            change[mode, mode] = max(0.0, 1.0 - change[mode].sum())  # after a long gap nothing may be left
        change /= change.sum(axis=1, keepdims=True)
        return change
