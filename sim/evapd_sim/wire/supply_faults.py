"""What goes wrong inside a high-voltage or laboratory supply, as its own behaviour: readers see it in the protocol only."""

from evapd_sim.plant import SupplyOutput


class SupplyFaults:
    """Mixed into the simulated supplies; everything is off at the start.

    Attributes:
        supply: the output of the plant that it drives.
        local: switched to its front panel.
        readback_gain: voltage reading / voltage, beside the offset.
        readback_offset_v: added to the voltage reading.
        stuck_v: what the voltage reading stands at; None while it follows.
    """

    supply: SupplyOutput
    local: bool
    readback_gain: float = 1.0
    readback_offset_v: float = 0.0
    stuck_v: float | None = None

    def readback(self, v_v: float) -> float:
        """Give what the voltmeter says of `v_v`."""
        return v_v * self.readback_gain + self.readback_offset_v if self.stuck_v is None else self.stuck_v

    def trip(self) -> None:
        """Switch the output off as the protection does."""
        raise NotImplementedError

    def go_local(self, *, local: bool) -> None:
        """Turn the switch at the front panel."""
        raise NotImplementedError

    def interlock(self, *, is_open: bool, latches: bool) -> None:
        """Open or close the interlock; when it latches, the output must be switched off and on after it."""
        raise NotImplementedError
