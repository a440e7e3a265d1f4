"""What evapd's laws are measured against: two laws as laboratories run them, and an estimator that knows the specimen.

The plain laws know neither delay nor flags: what they last saw is the rate, for as long as nothing newer comes.
"""

import math
from collections import deque

from evapd.control import ControlSettings, RateObservation, Setpoint
from support.control_specimen import Specimen


class _Plain:
    """The rate of the last `span_s`, and a set point every `period_s`."""

    span_s, period_s, mode = 0.5, 0.2, "plain"

    def __init__(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._windows: deque[tuple[int, int]] = deque(maxlen=round(self.span_s / settings.tick_s))
        self._v_v = settings.v_min_v
        self._next_s = 0.0

    def reset(self, v_dc_v: float, now_s: float) -> None:
        self._v_v, self._next_s = v_dc_v, now_s + self.span_s
        self._windows.clear()

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        if observation is not None:
            self._windows.append((observation.pulses, observation.hits))
        if now_s >= self._next_s - 1e-9 and self._windows:
            self._next_s += self.period_s
            pulses, hits = (sum(column) for column in zip(*self._windows, strict=True))
            wanted_v = self._v_v + self._change_v(hits / (pulses * self._settings.target_rate))
            # A voltage below v_min is not commanded at all: the old one stays.
            if wanted_v > self._settings.v_min_v:
                self._v_v = min(wanted_v, self._settings.v_max_v)
        return Setpoint(v_dc_v=self._v_v, mode=self.mode)

    def _change_v(self, ratio: float) -> float:
        raise NotImplementedError

    def inhibited(self, now_s: float, ratio: float) -> None:
        """Nobody tells a plain law."""

    def resumed(self, now_s: float) -> None:
        """Nobody tells a plain law."""


class Proportional(_Plain):
    """The law of a published open system: 10 V per step and per relative error, a dead zone of 5 %, up by 40 V at most.

    There the error is in ions per 100 pulses with a target of 1; here it is relative to the target, so that the gain at
    1 % is the published one and the law works at every target. Down is not bounded.
    """

    mode = "proportional"

    def _change_v(self, ratio: float) -> float:
        error = 1.0 - ratio
        return 0.0 if abs(error) <= 0.05 else min(10.0 * error, 40.0)


class Stepper(_Plain):
    """The historical standard: a fixed step when the rate leaves a band of 10 %, four steps down above twice the target."""

    span_s, period_s, mode = 1.0, 0.25, "stepper"

    def _change_v(self, ratio: float) -> float:
        if ratio > 2.0:
            return -20.0
        return -5.0 if ratio > 1.1 else 5.0 if ratio < 0.9 else 0.0


class Oracle:
    """A Kalman filter that knows S, threshold, noise class, over-dispersion, background and supply: the scatter nobody beats.

    State: the noise, and level and slope of the slow drift, which it has to find out. One Poisson update per window, at the
    voltage of the middle of that window; the command makes the modelled supply arrive where the rate predicted for then is the
    target.
    """

    def __init__(self, settings: ControlSettings, specimen: Specimen) -> None:
        self._settings, self._p = settings, specimen
        self._n = self._level = self._slope = 0.0
        # Covariance of noise, level, slope.
        self._c = [[specimen.noise_sd**2, 0.0, 0.0], [0.0, 0.25, 0.0], [0.0, 0.0, 0.005**2]]
        self._v_v = 0.0
        self._then_s = 0.0

    def reset(self, v_dc_v: float, now_s: float) -> None:
        self._v_v, self._then_s = v_dc_v, now_s

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        p, tick_s = self._p, self._settings.tick_s
        if observation is not None:
            self._predict(tick_s)
            if observation.pulser_ok:
                self._update(observation)
        # From the middle of the newest window to the end of the tick that this command governs.
        ahead_s = self._settings.delay_s + 1.5 * tick_s
        log = self._n * math.exp(-ahead_s / p.noise_tau_s) + self._level + self._slope * ahead_s
        wanted_v = p.v_threshold_v * (1.0 - log / p.sensitivity)
        tau_s = p.tau_up_s if wanted_v > self._v_v else p.tau_down_s
        command_v = self._v_v + (wanted_v - self._v_v) / -math.expm1(-tick_s / tau_s)
        self._v_v = wanted_v
        return Setpoint(v_dc_v=command_v, mode="oracle", sensitivity=p.sensitivity)

    def inhibited(self, now_s: float, ratio: float) -> None:
        """The oracle is never inhibited."""

    def resumed(self, now_s: float) -> None:
        """The oracle is never inhibited."""

    def _predict(self, dt_s: float) -> None:
        p, c = self._p, self._c
        f = math.exp(-dt_s / p.noise_tau_s)
        self._n *= f
        self._level += self._slope * dt_s
        nn = c[0][0] * f * f + p.noise_sd**2 * (1.0 - f * f)
        nl, ns = f * (c[0][1] + dt_s * c[0][2]), f * c[0][2]
        ll = c[1][1] + 2.0 * dt_s * c[1][2] + dt_s**2 * c[2][2] + p.walk_per_sqrt_s**2 * dt_s
        ls = c[1][2] + dt_s * c[2][2]
        self._c = [[nn, nl, ns], [nl, ll, ls], [ns, ls, c[2][2]]]

    def _update(self, seen: RateObservation) -> None:
        p, c = self._p, self._c
        log = p.sensitivity * (seen.v_dc_v / p.v_threshold_v - 1.0) + self._n + self._level
        signal = self._settings.target_rate * seen.pulses * math.exp(max(-20.0, min(20.0, log)))
        even = (p.dark_hz + p.window_share * p.leakage * p.target_hz) * seen.pulses / p.pulse_hz
        h = [signal * (c[i][0] + c[i][1]) for i in range(3)]  # covariance of the state with the counts
        spread = p.fano * signal + even + signal * (h[0] + h[1])
        change = (seen.hits - signal - even) / spread
        # A burst is nothing that the state could follow: at most four sigma are believed.
        change = max(-4.0 / math.sqrt(spread), min(4.0 / math.sqrt(spread), change))
        self._n += h[0] * change
        self._level += h[1] * change
        self._slope += h[2] * change
        self._c = [[c[i][j] - h[i] * h[j] / spread for j in range(3)] for i in range(3)]
