"""Laws that do not look at the rate: hold, ramp, monitor."""

import math
from dataclasses import replace

from evapd.control.types import ControlSettings, RateObservation, Setpoint


class _OpenLoop:
    """What the three have in common: a voltage, the time of the last step, and indifference to counts."""

    mode = ""

    def __init__(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._v_v = settings.v_min_v
        self._then_s = 0.0
        self._frozen = False
        self._highest_v = math.inf

    def reset(self, v_dc_v: float, now_s: float) -> None:
        """Begin from a voltage in V."""
        self._v_v, self._then_s, self._frozen = v_dc_v, now_s, False
        self._highest_v = math.inf

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        """Propose the next set point."""
        dt_s = min(max(now_s - self._then_s, 0.0), 3 * self._settings.tick_s)
        self._then_s = now_s
        if not self._frozen:
            self._v_v = min(self._next(self._v_v, dt_s, observation), self._highest_v)
        return Setpoint(v_dc_v=self._v_v, mode=self.mode)

    def confine(self, v_max_v: float) -> None:
        """Do not go above this voltage in V from now on."""
        self._highest_v = v_max_v

    def set_ceilings(self, v_max_v: float, energy_max_pj: float | None = None) -> None:
        """Move the upper end of the range in V; a voltage that is lowered so does not come back by itself."""
        del energy_max_pj
        self._settings = replace(self._settings, v_max_v=v_max_v)
        self._v_v = min(self._v_v, v_max_v)

    def inhibited(self, now_s: float, ratio: float) -> None:
        """Stand still while pulses are stopped."""
        del now_s, ratio
        self._frozen = True

    def resumed(self, now_s: float) -> None:
        """Go on from here."""
        self._then_s, self._frozen = now_s, False

    def retarget(self, target_rate: float) -> None:
        """Take note of nothing: these laws hold no rate."""
        del target_rate

    def _next(self, v_v: float, dt_s: float, observation: RateObservation | None) -> float:
        del dt_s, observation
        return v_v


class Hold(_OpenLoop):
    """Keep the voltage that it was reset to, whatever the rate."""

    mode = "hold"


class Ramp(_OpenLoop):
    """Raise the voltage at a constant slope up to v_max_v; only while the data say that pulses and detector are alive."""

    mode = "ramp"

    def _next(self, v_v: float, dt_s: float, observation: RateObservation | None) -> float:
        settings = self._settings
        blind = (
            observation is None or not observation.valid or not observation.pulser_ok or observation.saturated
        )
        if blind:
            return v_v
        ceiling_v_per_s = settings.max_slew_up_hunting * max(v_v, settings.v_min_v, 1.0)
        slope_v_per_s = min(settings.ramp_v_per_s or ceiling_v_per_s, ceiling_v_per_s)
        return min(settings.v_max_v, v_v + slope_v_per_s * dt_s)


class Monitor(_OpenLoop):
    """Follow what is measured and propose nothing else; the guard commands nothing under this law."""

    mode = "monitor"

    def _next(self, v_v: float, dt_s: float, observation: RateObservation | None) -> float:
        del dt_s
        return v_v if observation is None else observation.v_dc_v
