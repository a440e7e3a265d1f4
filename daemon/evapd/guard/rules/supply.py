"""Rules on the specimen supply: its limits, its readback, its state, and whether it really comes down."""

from evapd.guard.energy import ENERGISED, EnergyState
from evapd.guard.rules.base import Effect, Finding, Grace, Rule, View

EXCESS = 0.02  # a reading this far above what was asked for is a fault
_EXCESS_GRACE_S = 0.2
_UNASKED_GRACE_S = 0.5
UNASKED = 1.5  # times discharged_v: voltage that nobody here asked for


class VoltageLimit(Rule):
    """Reads above a limit of the specimen, whatever was commanded."""

    name = "voltage-limit"
    trigger = "V_dc read above v_dc_max_v, or V_dc + V_p read above v_tot_max_v, by more than 2 %"
    effect = Effect.SAFE
    release = "acknowledge"
    latch = True
    observed = True
    watches = frozenset(EnergyState) - {EnergyState.OFF, EnergyState.FAULT_LATCHED}

    def check(self, view: View) -> Finding | None:
        """Compare what is read with the specimen's limits."""
        if view.supply is None:
            return None
        specimen = view.settings.rig.specimen
        v_dc_v = abs(view.supply.v_meas_v)
        v_p_v = view.amplitude.v_p_v if view.amplitude and view.settings.pulses_voltage else 0.0
        if v_dc_v > specimen.v_dc_max_v * (1 + EXCESS):
            return Finding(f"V_dc reads {v_dc_v:.0f} V, the limit is {specimen.v_dc_max_v:.0f} V")
        if v_dc_v + v_p_v > specimen.v_tot_max_v * (1 + EXCESS):
            return Finding(
                f"V_dc + V_p reads {v_dc_v + v_p_v:.0f} V, the limit is {specimen.v_tot_max_v:.0f} V"
            )
        return None


class ReadExcess(Rule):
    """Reads, or was set at the instrument, above what was asked for."""

    name = "read-excess"
    trigger = (
        "V_dc read, or set at the instrument, 2 % above what was asked for (falling as modelled) for 0.2 s"
    )
    effect = Effect.SAFE
    release = "acknowledge"
    latch = True
    watches = ENERGISED

    def __init__(self) -> None:
        self._grace = Grace()

    def check(self, view: View) -> Finding | None:
        """Compare the reading with the highest voltage that the model allows at its time."""
        if view.supply is None:
            return None
        _, high_v = view.model.band(view.supply.t_mono_s)
        allowed_v = high_v * (1 + EXCESS) + _floor_v(view)
        seen_v = max(abs(view.supply.v_meas_v), abs(view.supply.v_set_v or 0.0))
        if self._grace.held_s(seen_v > allowed_v, view.now_s) < _EXCESS_GRACE_S:
            return None
        return Finding(
            f"the specimen supply shows {seen_v:.0f} V where at most {allowed_v:.0f} V was asked for"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class ReadbackShort(Rule):
    """Reads below what the supply should have reached: arc, current limit, output off, broken cable."""

    name = "readback"
    trigger = "V_dc read below the modelled V(t) by more than readback_tolerance for readback_grace_s"
    effect = Effect.SAFE
    release = "acknowledge"
    latch = True
    watches = ENERGISED

    def __init__(self) -> None:
        self._grace = Grace()

    def check(self, view: View) -> Finding | None:
        """Compare the reading with the lowest voltage that the model allows at its time."""
        if view.supply is None or view.preparing:
            self._grace.reset()
            return None
        low_v, _ = view.model.band(view.supply.t_mono_s)
        seen_v = abs(view.supply.v_meas_v)
        short = seen_v < low_v * (1 - view.guard.readback_tolerance) - _floor_v(view)
        if self._grace.held_s(short, view.now_s) < view.guard.readback_grace_s:
            return None
        return Finding(
            f"the specimen supply reads {seen_v:.0f} V where {low_v:.0f} V was expected: arc, limit or cable"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class SupplyTripped(Rule):
    """The supply itself says that something is wrong, or that it no longer listens."""

    name = "supply-state"
    trigger = "the specimen supply reports a trip, an open interlock, an inhibit, or local control"
    effect = Effect.SAFE
    release = "acknowledge, after the trip was cleared at the instrument"
    latch = True
    observed = True
    watches = ENERGISED

    def check(self, view: View) -> Finding | None:
        """Look at the flags; what the instrument cannot tell is not held against it."""
        complaint = supply_complaint(view)
        return Finding(complaint) if complaint else None


class NotDown(Rule):
    """A descent that is not verified in time."""

    name = "not-down"
    trigger = "the specimen is not verified down in the time that the ramp and the supply's fall need"
    effect = Effect.SAFE
    release = "acknowledge, once verified"
    latch = True
    watches = frozenset({EnergyState.RAMPING_DOWN})

    def check(self, view: View) -> Finding | None:
        """Look at the time."""
        if view.down_by_s is None or view.now_s <= view.down_by_s:
            return None
        seen = f"{view.supply.v_meas_v:.0f} V" if view.supply else "UNKNOWN"
        return Finding(
            f"the specimen is not verified down, it reads {seen}; look at the supply and ground the specimen"
        )


class UnaskedVoltage(Rule):
    """Voltage on the specimen although nobody here asked for it."""

    name = "unasked-voltage"
    trigger = "V_dc read above 1.5 discharged_v for 0.5 s in standby or safe"
    effect = Effect.RAMP_DOWN
    release = "verified down"
    latch = True
    watches = frozenset({EnergyState.STANDBY, EnergyState.SAFE})

    def __init__(self) -> None:
        self._grace = Grace()

    def check(self, view: View) -> Finding | None:
        """Look for voltage."""
        there = view.supply is not None and abs(view.supply.v_meas_v) > UNASKED * view.guard.discharged_v
        if self._grace.held_s(there, view.now_s) < _UNASKED_GRACE_S or view.supply is None:
            return None
        return Finding(
            f"{view.supply.v_meas_v:.0f} V on the specimen that nobody asked for; to watch only, use law monitor"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


def supply_complaint(view: View) -> str | None:
    """What the supply itself complains about, in words."""
    reading = view.supply
    if reading is None:
        return None
    if reading.tripped:
        return "the specimen supply has tripped"
    if reading.interlock_open:
        return "the interlock of the specimen supply is open"
    if reading.inhibited:
        return "the specimen supply is inhibited at its input"
    if reading.remote is False:
        return "the specimen supply is in local control: switch it to remote at its front panel"
    return None


def _floor_v(view: View) -> float:
    # Near zero a relative tolerance means nothing: half of what counts as discharged is allowed on top.
    return 0.5 * view.guard.discharged_v


SUPPLY_RULES = (VoltageLimit, ReadExcess, ReadbackShort, SupplyTripped, NotDown, UnaskedVoltage)
