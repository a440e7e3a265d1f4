"""Set points of each state."""

from evapd.device.readings import HighVoltageReading, PulseAmplitudeReading, PulserReading
from evapd.guard import checks
from evapd.guard.energy import DOWNWARD, ENERGISED, STEERED, EnergyEvent, EnergyState
from evapd.guard.movement import Movement
from evapd.guard.rules import View
from evapd.guard.types import Decision, GuardSettings, Inputs, supply_of

S, E = EnergyState, EnergyEvent
PREPARE_S = 10.0
_SET_TOLERANCE_V = 5.0  # or a step of the supply, where that is more


class Planner:
    """Says what the instruments shall do in the present state; `whole` ticks may rise, the others may not."""

    def __init__(self, settings: GuardSettings, movement: Movement) -> None:
        self._settings = settings
        self._move = movement
        self._steering = movement.steering
        self._now_s = 0.0

    def plan(self, view: View, *, whole: bool) -> Decision:
        """Plan one step; may move the state on where a phase is complete."""
        decision = self._set_points(view, whole=whole)
        preparing = self._move.preparing
        ready = preparing and not self._against_output(view) and not checks.against_emission(view)
        return self._move.light.plan(
            decision, view.inputs, view.now_s, preparing=preparing, ready=ready, prepared=self._move.prepared
        )

    def _set_points(self, view: View, *, whole: bool) -> Decision:
        self._now_s = view.now_s
        self._move.release_when_over(view.inputs, view.now_s)
        if self._move.state in ENERGISED:
            self._move.settle(view.inputs, view.now_s)
            if whole:
                self._steering.sink(view.now_s)
        if self._move.state in STEERED:
            self._advance(view, whole=whole)
        if self._move.state in STEERED:
            return self._pulsing(view.inputs, whole=whole)
        if self._move.state in ENERGISED:
            return self._standing()
        if self._move.state in DOWNWARD:
            return self._down(view)
        return Decision(state=self._move.state, pulser_enable=False)

    def _against_output(self, view: View) -> list[str]:
        """Say why the output is not switched on, or not known to be; whether it is on otherwise `checks` asks its reading."""
        supply, v_v = view.supply, self._steering.v_set_v
        if supply is None or supply.output_on:
            return []
        if not self._shows(supply, v_v):
            told = "is not known" if supply.v_set_v is None else f"reads {abs(supply.v_set_v):.0f} V"
            return [f"the specimen supply's set point {told} where {v_v:.0f} V was asked for"]
        if supply.output_on is None and not self._move.told_on.done(supply.t_mono_s):
            return ["the specimen supply, which cannot tell its output, has not been switched on"]
        return []

    def _advance(self, view: View, *, whole: bool) -> None:
        if self._move.preparing:
            self._prepare(view)
        elif whole and (self._move.frozen or self._move.settling):
            self._steering.pause()
        elif whole and self._move.state is S.RAMPING:
            self._climb(view)
        elif whole:
            self._steer(view)

    def _prepare(self, view: View) -> None:
        missing = self._against_output(view) + checks.against_pulses(view)
        if not missing:
            self._move.restart_pulses(view.now_s)
        elif view.now_s - self._move.entered_s > PREPARE_S:
            why = "the run did not get under way: " + "; ".join(missing)
            self._move.alarms.say("run", "alarm", why)
            self._move.down(view.inputs, view.now_s, why, quick=False)

    def _climb(self, view: View) -> None:
        pulser = view.inputs.reading("pulser", PulserReading)
        if pulser is None or not pulser.enabled or not self._move.light.shines(view.inputs):
            self._steering.pause()
            return
        if self._move.may_rise:
            self._steering.climb(view.now_s)
        else:
            self._steering.pause()
        if self._steering.start_reached(view.rates.recent(1.0)):
            self._steering.hand_over(view.now_s)
            self._move.move(E.START_REACHED, view.now_s, f"the law begins at {self._steering.v_set_v:.0f} V")

    def _steer(self, view: View) -> None:
        amplitude = view.inputs.reading("pulse", PulseAmplitudeReading)
        observer = self._move.observer
        v_p_v = None if amplitude is None else amplitude.v_p_v
        self._steering.cap_at(None if self._move.may_rise else self._stands_v(view))
        self._steering.follow(observer.observation, view.now_s, observer.rates.recent(1.0), v_p_v)

    def _stands_v(self, view: View) -> float:
        """Where the voltage is for sure: on its way down it may be called back to what it has not left yet, and no higher."""
        there_v = 0.0 if view.supply is None else min(abs(view.supply.v_meas_v), view.model.v_v)
        return max(self._steering.v_set_v, there_v)

    def _pulsing(self, inputs: Inputs, *, whole: bool) -> Decision:
        supply, preparing = supply_of(inputs), self._move.preparing
        if whole and supply is not None:
            self._steering.follow_amplitude(abs(supply.v_meas_v))
        # Switched on only once the instrument itself shows the low set point, and never again in the run.
        on = preparing and supply is not None and self._shows(supply, self._steering.v_set_v)
        if on:
            self._move.told_on.tell(self._now_s)
        return Decision(
            state=self._move.state,
            v_dc_v=self._steering.command_v,
            output=True if on else None,
            v_p_v=self._steering.v_p_set_v,
            pulser_rate_hz=self._steering.run.pulse_rate_hz,
            pulser_enable=self._move.pulsing_since_s is not None,
            pulse_energy_pj=self._steering.energy.set_pj,
        )

    @staticmethod
    def _shows(supply: HighVoltageReading, v_v: float) -> bool:
        if supply.v_set_v is None:  # not known is not low
            return False
        return abs(abs(supply.v_set_v) - v_v) <= max(_SET_TOLERANCE_V, supply.v_step_v)

    def _standing(self) -> Decision:
        self._steering.follow_amplitude(self._steering.v_set_v)
        # While aligning a laser's pulses show where its beam is; a voltage pulse would add to V_tot.
        shining = self._move.state is S.ALIGNING and self._move.pulsing_since_s is not None
        return Decision(
            state=self._move.state,
            v_dc_v=self._steering.command_v,
            v_p_v=None if self._move.adopted else self._steering.v_p_set_v,
            pulser_rate_hz=self._steering.run.pulse_rate_hz if shining else None,
            pulser_enable=shining,
            pulse_energy_pj=self._steering.energy.set_pj if shining else None,
        )

    def _down(self, view: View) -> Decision:
        descent = self._move.descent
        if self._move.state is S.RAMPING_DOWN and descent.verified(view.inputs):
            self._move.landed(view.now_s)
            return Decision(state=self._move.state, pulser_enable=False)
        told = descent.tell(view.inputs, view.now_s)
        if descent.quick:
            self._steering.lower_to(0.0)
            return Decision(state=self._move.state, pulser_enable=False, make_safe=told)
        v_v, down = descent.lower(view.now_s), descent.discharged(view.inputs)
        if down:
            descent.switched_off("specimen", view.inputs, view.now_s)
        self._steering.lower_to(v_v)
        return Decision(
            state=self._move.state,
            v_dc_v=0.0 if down else v_v,
            output=False if down else None,
            pulser_enable=False,
            make_safe=told,
        )
