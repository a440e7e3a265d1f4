"""The laser's pulse energy as a set point: within its clamps, down at once, up slowly."""

import math

from evapd.errors import LimitError, StateError
from evapd.guard.types import GuardSettings

_FLOOR_PJ = 0.1  # below this a relative slew would never leave zero


class PulseEnergy:
    """Set point of the pulse energy in pJ; None without a laser.

    A law that proposes an energy steers it; without one it goes to what was asked for.
    """

    def __init__(
        self, settings: GuardSettings, energy_pj: float | None, ceiling_pj: float | None = None
    ) -> None:
        self._settings = settings
        self._asked_pj = energy_pj
        self.set_pj: float | None = None
        self.begin(energy_pj, ceiling_pj)

    def begin(self, energy_pj: float | None, ceiling_pj: float | None = None) -> None:
        """Begin a run at the energy that was asked for, below a person's ceiling: the voltage is still low."""
        self._asked_pj, self._ceiling_pj = energy_pj, ceiling_pj
        laser = self._settings.rig.pulse.mode == "laser"
        self.set_pj = self._below_ceiling(energy_pj) if laser and energy_pj is not None else None

    def check(self, energy_pj: float | None, ceiling_pj: float | None = None) -> None:
        """Refuse an energy that cannot be; raises StateError without a laser, LimitError outside its clamps."""
        if self._settings.rig.pulse.mode != "laser":
            raise StateError("energy_pj is of a laser pulse, and pulse.mode is voltage")
        if energy_pj is not None and self._clamped(energy_pj) != energy_pj:
            pulse = self._settings.rig.pulse
            raise LimitError(
                f"energy_pj is {energy_pj:g}, allowed is {pulse.energy_min_pj or 0:g} to "
                f"{'any' if pulse.energy_max_pj is None else f'{pulse.energy_max_pj:g}'} pJ"
            )
        if energy_pj is not None and ceiling_pj is not None and energy_pj > ceiling_pj:
            raise LimitError(
                f"energy_pj is {energy_pj:g}, allowed is at most energy_ceiling_pj, {ceiling_pj:g} pJ"
            )

    def ask(self, energy_pj: float | None) -> None:
        """Ask for another energy: a lower one at once, a higher one as the slew allows."""
        self._asked_pj = energy_pj
        if self.set_pj is not None and energy_pj is not None:
            self.set_pj = min(self.set_pj, self._below_ceiling(energy_pj))

    def cap(self, ceiling_pj: float | None) -> None:
        """Take another ceiling: down to a lower one at once, up to a higher one as the slew allows."""
        self._ceiling_pj = ceiling_pj
        if self.set_pj is not None and ceiling_pj is not None:
            self.set_pj = min(self.set_pj, ceiling_pj)

    def follow(self, proposed_pj: float | None, dt_s: float) -> None:
        """Take a law's proposal, if there is one; it rises only in a time that counts for a rise."""
        wanted_pj = self._asked_pj if proposed_pj is None else proposed_pj
        if self.set_pj is None or wanted_pj is None or not math.isfinite(wanted_pj):
            return
        slew = self._settings.rig.control.max_energy_slew_up
        highest_pj = self.set_pj + max(self.set_pj, _FLOOR_PJ) * slew * dt_s
        self.set_pj = min(self._below_ceiling(wanted_pj), highest_pj)

    def _below_ceiling(self, energy_pj: float) -> float:
        clamped_pj = self._clamped(energy_pj)
        return clamped_pj if self._ceiling_pj is None else min(clamped_pj, self._ceiling_pj)

    def _clamped(self, energy_pj: float) -> float:
        pulse = self._settings.rig.pulse
        low_pj = pulse.energy_min_pj or 0.0
        high_pj = math.inf if pulse.energy_max_pj is None else pulse.energy_max_pj
        return min(max(energy_pj, low_pj), high_pj)
