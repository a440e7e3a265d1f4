"""The voltage while pulses are let through: start ramp, then the law, each within the limits that are checked last."""

import math
from dataclasses import replace

from evapd.control import create
from evapd.control.types import RateLaw, RateObservation, Setpoint
from evapd.errors import StateError
from evapd.guard.amplitude import Amplitudes
from evapd.guard.ceilings import VoltageCeiling
from evapd.guard.drawdown import Drawdown
from evapd.guard.ease import Ease
from evapd.guard.limits import slew_ceiling, v_dc_ceiling
from evapd.guard.pilot import LawMaker, Pilot
from evapd.guard.pulse_energy import PulseEnergy
from evapd.guard.rates import Window
from evapd.guard.types import GuardSettings, RunSettings

# Below this part of the target the hunting slew is allowed; the law itself changes over at a twentieth.
_HUNTING_BELOW = 0.2
# The start ramp ends early when this part of the target is seen with this many hits.
_STARTED_AT, _STARTED_HITS = 0.2, 20
_COMMAND_S = 0.05  # a set point's way to the supply's output
CUT = 0.9
"""What a hold leaves of V_dc."""
RESUME_AT = 0.9
"""Where the ramp after a person's resume ends, as a part of V_dc at which the law worked last."""
_ALIGN_AT = 0.5
_LOWEST_SENSITIVITY = 30.0  # where none is known: the way down is the longest then


