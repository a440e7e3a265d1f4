"""Identify S = d ln(rate) / d ln(V) while the voltage moves, and tell how well it is known.

A bank of candidates from 25 to 300: each predicts what every movement of the voltage does to the log rate, follows the rest with the wander
that the specimen shows, and is weighed by how well it foresaw the counts. On the start-up ramp the voltage moves by the ramp alone and S is
found within a few per cent. Afterwards the natural movement of the voltage re-checks it: the prediction error of the law's own models is held against
what a different S would have predicted (recursive prediction error method, Ljung, System Identification, section 11.4), which stays free of
bias in a closed loop. What the counts cannot tell stays with the prior.
"""

import math

import numpy as np

from evapd.control.poisson import Array, Window, assimilate

LOWEST, HIGHEST = 25.0, 300.0
_CANDIDATES = np.geomspace(LOWEST, HIGHEST, 16)
# Before anything is known: between 30 and 250, rather on the high side, because too high an S only makes a law slow.
_PRIOR = -0.5 * (np.log(_CANDIDATES / 100.0) / 0.6) ** 2
_UNKNOWN_VARIANCE = 4.0
_BELIEVED = 25.0  # counts on the ramp from which on they say more than the prior
_LEAST_WEIGHT = -9.0
_MEMORY_S = 60.0
# A movement tells of S when its effect on the log rate has this part of the variance of a surprise.
_VISIBLE = 0.2
# One window may move S by no more than this part, and S is never better known than this part.
_MOST, _BEST = 0.05, 0.06
_BEST_UNSEEN = 0.3  # where no ramp has shown it
_STEEPER, _ANCHOR_S = 1.3, 60.0


class SensitivityBank:
    """Weights of the candidates for S; `mean`, `sd`."""

    mean: float
    sd: float

    def __init__(self) -> None:
        self._known = self._anchor = 0.0
        self.forget()

    @property
    def tracking(self) -> bool:
        """Whether the ramp is being followed."""
        return self._log_rate is not None

    def forget(self) -> None:
        """Nothing is known of S."""
        self._found = False  # on a ramp
        self._log_weight = _PRIOR - _PRIOR.max()
        self._log_rate: Array | None = None
        self._effect = 0.0  # d(predicted log rate) / dS
        self._summarise()

    def lose_track(self) -> None:
        """The log rate is not known any more (blind, jump, no ions); what was learned of S stays."""
        if self._log_rate is not None and self._counted < _BELIEVED:
            self._log_weight = self._before
        self._log_rate = None
        self._effect = 0.0

    def recheck(self, *, moved: float, dt_s: float, surprise: float, variance: float, gain: float) -> None:
        """Hold the surprise of a window (log units, with its variance) against the movement that led to it.

        `gain` is the share of a surprise that the models take over into the log rate; they forget by it what S did before.
        """
        self._effect += moved
        visible = (self._effect * self.mean) ** 2 > _VISIBLE * variance
        if visible and surprise * surprise < 9.0 * variance:
            told = self._effect * self._effect / variance
            keep = 1.0 - min(dt_s / _MEMORY_S, 0.5) * min(
                1.0, told / (self._known * dt_s / _MEMORY_S + 1e-12)
            )
            self._known = self._known * keep + told
            step = self._effect * surprise / (variance * self._known)
            self.mean += max(-_MOST, min(_MOST, step / self.mean)) * self.mean
            # What reverts by itself looks like a steep S: upwards only as far as others bear it out for a while.
            self._anchor += (self.mean - self._anchor) * min(1.0, dt_s / _ANCHOR_S)
            self._anchor = min(self._anchor, self.mean)
            self.mean = min(HIGHEST, _STEEPER * self._anchor, max(LOWEST, self.mean))
            best = _BEST if self._found else _BEST_UNSEEN
            self._known = min(self._known, 1.0 / (best * self.mean) ** 2)
            self.sd = self._known**-0.5
        self._effect *= 1.0 - gain

    def observe(
        self,
        *,
        moved: float,
        dt_s: float,
        wander_per_s: float,
        log_rate: float,
        window: Window,
    ) -> None:
        """Take in a window; `moved` is the change of ln(V) since the window before, `log_rate` where to begin."""
        if self._log_rate is None:
            # The window that made the rate believable was chosen for its counts: it must not count as evidence.
            self._log_rate = np.full(_CANDIDATES.shape, log_rate)
            self._variance = np.full(_CANDIDATES.shape, _UNKNOWN_VARIANCE)
            self._before, self._counted = self._log_weight.copy(), 0.0
            return
        self._counted += window.hits - window.background
        self._log_rate = self._log_rate + _CANDIDATES * moved
        self._variance = np.minimum(self._variance + wander_per_s * dt_s, _UNKNOWN_VARIANCE)
        self._log_rate, self._variance, evidence = assimilate(self._log_rate, self._variance, window)
        weight = self._log_weight + evidence
        self._log_weight = np.maximum(weight - weight.max(), _LEAST_WEIGHT)
        if self._counted >= _BELIEVED:
            self._found = True
            self._summarise()

    def _summarise(self) -> None:
        weight = np.exp(self._log_weight)
        weight /= weight.sum()
        self.mean = float(weight @ _CANDIDATES)
        self.sd = math.sqrt(float(weight @ (_CANDIDATES - self.mean) ** 2) + (_BEST * self.mean) ** 2)
        self._known = self.sd**-2
        self._anchor = self.mean
