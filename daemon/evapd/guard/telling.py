"""What the core says without being asked: segments, a law that failed, a shadow that was switched off, foreign counts."""

from typing import Any

from evapd.guard.energy import STEERED
from evapd.guard.movement import Movement
from evapd.guard.pilot import FALLBACK


class Telling:
    """Compares what is with what was told last."""

    def __init__(self, movement: Movement) -> None:
        self._movement = movement
        self._alarms, self._steering, self._observer = movement.alarms, movement.steering, movement.observer
        self._foreign = 0
        self.run_begins()

    def run_begins(self) -> None:
        """Begin anew with a run."""
        self._clamped = self._easing = False
        self._law = self._steering.run.law
        self._shadow_off = ""

    def settings(self) -> dict[str, Any]:
        """Give what is constant in the present segment."""
        run, control = self._steering.run, self._movement.settings.rig.control
        constant: dict[str, Any] = {
            "law": run.law,
            "target_rate": run.target_rate,
            "pulse_fraction": run.pulse_fraction,
            "pulse_rate_hz": run.pulse_rate_hz,
            "energy_pj": run.energy_pj,
            "v_ceiling_v": run.v_ceiling_v,
            "energy_ceiling_pj": run.energy_ceiling_pj,
            "clamped": self._steering.clamped,
        }
        if self._steering.ease.active:
            constant |= {"resume_target": control.resume_target, "resume_s": control.resume_s}
        return constant

    def segment(self, run_id: str, what: str) -> None:
        """Open a segment of a run."""
        self._law, self._easing = self._steering.run.law, self._steering.ease.active
        if run_id:
            pulse = self._observer.pulse
            self._alarms.say("segment", "info", what, pulse=pulse, settings=self.settings())

    def tell(self, run_id: str) -> None:
        """Say what is new."""
        self._tell_laws(run_id)
        if self._easing and not self._steering.ease.active:
            self.segment(run_id, "the whole target is held again")
        steered = self._movement.state in STEERED and not self._movement.preparing
        if steered and self._steering.clamped is not self._clamped:
            self._clamped = self._steering.clamped
            how = (
                "is at its floor or ceiling, V_tot is limited"
                if self._clamped
                else "follows the fraction again"
            )
            self.segment(run_id, f"the pulse amplitude {how} ({self._steering.v_p_set_v or 0.0:.0f} V)")
        if self._observer.foreign and not self._foreign:
            what = "acquire was started with another configuration; its counts are not believed: restart both"
            self._alarms.say("link", "alarm", what)
        self._foreign = self._observer.foreign

    def _tell_laws(self, run_id: str) -> None:
        pilot = self._steering.pilot
        while pilot.failures:
            self._alarms.say("law", "alarm", f"{pilot.failures.pop(0)}; the voltage stays where it is")
        if self._steering.run.law != self._law:
            self.segment(run_id, f"the law '{self._law}' failed, '{FALLBACK}' steers from here")
        off = pilot.shadow.off if pilot.shadow else ""
        if off and off != self._shadow_off:
            self._alarms.say("law", "warning", f"the shadow law is switched off: {off}")
        self._shadow_off = off
