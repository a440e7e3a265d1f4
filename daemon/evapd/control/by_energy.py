"""Pulse energy as actuator of any closed-loop law: the law goes on thinking in volts.

The law is given an equivalent voltage U = V (E / E_0)^(1 / 10), with E_0 the energy at which it began. A change of E by 10 % is then worth as
much as one of V by 1 %, which is about the ratio of the two sensitivities (d ln(rate) / d ln(E) is 2 to 40, d ln(rate) / d ln(V) 30 to 250).
So delay, trust in readings, S to be identified (2.5 to 30 for E) and asymmetric authority need no second copy. What the law asks for is split again:

- `energy`: E takes everything, V stands. At the lowest E the voltage takes over downwards, and stays where it went; at the highest nothing rises.
- `split`: E takes its share of each change and V the rest; at either clamp of E the voltage takes over, both ways.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from evapd.control.types import ControlSettings, RateLaw, RateObservation, Setpoint
from evapd.errors import ConfigError

# Nominal ratio of d ln(rate) / d ln(V) to d ln(rate) / d ln(E).
RATIO = 10.0
_LASER_TAU_S = 0.02  # an attenuator follows within a tick
_ENERGY_SLEW_DOWN = 2.0  # 1/s of U: a twenty-fold lower energy within 0.15 s
_LEAST = 1e-3  # of the highest energy: an energy of 0 has no logarithm
_THERE = 1e-6
_LOWERED = 0.97  # V read below this part of what was asked for ...
_LASTS_S = 0.5  # ... for this long has been lowered by others


class ConfinedLaw(RateLaw, Protocol):
    """A law whose range can move while it runs."""

    def confine(self, v_max_v: float) -> None:
        """Do not go above this voltage in V from now on."""
        ...

    def set_ceilings(self, v_max_v: float, energy_max_pj: float | None = None) -> None:
        """Move the upper end of the range of voltage, in V."""
        ...


class ByEnergy:
    """A closed-loop law that steers the energy of the laser pulse. Deterministic, in seconds of virtual time."""

    def __init__(self, make: Callable[[ControlSettings], ConfinedLaw], settings: ControlSettings) -> None:
        """Take the law to be driven and settings with actuator and energies.

        Raises:
            ConfigError: when an energy is missing or the clamps are no range.
        """
        start_pj, low_pj, high_pj = settings.energy_pj, settings.energy_min_pj, settings.energy_max_pj
        if start_pj is None or low_pj is None or high_pj is None:
            raise ConfigError(
                f"control: actuator '{settings.actuator}' needs energy_pj, energy_min_pj and energy_max_pj"
            )
        if not (0.0 <= low_pj <= high_pj < math.inf and high_pj > 0.0):
            raise ConfigError(f"control: pulse energies from {low_pj:g} to {high_pj:g} pJ are no range")
        low_pj = max(low_pj, _LEAST * high_pj)
        start_pj = min(max(start_pj, low_pj), high_pj)
        self._settings = settings
        self._alone = settings.actuator == "energy"
        self._share = 1.0 if self._alone else min(max(settings.split, 0.0), 1.0)
        # Energies as ln(E / E_0).
        self._start_pj = start_pj
        self._lowest = math.log(low_pj / start_pj)
        self._highest = math.log(high_pj / start_pj)
        self._law = make(self._equivalent(settings))
        self._v_v = settings.v_min_v  # where V stands while E does the work
        self._energy = 0.0
        self._then_s = 0.0
        self._asked: deque[tuple[float, float]] = deque(
            maxlen=max(16, math.ceil((settings.delay_s + 1.5) / settings.tick_s))
        )
        self.reset(settings.v_min_v, 0.0)

    def reset(self, v_dc_v: float, now_s: float) -> None:
        """Begin from a voltage in V and the configured energy."""
        self._v_v = v_dc_v if math.isfinite(v_dc_v) else 0.0
        self._v_v = min(max(self._v_v, 1.0), self._settings.v_max_v)
        self._set_v = self._v_v
        self._short_since_s = math.inf  # since when V stands lower than was asked for
        self._energy, self._then_s = min(0.0, self._highest), now_s
        self._cap_v = math.inf
        self._confine()
        self._law.reset(self._v_v * math.exp(self._energy / RATIO), now_s)

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        """Take in the newest counts and propose the next energy and voltage."""
        if observation is not None:
            observation = self._translated(observation)
        before = self._energy
        proposal = self._law.step(observation, now_s)
        dt_s = min(max(now_s - self._then_s, 0.0), 3.0 * self._settings.tick_s)
        self._then_s = now_s if math.isfinite(now_s) else self._then_s
        if not math.isfinite(dt_s):
            dt_s = 0.0
        u_v = max(proposal.v_dc_v, 1.0)
        change = math.log(u_v / self._v_v)
        most = before + math.log1p(self._settings.max_energy_slew_up * dt_s)
        if observation is None:
            most = before
        self._energy = min(max(RATIO * self._share * change, self._lowest), self._highest, most)
        if math.isfinite(now_s):
            self._asked.append((now_s, self._energy))
        mode = proposal.mode
        if self._alone and self._energy >= self._highest - _THERE and mode in ("track", "hunting"):
            mode = "clamped"
        v_v = u_v * math.exp(-self._energy / RATIO)
        if self._alone:
            # Below the lowest energy only: V goes down, and the energy goes on from there.
            v_v = min(self._v_v, v_v) if self._energy <= self._lowest else self._v_v
            self._lower_to(v_v)
        slew = max(self._settings.max_slew_up, self._settings.max_slew_up_hunting)
        rise = 0.0 if observation is None else slew * dt_s
        self._set_v = min(v_v, self._settings.v_max_v, self._set_v * (1.0 + rise))
        scale = RATIO if self._alone else 1.0
        return replace(
            proposal,
            v_dc_v=self._set_v,
            pulse_energy_pj=self._start_pj * math.exp(self._energy),
            sensitivity=None if proposal.sensitivity is None else proposal.sensitivity / scale,
            mode=mode,
        )

    def inhibited(self, now_s: float, ratio: float) -> None:
        """Pass it on."""
        self._law.inhibited(now_s, ratio)

    def resumed(self, now_s: float) -> None:
        """Pass it on."""
        self._law.resumed(now_s)

    def retarget(self, target_rate: float) -> None:
        """Pass it on."""
        self._law.retarget(target_rate)

    def _equivalent(self, settings: ControlSettings) -> ControlSettings:
        """Settings in equivalent volts."""
        lowest, highest = math.exp(self._lowest / RATIO), math.exp(self._highest / RATIO)
        settings = replace(
            settings,
            v_min_v=max(settings.v_min_v, 1.0) * lowest,
            v_max_v=settings.v_max_v * highest,
        )
        if not self._alone:
            return settings
        slew = settings.max_energy_slew_up / RATIO
        return replace(
            settings,
            max_slew_up=slew,
            max_slew_up_hunting=slew,
            max_slew_down=max(settings.max_slew_down, _ENERGY_SLEW_DOWN),
            hv_tau_up_s=_LASER_TAU_S,
            hv_tau_down_s=_LASER_TAU_S,
        )

    def _translated(self, observation: RateObservation) -> RateObservation:
        energy_pj, v_v = observation.pulse_energy_pj, float(observation.v_dc_v)
        energy = self._energy_at(observation.t_s - 0.5 * self._settings.tick_s)
        if energy_pj is not None and math.isfinite(energy_pj) and energy_pj > 0.0:
            energy = math.log(energy_pj) - math.log(self._start_pj)
            energy = min(max(energy, self._lowest - 1.0), self._highest + 1.0)
        if self._is_lowered(v_v, observation.t_s):
            self._set_v = v_v
            if self._alone:
                self._lower_to(v_v)
        return replace(observation, v_dc_v=v_v * math.exp(energy / RATIO))

    def _energy_at(self, t_s: float) -> float:
        """Energy that was asked for then: what nobody has read back."""
        for since_s, energy in reversed(self._asked):
            if since_s <= t_s:
                return energy
        return self._asked[0][1] if self._asked else self._energy

    def _is_lowered(self, v_v: float, t_s: float) -> bool:
        """Whether the voltage has stood lower than was asked for longer than a supply may be on its way."""
        if not 1.0 <= v_v < _LOWERED * self._set_v:
            self._short_since_s = math.inf
            return False
        self._short_since_s = min(self._short_since_s, t_s)
        return t_s - self._short_since_s >= _LASTS_S

    def _lower_to(self, v_v: float) -> None:
        """Let V stand lower from now on; it never comes back by itself."""
        if v_v < self._v_v:
            self._v_v = max(v_v, 1.0)
            self._confine()

    def confine(self, v_max_v: float) -> None:
        """Do not go above this voltage in V, nor above the energy that stands, from now on; above the range: as configured."""
        self._cap_v = v_max_v if v_max_v < self._settings.v_max_v else math.inf
        self._confine()

    def set_ceilings(self, v_max_v: float, energy_max_pj: float | None = None) -> None:
        """Move the upper ends of the ranges of V in V and, where one is given, of the energy in pJ."""
        self._settings = replace(self._settings, v_max_v=v_max_v)
        if energy_max_pj is not None:
            least_pj = self._start_pj * math.exp(self._lowest)
            self._highest = math.log(max(energy_max_pj, least_pj) / self._start_pj)
        self._law.set_ceilings(v_max_v * math.exp(self._highest / RATIO))
        if self._alone:
            self._lower_to(v_max_v)
        self._confine()

    def _confine(self) -> None:
        highest_v = (self._v_v if self._alone else self._settings.v_max_v) * math.exp(self._highest / RATIO)
        self._law.confine(min(highest_v, self._cap_v * math.exp(self._energy / RATIO)))
