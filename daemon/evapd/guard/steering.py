"""The voltage while pulses are let through: start ramp, then the law, each within the limits that are checked last."""

import math
from collections.abc import Callable

from evapd.control import create
from evapd.control.types import ControlSettings, RateLaw, RateObservation, Setpoint
from evapd.guard.limits import amplitude, slew_ceiling, v_dc_ceiling
from evapd.guard.rates import Window
from evapd.guard.types import GuardSettings, RunSettings

LawMaker = Callable[[str, ControlSettings], RateLaw]
# Below this part of the target the hunting slew is allowed; the law itself changes over at a twentieth.
_HUNTING_BELOW = 0.2
# The start ramp ends early when this part of the target is seen with this many hits.
_STARTED_AT, _STARTED_HITS = 0.2, 20
_CLAMP_HYSTERESIS = 0.01
CUT = 0.9


class Steering:
    """Holds the set points. Every method that is not a start ramp or a law's step can only lower them."""

    def __init__(self, settings: GuardSettings, run: RunSettings, make_law: LawMaker = create) -> None:
        self._settings = settings
        self._make_law = make_law
        self.run = run
        self.law = make_law(run.law, run.control(settings.rig))
        self.proposal: Setpoint | None = None  # the law's newest
        self.v_set_v = 0.0
        self.v_p_set_v: float | None = None
        self.clamped = False
        self._v_tot_v = 0.0  # V_tot as it really stands, with the voltage that was read
        self._followed_v = 0.0  # the set point that V_p follows
        self._target_v = 0.0  # where the start ramp ends
        self._law_begun = False
        self._rising_s: float | None = None  # last time at which the voltage could rise

    def begin(self, v_measured_v: float) -> None:
        """Prepare a run: the ramp will start from the measured voltage."""
        self.v_set_v = max(0.0, min(v_measured_v, self.ceiling_v(None)))
        self._target_v = min(self._settings.rig.control.v_start_v, self.ceiling_v(None))
        self.law = self._make_law(self.run.law, self.run.control(self._settings.rig))
        self.proposal, self._law_begun, self._rising_s = None, False, None
        self.v_p_set_v, self.clamped = None, False
        self.follow_amplitude(self.v_set_v)

    def adopt(self, v_measured_v: float) -> None:
        """Take over a voltage that was found."""
        self.v_set_v = max(0.0, v_measured_v)

    def lower_to(self, v_v: float) -> None:
        """Lower the set point; a higher value changes nothing."""
        self.v_set_v = max(0.0, min(self.v_set_v, v_v))
        self._rising_s = None

    def cut(self) -> None:
        """Lower by a tenth, and do not let the start ramp go beyond that again."""
        self.lower_to(CUT * self.v_set_v)
        self._target_v = min(self._target_v, self.v_set_v)

    def pause(self) -> None:
        """Time passes without a rise; it does not count towards the next one."""
        self._rising_s = None

    def climb(self, now_s: float) -> None:
        """Go on with the start ramp."""
        step_v = self._settings.rig.guard.start_ramp_v_per_s * self._since_rise_s(now_s)
        self.v_set_v = max(self.v_set_v, min(self.v_set_v + step_v, self._target_v, self.ceiling_v(None)))
        self._rising_s = now_s

    def start_reached(self, recent: Window | None) -> bool:
        """Whether the law may take over: at v_start_v, or already evaporating."""
        if self.v_set_v >= self._target_v - 1e-9:
            return True
        if recent is None or not recent.pulses:
            return False
        net = recent.hits - recent.background
        return recent.hits >= _STARTED_HITS and net >= _STARTED_AT * self.run.target_rate * recent.pulses

    def hand_over(self, now_s: float) -> None:
        """Let the law begin at the present voltage, once per run."""
        if not self._law_begun:
            self.law.reset(self.v_set_v, now_s)
            self._law_begun = True
        self._rising_s = now_s

    def follow(
        self,
        observation: RateObservation | None,
        now_s: float,
        recent: Window | None,
        v_p_read_v: float | None,
    ) -> None:
        """Ask the law and take what the limits leave of its proposal."""
        self.proposal = self.law.step(observation, now_s)
        wanted_v = self.proposal.v_dc_v if math.isfinite(self.proposal.v_dc_v) else self.v_set_v
        informed = observation is not None and observation.valid and observation.pulser_ok
        ceiling_v = self.v_set_v
        if informed:
            ceiling_v = slew_ceiling(self.v_set_v, self._since_rise_s(now_s), self._slew(recent))
            self._rising_s = now_s
        self.v_set_v = max(0.0, min(wanted_v, ceiling_v, self.ceiling_v(v_p_read_v)))

    def follow_amplitude(self, v_dc_read_v: float) -> None:
        """Let V_p follow V_dc by the pulse fraction; V_tot rises only because V_dc was asked to rise.

        V_dc falls slowly, so V_tot is reckoned with the voltage that is really there: when V_p shall be a larger
        part of the same V_tot, it waits for V_dc to come down.
        """
        if not self._settings.pulses_voltage:
            return
        fraction = self.run.pulse_fraction
        wanted = amplitude(self.v_set_v, fraction, self._settings)
        v_dc_v = max(v_dc_read_v, self.v_set_v)
        v_p_v = wanted.v_p_v
        if self.v_p_set_v is not None and v_p_v > self.v_p_set_v:
            rise_v = max(0.0, self.v_set_v - max(self._followed_v, v_dc_read_v)) * (1.0 + fraction)
            v_p_v = max(self.v_p_set_v, min(v_p_v, self._v_tot_v + rise_v - v_dc_v))
        self.v_p_set_v, self._v_tot_v, self._followed_v = v_p_v, v_dc_v + v_p_v, self.v_set_v
        self.clamped = wanted.clamped or (self.clamped and self._near_edge(self.v_set_v))

    def change(self, run: RunSettings, now_s: float, recent: Window | None) -> None:
        """Take new settings bumplessly: the voltage stays, or falls where V_tot would rise."""
        before = self.run
        self.run = run
        if run.pulse_fraction > before.pulse_fraction:
            self.lower_to(self.v_set_v * (1.0 + before.pulse_fraction) / (1.0 + run.pulse_fraction))
        if not self._law_begun:
            self.law = self._make_law(run.law, run.control(self._settings.rig))
            return
        self.law = self._make_law(run.law, run.control(self._settings.rig))
        self.law.reset(self.v_set_v, now_s)
        if recent is not None and recent.pulses and recent.hits >= _STARTED_HITS:
            # The law knows a rate only from counts or from a trip; this hands the present rate over without one,
            # so that it does not hunt from silence at a voltage where ions already come.
            self.law.inhibited(now_s, recent.hits / recent.pulses / run.target_rate)
            self.law.resumed(now_s)

    def ceiling_v(self, v_p_read_v: float | None) -> float:
        """Highest V_dc allowed now, also with an amplitude that reads higher than was asked for."""
        by_set_v = v_dc_ceiling(self.run.pulse_fraction, self._settings)
        if v_p_read_v is None or not self._settings.pulses_voltage:
            return by_set_v
        return max(0.0, min(by_set_v, self._settings.rig.specimen.v_tot_max_v - v_p_read_v))

    def _slew(self, recent: Window | None) -> float:
        control = self._settings.rig.control
        if self.run.law == "ramp":
            return control.max_slew_up_hunting
        quiet = recent is not None and recent.hits - recent.background < (
            _HUNTING_BELOW * self.run.target_rate * recent.pulses
        )
        return max(control.max_slew_up_hunting, control.max_slew_up) if quiet else control.max_slew_up

    def _since_rise_s(self, now_s: float) -> float:
        tick_s = self._settings.rig.control.tick_s
        return tick_s if self._rising_s is None else min(now_s - self._rising_s, 3 * tick_s)

    def _near_edge(self, v_dc_v: float) -> bool:
        wanted_v = self.run.pulse_fraction * v_dc_v
        low_v = self._settings.v_p_min_v * (1 + _CLAMP_HYSTERESIS)
        return not low_v <= wanted_v <= self._settings.v_p_max_v * (1 - _CLAMP_HYSTERESIS)
