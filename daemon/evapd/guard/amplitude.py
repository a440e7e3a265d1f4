"""The pulse amplitude: V_p follows V_dc by the pulse fraction, and a change of the fraction leaves V_tot where it is.

A law knows one voltage. Once the fraction has changed in a run, it is shown the V_dc at which the former fraction would give the
present V_tot, and its proposals are read in the same way; so it keeps what it knows, and nothing has happened from where it looks.
"""

from dataclasses import replace

from evapd.control.types import RateObservation
from evapd.guard.limits import amplitude, v_dc_of_v_tot
from evapd.guard.types import GuardSettings

_HYSTERESIS = 0.01
_STEP = 0.003  # largest part by which V_dc is to rise in one step of a glide


class Amplitudes:
    """Set point of the pulse amplitude, the fraction that is in force, and the law's scale of voltage."""

    def __init__(self, settings: GuardSettings, fraction: float) -> None:
        self._settings = settings
        self.fraction = self._wanted = fraction
        self.v_p_set_v: float | None = None
        self.clamped = False
        self._scale: float | None = None  # V_tot of one volt of the law; None: the law sees V_dc itself
        self._v_tot_v = 0.0  # V_tot as it really stands, with the voltage that was read
        self._followed_v = 0.0  # the set point that V_p follows

    def begin(self, fraction: float) -> None:
        """Begin a run."""
        self.fraction = self._wanted = fraction
        self.v_p_set_v, self.clamped = None, False
        self.begin_scale()

    def begin_scale(self) -> None:
        """Begin with a law that knows nothing: it sees V_dc itself."""
        self._scale = None

    def change(self, fraction: float, v_set_v: float, *, gliding: bool) -> float:
        """Take another fraction; gives the part of V_dc to go down to at once, so that V_tot does not rise.

        A smaller fraction comes little by little when `gliding`: V_p only falls as V_dc rises.
        """
        self._wanted = fraction
        if self._scale is None and self.v_p_set_v is not None and v_set_v > 0:
            self._scale = (v_set_v + self.v_p_set_v) / v_set_v
        if fraction >= self.fraction or not gliding:
            part = min(1.0, (1.0 + self.fraction) / (1.0 + fraction))
            self.fraction = fraction
            return part
        return 1.0

    def glide(self, rise: float) -> None:
        """Lower the fraction by what a rise of V_dc by this part makes up for."""
        if self.fraction > self._wanted:
            self.fraction = max(self._wanted, (1.0 + self.fraction) / (1.0 + min(rise, _STEP)) - 1.0)

    def as_the_law_sees(self, observation: RateObservation) -> RateObservation:
        """Give the observation at the law's scale of voltage."""
        if self._scale is None or self.v_p_set_v is None:
            return observation
        return replace(observation, v_dc_v=(observation.v_dc_v + self.v_p_set_v) / self._scale)

    def as_law_v(self, v_dc_v: float) -> float:
        """Give a V_dc at the law's scale."""
        if self._scale is None:
            return v_dc_v
        return (v_dc_v + amplitude(v_dc_v, self.fraction, self._settings).v_p_v) / self._scale

    def v_dc_of(self, proposed_v: float) -> float:
        """Give the V_dc of a proposal at the law's scale."""
        if self._scale is None:
            return proposed_v
        return v_dc_of_v_tot(proposed_v * self._scale, self.fraction, self._settings)

    def follow(self, v_set_v: float, v_dc_read_v: float) -> None:
        """Let V_p follow V_dc; V_tot rises only because V_dc was asked to rise.

        V_dc falls slowly, so V_tot is reckoned with the voltage that is really there: when V_p shall be a larger
        part of the same V_tot, it waits for V_dc to come down.
        """
        if not self._settings.pulses_voltage:
            return
        wanted = amplitude(v_set_v, self.fraction, self._settings)
        v_dc_v = max(v_dc_read_v, v_set_v)
        v_p_v = wanted.v_p_v
        if self.v_p_set_v is not None and v_p_v > self.v_p_set_v:
            rise_v = max(0.0, v_set_v - max(self._followed_v, v_dc_read_v)) * (1.0 + self.fraction)
            v_p_v = max(self.v_p_set_v, min(v_p_v, self._v_tot_v + rise_v - v_dc_v))
        self.v_p_set_v, self._v_tot_v, self._followed_v = v_p_v, v_dc_v + v_p_v, v_set_v
        self.clamped = wanted.clamped or (self.clamped and self._near_edge(v_set_v))

    def _near_edge(self, v_dc_v: float) -> bool:
        wanted_v = self.fraction * v_dc_v
        low_v = self._settings.v_p_min_v * (1 + _HYSTERESIS)
        return not low_v <= wanted_v <= self._settings.v_p_max_v * (1 - _HYSTERESIS)