class Steering:
    """Holds the set points. Every method that is not a start ramp or a law's step can only lower them.

    `v_set_v` is the voltage that is meant; `command_v` is what the supply is told, lower while it is drawn down.
    """

    def __init__(self, settings: GuardSettings, run: RunSettings, make_law: LawMaker = create) -> None:
        control, guard = settings.rig.control, settings.rig.guard
        self._settings = settings
        self.run = run
        self.pilot = Pilot(make_law, run.law, run.control(settings.rig), control.shadow)
        self.amplitudes = Amplitudes(settings, run.pulse_fraction)
        self.energy = PulseEnergy(settings, run.energy_pj, run.energy_ceiling_pj)
        self.ceiling = VoltageCeiling(settings.rig, run.v_ceiling_v)
        self.ease = Ease(control.resume_target, control.resume_s)
        self.drawdown = Drawdown(guard.hv_tau_down_s, control.tick_s + _COMMAND_S)
        self.v_set_v = 0.0
        self.stood_v = 0.0  # where the law worked last, lowered by every cut; 0 before it began
        self.enough_v = 0.0  # a voltage at which a trip's excess is gone
        self._target_v = 0.0  # where the start ramp ends
        self._law_begun = False
        self._rising_s: float | None = None  # last time at which the voltage could rise
        self._cap_v: float | None = None  # a rule lets nothing rise above this; None: no rule does

    @property
    def law(self) -> RateLaw:
        """The acting law."""
        return self.pilot.law

    @property
    def proposal(self) -> Setpoint | None:
        """The acting law's newest proposal, in the law's own scale of voltage."""
        return self.pilot.proposal

    @property
    def command_v(self) -> float:
        """What the supply is told."""
        return min(self.drawdown.command_v, self.v_set_v) if self.drawdown.active else self.v_set_v

    @property
    def v_p_set_v(self) -> float | None:
        """Set point of the pulse amplitude."""
        return self.amplitudes.v_p_set_v

    @property
    def clamped(self) -> bool:
        """Whether the amplitude is at its floor or ceiling."""
        return self.amplitudes.clamped

    @property
    def target_rate(self) -> float:
        """The target that the law has now: after a resume only a part of the run's."""
        return self.run.target_rate * self.ease.share

    def begin(self, v_measured_v: float) -> None:
        """Prepare a run: the ramp will start from the measured voltage. Where no law can be made nothing changes; raises StateError."""
        self.ceiling.begin(self.run.v_ceiling_v)
        self._engage(self.run, self.run.target_rate)
        self._cap_v = None
        self.drawdown.end()
        self.ease.end()
        self.amplitudes.begin(self.run.pulse_fraction)
        self.energy.begin(self.run.energy_pj, self.run.energy_ceiling_pj)
        self.v_set_v = max(0.0, min(v_measured_v, self.ceiling_v(None)))
        self._target_v = min(self._settings.rig.control.v_start_v, self.ceiling_v(None))
        self.stood_v, self._law_begun, self._rising_s = 0.0, False, None
        self.follow_amplitude(self.v_set_v)

    def adopt(self, v_measured_v: float) -> None:
        """Take over a voltage that was found."""
        self.v_set_v = max(0.0, v_measured_v)

    def lower_to(self, v_v: float) -> None:
        """Lower the set point; a higher value changes nothing."""
        self.v_set_v = max(0.0, min(self.v_set_v, v_v))
        self._rising_s = None

    def descend(self) -> float:
        """End what is under way for a descent; gives the voltage from which it goes down."""
        self.v_set_v = min(self.v_set_v, self.command_v)
        self.drawdown.end()
        return self.v_set_v

    def hold(self, now_s: float, *, begun: bool) -> None:
        """Lower by a tenth, and do not let a start ramp that has `begun` go beyond that again."""
        self._draw_down(CUT * self.v_set_v, now_s)
        if begun:
            self._target_v = min(self._target_v, self.v_set_v)

    def trip(self, now_s: float, ratio: float) -> None:
        """Draw the voltage down after a rate of `ratio` times the run's target, and tell the law."""
        self.pilot.inhibited(now_s, ratio / self.ease.share)
        slope = (self.proposal.sensitivity if self.proposal else None) or _LOWEST_SENSITIVITY
        self.enough_v = self.v_set_v * max(ratio, 1.0) ** (-1.0 / max(slope, _LOWEST_SENSITIVITY))
        self._draw_down((1.0 - self._settings.rig.guard.cut) * self.v_set_v, now_s)
        self._target_v = min(self._target_v, self.v_set_v)
        self.stood_v = min(self.stood_v, self.v_set_v)

    def rest(self, now_s: float) -> None:
        """Lower for a pause: by `pause_drop` of the voltage at which the law worked last."""
        drop = self._settings.rig.control.pause_drop
        self._draw_down((1.0 - drop) * (self.stood_v or self.v_set_v), now_s)

    def cap(self, now_s: float) -> None:
        """Lower for an alignment."""
        cap_v = self._settings.rig.control.align_v_max_v
        self._draw_down(_ALIGN_AT * (self.stood_v or self.v_set_v) if cap_v is None else cap_v, now_s)

    def resume(self, now_s: float) -> None:
        """Set out again after a stop by a person: nine tenths of the voltage, a part of the target."""
        if not self._law_begun:
            return
        goal_v = RESUME_AT * self.stood_v
        self._draw_down(goal_v, now_s)
        self._target_v = min(goal_v, self.ceiling_v(None))
        self.ease.begin()
        self.pilot.retarget(self.target_rate)

    def settle(self, v_read_v: float, age_s: float) -> bool:
        """Go on drawing down by a reading; True when that has ended now."""
        if not self.drawdown.active:
            return False
        arrived_v = self.drawdown.follow(v_read_v, age_s)
        if arrived_v is None:
            return False
        self.lower_to(arrived_v)
        return True

    def enough(self, v_read_v: float) -> bool:
        """Whether the voltage is down by what a trip's rate asks for, if not by all of the cut; then it stays there."""
        if v_read_v > self.enough_v:
            return False
        self.drawdown.end()
        return True

    def pause(self) -> None:
        """Time passes without a rise; it does not count towards the next one."""
        self._rising_s = None

    def climb(self, now_s: float) -> None:
        """Go on with the start ramp."""
        step_v = self._settings.rig.guard.start_ramp_v_per_s * self._since_rise_s(now_s)
        self.v_set_v = max(self.v_set_v, min(self.v_set_v + step_v, self._target_v, self.ceiling_v(None)))
        self._rising_s = now_s

    def start_reached(self, recent: Window | None) -> bool:
        """Whether the law may take over: at the end of the ramp, or already evaporating."""
        if self.v_set_v >= min(self._target_v, self.ceiling_v(None)) - 1e-9:
            return True
        if recent is None or not recent.pulses:
            return False
        net = recent.hits - recent.background
        return recent.hits >= _STARTED_HITS and net >= _STARTED_AT * self.target_rate * recent.pulses

    def hand_over(self, now_s: float) -> None:
        """Let the law begin at the present voltage, once per run."""
        if not self._law_begun:
            self.pilot.begin(self.v_set_v, now_s)
            self.stood_v, self._law_begun = self.v_set_v, True
        self._rising_s = now_s

    def cap_at(self, stands_v: float | None) -> None:
        """Let nothing rise above where the voltage stands, for the next step; lower with every call, until None ends it.

        The law is told, so that it goes on from what really happens and not from what it wished.
        """
        if stands_v is None:
            if self._cap_v is not None:
                self.pilot.confine(math.inf)
            self._cap_v = None
        else:
            self._cap_v = stands_v if self._cap_v is None else min(self._cap_v, stands_v)
            self.pilot.confine(self.amplitudes.as_law_v(self._cap_v))

    def sink(self, now_s: float) -> None:
        """Come down to a ceiling that a person has lowered; the law is told, as of a range of its own."""
        self.ceiling.sink(self.v_set_v, now_s)
        if self.v_set_v > self.ceiling.stands_v:
            self.lower_to(self.ceiling.stands_v)
        self.pilot.set_ceilings(self._law_v_max_v(), self.run.energy_max_pj(self._settings.rig))

    def follow(
        self,
        observation: RateObservation | None,
        now_s: float,
        recent: Window | None,
        v_p_read_v: float | None,
    ) -> None:
        """Ask the law and take what the limits leave of its proposal."""
        informed = observation is not None and observation.valid and observation.pulser_ok
        dt_s = self._since_rise_s(now_s)
        rise_s = dt_s if self._cap_v is None else 0.0  # the time in which something may rise
        if self.ease.advance(rise_s):
            self.pilot.retarget(self.target_rate)
        if informed:
            self.amplitudes.glide(rise_s * self._settings.rig.control.max_slew_up)
        seen = None if observation is None else self.amplitudes.as_the_law_sees(observation)
        proposal = self.pilot.step(seen, now_s, self.v_set_v, self._ratio(recent))
        if proposal is None:
            self._rising_s = None
        else:
            wanted_v = self.amplitudes.v_dc_of(proposal.v_dc_v)
            ceiling_v = self.v_set_v
            if informed:
                ceiling_v = slew_ceiling(self.v_set_v, dt_s, self._slew(recent))
                ceiling_v = ceiling_v if self._cap_v is None else min(ceiling_v, self._cap_v)
                self._rising_s = now_s
            self.v_set_v = max(0.0, min(wanted_v, ceiling_v, self.ceiling_v(v_p_read_v)))
            self.energy.follow(proposal.pulse_energy_pj, rise_s if informed else 0.0)
        self.stood_v = self.v_set_v
        self.pilot.look_on(seen, now_s)
        if self.pilot.name != self.run.law:
            self.run = replace(self.run, law=self.pilot.name)

    def follow_amplitude(self, v_dc_read_v: float) -> None:
        """Let V_p follow V_dc by the pulse fraction."""
        self.amplitudes.follow(self.v_set_v, v_dc_read_v)

    def change(self, run: RunSettings, now_s: float, recent: Window | None) -> None:
        """Take new settings bumplessly: the voltage stays, or falls where V_tot would rise. All of them or none; raises StateError."""
        renewed = (run.law, run.pulse_rate_hz) != (self.run.law, self.run.pulse_rate_hz)
        if renewed:
            self._engage(run, run.target_rate * self.ease.share)
        before, self.run = self.run, run
        if run.pulse_fraction != before.pulse_fraction:
            part = self.amplitudes.change(run.pulse_fraction, self.v_set_v, gliding=self._law_begun)
            self.lower_to(part * self.v_set_v)
            self._target_v, self.stood_v = part * self._target_v, part * self.stood_v
        if run.v_ceiling_v != before.v_ceiling_v:
            self.ceiling.ask(run.v_ceiling_v, self.v_set_v)
        if run.energy_ceiling_pj != before.energy_ceiling_pj:
            self.energy.cap(run.energy_ceiling_pj)
        if run.energy_pj != before.energy_pj:
            self.energy.ask(run.energy_pj)
        if renewed:
            self.amplitudes.begin_scale()
            if self._law_begun:
                self.pilot.take_over(self.v_set_v, now_s, self._ratio(recent))
        elif run.target_rate != before.target_rate:
            self.pilot.retarget(self.target_rate)

    def ceiling_v(self, v_p_read_v: float | None) -> float:
        """Highest V_dc allowed now, also with an amplitude that reads higher than was asked for."""
        by_set_v = min(v_dc_ceiling(self.amplitudes.fraction, self._settings), self.ceiling.stands_v)
        if v_p_read_v is None or not self._settings.pulses_voltage:
            return by_set_v
        return max(0.0, min(by_set_v, self._settings.rig.specimen.v_tot_max_v - v_p_read_v))

    def _engage(self, run: RunSettings, target_rate: float) -> None:
        control = replace(
            run.control(self._settings.rig),
            target_rate=target_rate,
            v_max_v=self._v_max_v(self.ceiling.stands_v),
        )
        try:
            self.pilot.engage(run.law, control)
        except Exception as error:
            # Whatever a law's maker raises: the law that acts goes on, and nothing else may have changed.
            what = f"the law '{run.law}' cannot be made: {type(error).__name__}: {error}; nothing was changed"
            raise StateError(what) from error

    def _law_v_max_v(self) -> float:
        """Highest voltage of the law's range, in its own scale; as configured while no person has lowered it."""
        stands_v = self.ceiling.stands_v
        lowered = stands_v < self._settings.rig.v_dc_highest_v
        return self._v_max_v(self.amplitudes.as_law_v(stands_v) if lowered else stands_v)

    def _v_max_v(self, v_v: float) -> float:
        return min(v_v, self._settings.rig.control.v_max_v)

    def _draw_down(self, goal_v: float, now_s: float) -> None:
        if goal_v < self.v_set_v:
            self.drawdown.begin(self.v_set_v, goal_v, now_s)
            self.lower_to(goal_v)

    def _ratio(self, recent: Window | None) -> float | None:
        """The present rate relative to the law's target, where enough was counted to tell."""
        if recent is None or not recent.pulses or recent.hits < _STARTED_HITS:
            return None
        return recent.hits / recent.pulses / self.target_rate

    def _slew(self, recent: Window | None) -> float:
        control = self._settings.rig.control
        if self.run.law == "ramp":
            return control.max_slew_up_hunting
        quiet = recent is not None and recent.hits - recent.background < (
            _HUNTING_BELOW * self.target_rate * recent.pulses
        )
        return max(control.max_slew_up_hunting, control.max_slew_up) if quiet else control.max_slew_up

    def _since_rise_s(self, now_s: float) -> float:
        tick_s = self._settings.rig.control.tick_s
        return tick_s if self._rising_s is None else min(now_s - self._rising_s, 3 * tick_s)
