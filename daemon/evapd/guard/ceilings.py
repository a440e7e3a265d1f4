"""Ceilings that a person puts on V_dc and on the pulse energy, within those of the rig file.

A lower one is always taken, in every state. Where the voltage stands above it, it comes down by the slew at which a law
lowers it (control.max_slew_down); an energy comes down at once. A higher one only permits: whatever rises, rises as before.
"""

from evapd.config.model import Rig
from evapd.errors import LimitError, StateError

_TICKS = 3  # steps farther apart than this do not add up to a larger fall


def check(v_ceiling_v: float, energy_ceiling_pj: float | None, rig: Rig) -> None:
    """Look at ceilings before anything is changed.

    Raises:
        LimitError: when one lies beyond what the rig file allows.
        StateError: when there is no laser for a ceiling of its energy.
    """
    most_v, pulse = rig.v_dc_highest_v, rig.pulse
    if v_ceiling_v > most_v:
        raise LimitError(
            f"v_ceiling_v is {v_ceiling_v:g}, the rig file allows at most {most_v:g} V; nothing was changed"
        )
    if energy_ceiling_pj is None:
        return
    if pulse.mode != "laser":
        raise StateError("energy_ceiling_pj is of a laser pulse, and pulse.mode is voltage")
    least_pj, most_pj = pulse.energy_min_pj or 0.0, pulse.energy_max_pj
    if energy_ceiling_pj < least_pj or (most_pj is not None and energy_ceiling_pj > most_pj):
        raise LimitError(
            f"energy_ceiling_pj is {energy_ceiling_pj:g}, the rig file allows {least_pj:g} to "
            f"{'any' if most_pj is None else f'{most_pj:g}'} pJ; nothing was changed"
        )


class VoltageCeiling:
    """The ceiling of V_dc as it stands now: while the voltage comes down to a lower one, it goes before it.

    Attributes:
        asked_v: what a person asked for.
        stands_v: what nothing may be set above now.
    """

    def __init__(self, rig: Rig, asked_v: float) -> None:
        self._slew_per_s, self._tick_s = rig.control.max_slew_down, rig.control.tick_s
        self.asked_v = self.stands_v = asked_v
        self._then_s: float | None = None

    def begin(self, asked_v: float) -> None:
        """Begin a run: the voltage is still low."""
        self.asked_v = self.stands_v = asked_v
        self._then_s = None

    def ask(self, asked_v: float, v_set_v: float) -> None:
        """Take another one, with the voltage set to `v_set_v`."""
        self.asked_v = asked_v
        self.stands_v = max(asked_v, min(self.stands_v, v_set_v))

    def sink(self, v_set_v: float, now_s: float) -> None:
        """Let it come down further, to where it was asked to be."""
        then_s, self._then_s = self._then_s, now_s
        if self.stands_v <= self.asked_v:
            return
        longest_s = _TICKS * self._tick_s
        dt_s = self._tick_s if then_s is None else min(max(now_s - then_s, 0.0), longest_s)
        from_v = min(self.stands_v, v_set_v)
        self.stands_v = max(self.asked_v, from_v * (1.0 - min(self._slew_per_s * dt_s, 0.9)))
