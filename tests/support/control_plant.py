"""A mean-field specimen in virtual time, for control laws: S, delay, supply lag, cascades, layer steps."""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from evapd.control import ControlSettings, RateLaw, RateObservation

SUBSTEP_S = 0.01


@dataclass
class Plant:
    """ln(rate) = ln(target) + S ln(V / V_threshold) + disturbance, V behind its command by a lag, counts late by a delay."""

    settings: ControlSettings
    sensitivity: float = 60.0
    v_threshold_v: float = 5000.0
    fano: float = 1.3
    seed: int = 1
    tau_up_s: float = 0.05
    tau_down_s: float = 0.05
    readback_gain: float = 1.0
    noise_sd: float = 0.0
    noise_tau_s: float = 2.0
    drift_per_s: float = 0.0
    field_factor: float = 1.0
    pulses_on: bool = True
    t_s: float = 0.0
    v_v: float = 0.0
    command_v: float = 0.0
    ions: float = 0.0
    excess_ions: float = 0.0
    noise: float = 0.0
    history: list[tuple[float, float, float]] = field(default_factory=list)  # t, rate / target, V

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self._queue: deque[RateObservation] = deque()

    def ratio(self) -> float:
        log = self.sensitivity * math.log(max(self.v_v, 1.0) / (self.v_threshold_v * self.field_factor))
        return min(math.exp(min(log + self.noise - self.drift_per_s * self.t_s, 20.0)), 2000.0)

    def tick(self) -> RateObservation | None:
        """Advance one control tick; give the observation that has just come out of the delay."""
        settings, hits, pulses, v_sum = self.settings, 0, 0, 0.0
        steps = max(1, round(settings.tick_s / SUBSTEP_S))
        dt_s = settings.tick_s / steps
        for _ in range(steps):
            tau_s = self.tau_up_s if self.command_v > self.v_v else self.tau_down_s
            self.v_v += (self.command_v - self.v_v) * -math.expm1(-dt_s / tau_s)
            decay = math.exp(-dt_s / self.noise_tau_s)
            self.noise = (
                self.noise * decay + self.noise_sd * math.sqrt(1 - decay**2) * self.rng.standard_normal()
            )
            ratio = self.ratio() if self.pulses_on else 0.0
            mean = ratio * settings.target_rate * settings.pulse_rate_hz * dt_s
            hits += self._counts(mean) + int(self.rng.poisson(settings.dark_rate_hz * dt_s))
            pulses += round(settings.pulse_rate_hz * dt_s) if self.pulses_on else 0
            self.ions += mean
            self.excess_ions += mean if ratio > 5 else 0.0
            v_sum += self.v_v
            self.t_s += dt_s
            self.on_substep()
        self.history.append((self.t_s, self.ratio(), self.v_v))
        self._queue.append(
            RateObservation(
                t_s=self.t_s,
                pulses=pulses,
                hits=hits,
                v_dc_v=self.readback_gain * v_sum / steps,
                valid=True,
                pulser_ok=self.pulses_on,
                saturated=False,
            )
        )
        if self._queue[0].t_s + settings.delay_s <= self.t_s + 1e-9:
            return self._queue.popleft()
        return None

    def on_substep(self) -> None:
        """Let a scenario change the specimen."""

    def _counts(self, mean: float) -> int:
        # Geometric cascades of mean length (1 + F) / 2 have the Fano factor F.
        cascade = (1.0 + self.fano) / 2.0
        events = self.rng.poisson(mean / cascade)
        return int(events if cascade == 1.0 else self.rng.geometric(1.0 / cascade, size=events).sum())

    def run(self, law: RateLaw, seconds: float) -> None:
        """Close the loop for so many seconds."""
        for _ in range(round(seconds / self.settings.tick_s)):
            observation = self.tick()
            self.command_v = law.step(observation, self.t_s).v_dc_v

    def since(self, t_s: float) -> np.ndarray:
        """Rows of (t, rate / target, V) since a time."""
        rows = np.array(self.history)
        return rows[rows[:, 0] >= t_s]
