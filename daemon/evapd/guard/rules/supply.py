"""Rules on the specimen supply: its limits, its readback, its state, and whether it really comes down."""

from evapd.device.readings import HighVoltageReading
from evapd.guard.energy import ENERGISED, EnergyState
from evapd.guard.rules.base import Effect, Finding, Grace, Measured, View, excess, worst

EXCESS = 0.02  # a reading this far above what was asked for is a fault
_EXCESS_GRACE_S = 0.2
_UNASKED_GRACE_S = 0.5
UNASKED = 1.5  # times discharged_v: voltage that nobody here asked for


class VoltageLimit(Measured):
    """Reads above a limit of the specimen, whatever was commanded."""

    name = "voltage-limit"
    trigger = "V_dc read above v_dc_max_v, or V_dc + V_p read above v_tot_max_v, by more than 2 %"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = (
        "more voltage than allowed was really there: look at supply, gain and polarity before anything else"
    )
    keys = ("specimen.v_dc_max_v", "specimen.v_tot_max_v")
    latch = True
    observed = True
    watches = frozenset(EnergyState) - {EnergyState.OFF, EnergyState.FAULT_LATCHED}

    def load(self, view: View) -> float | None:
        """The larger of both voltages read, over its limit."""
        if view.supply is None:
            return None
        specimen = view.settings.rig.specimen
        v_dc_v, v_p_v = _volts(view)
        return worst(v_dc_v / specimen.v_dc_max_v, (v_dc_v + v_p_v) / specimen.v_tot_max_v) / (1 + EXCESS)

    def found(self, view: View) -> Finding:
        """Say which limit."""
        specimen = view.settings.rig.specimen
        v_dc_v, v_p_v = _volts(view)
        if v_dc_v >= specimen.v_dc_max_v * (1 + EXCESS):
            what = f"V_dc reads {v_dc_v:.0f} V, the limit is {specimen.v_dc_max_v:.0f} V"
            return Finding(what, cause="voltage-limit")
        what = f"V_dc + V_p reads {v_dc_v + v_p_v:.0f} V, the limit is {specimen.v_tot_max_v:.0f} V"
        return Finding(what, cause="voltage-limit")


class ReadExcess(Measured):
    """Reads, or was set at the instrument, above what was asked for."""

    name = "read-excess"
    trigger = (
        "V_dc read, or set at the instrument, 2 % above what was asked for (falling as modelled) for 0.2 s"
    )
    effect = Effect.SAFE
    release = "acknowledge"
    advice = (
        "somebody turned the front panel, or another program commands this supply: find it, then acknowledge"
    )
    keys = ("hv_tau_down_s", "discharged_v")
    latch = True
    watches = ENERGISED

    def __init__(self) -> None:
        self._grace = Grace()

    def load(self, view: View) -> float | None:
        """What is seen above the highest voltage of the model at the reading's time, over what may be seen above it."""
        if view.supply is None:
            self._grace.reset()
            return None
        seen_v, high_v, allowed_v = self._volts(view)
        load = excess(seen_v - high_v) / (allowed_v - high_v)
        return self._grace.load(load, view.now_s, _EXCESS_GRACE_S)

    def found(self, view: View) -> Finding:
        """Say how much."""
        seen_v, _, allowed_v = self._volts(view)
        return Finding(
            f"the specimen supply shows {seen_v:.0f} V where at most {allowed_v:.0f} V was asked for"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()

    @staticmethod
    def _volts(view: View) -> tuple[float, float, float]:
        reading = view.supply
        assert reading is not None  # noqa: S101 - asked for only with a reading
        _, high_v = view.model.band(reading.t_mono_s)
        seen_v = worst(abs(reading.v_meas_v), abs(reading.v_set_v or 0.0))
        return seen_v, high_v, high_v * (1 + EXCESS) + _floor_v(view)


class ReadbackShort(Measured):
    """Reads below what the supply should have reached: arc, current limit, output off, broken cable."""

    name = "readback"
    trigger = "V_dc read below the modelled V(t) by more than readback_tolerance for readback_grace_s"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = "look for an arc, the current limit, an output that is off, a loose cable; then acknowledge"
    keys = ("readback_tolerance", "readback_grace_s", "hv_tau_up_s")
    latch = True
    watches = ENERGISED

    def __init__(self) -> None:
        self._grace = Grace()

    def load(self, view: View) -> float | None:
        """What is missing to the lowest voltage that the model allows, over what may be missing."""
        if view.supply is None or view.preparing:
            self._grace.reset()
            return None
        low_v, _ = view.model.band(view.supply.t_mono_s)
        missing_v = excess(low_v - abs(view.supply.v_meas_v))
        load = missing_v / (low_v * view.guard.readback_tolerance + _floor_v(view))
        return self._grace.load(load, view.now_s, view.guard.readback_grace_s)

    def found(self, view: View) -> Finding:
        """Say how much."""
        assert view.supply is not None  # noqa: S101 - a load was given
        low_v, _ = view.model.band(view.supply.t_mono_s)
        seen_v = abs(view.supply.v_meas_v)
        return Finding(
            f"the specimen supply reads {seen_v:.0f} V where {low_v:.0f} V was expected: arc, limit or cable"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class SupplyTripped(Measured):
    """The supply itself says that something is wrong, or that it no longer listens."""

    name = "supply-state"
    trigger = "the specimen supply reports a trip, an open interlock, an inhibit, or local control"
    effect = Effect.SAFE
    release = "acknowledge, after the trip was cleared at the instrument"
    advice = "find the cause at the instrument, clear it there by hand, then acknowledge"
    latch = True
    observed = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """1 with a complaint; what the instrument cannot tell is not held against it."""
        return None if view.supply is None else float(supply_complaint(view) is not None)

    def found(self, view: View) -> Finding:
        """Say which."""
        return Finding(supply_complaint(view) or "")


class NotDown(Measured):
    """A descent that is not verified in time."""

    name = "not-down"
    trigger = "the specimen is not verified down in the time that the ramp and the supply's fall need"
    effect = Effect.SAFE
    release = "acknowledge, once verified"
    advice = "the supply did not come down or does not answer: ground the specimen with the grounding rod, then look"
    keys = ("ramp_down_v_per_s", "hv_tau_down_s", "discharged_v")
    latch = True
    watches = frozenset({EnergyState.RAMPING_DOWN})

    def load(self, view: View) -> float | None:
        """Time since the descent began over the time that it may take."""
        if view.down_by_s is None:
            return None
        allowed_s = view.down_by_s - view.entered_s
        if view.now_s > view.down_by_s or allowed_s <= 0.0:
            return 1.0 if view.now_s > view.down_by_s else 0.0
        return min((view.now_s - view.entered_s) / allowed_s, 0.999)

    def found(self, view: View) -> Finding:
        """Say what is read."""
        seen = f"{view.supply.v_meas_v:.0f} V" if view.supply else "UNKNOWN"
        return Finding(
            f"the specimen is not verified down, it reads {seen}; look at the supply and ground the specimen"
        )


class UnaskedVoltage(Measured):
    """Voltage on the specimen although nobody here asked for it."""

    name = "unasked-voltage"
    trigger = "V_dc read above 1.5 discharged_v for 0.5 s in standby or safe"
    effect = Effect.RAMP_DOWN
    release = "verified down"
    advice = "somebody else raised it: find who; to watch only, use law monitor"
    keys = ("discharged_v",)
    latch = True
    watches = frozenset({EnergyState.STANDBY, EnergyState.SAFE})

    def __init__(self) -> None:
        self._grace = Grace()

    def load(self, view: View) -> float | None:
        """What is read over what may be there."""
        if view.supply is None:
            self._grace.reset()
            return None
        load = abs(view.supply.v_meas_v) / (UNASKED * view.guard.discharged_v)
        return self._grace.load(load, view.now_s, _UNASKED_GRACE_S)

    def found(self, view: View) -> Finding:
        """Say how much."""
        seen_v = view.supply.v_meas_v if view.supply else 0.0
        return Finding(
            f"{seen_v:.0f} V on the specimen that nobody asked for; to watch only, use law monitor"
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
    if reading.interlock_open and not (view.wiring is not None and view.wiring.loop_is_ours):
        return "the interlock of the specimen supply is open"
    if reading.inhibited:
        return "the specimen supply is inhibited at its input"
    if reading.remote is False:
        return "the specimen supply is in local control: switch it to remote at its front panel"
    return None


def _volts(view: View) -> tuple[float, float]:
    v_dc_v = abs(view.supply.v_meas_v) if view.supply else 0.0
    return v_dc_v, (view.amplitude.v_p_v if view.amplitude and view.settings.pulses_voltage else 0.0)


def floor_v(discharged_v: float, supply: HighVoltageReading | None) -> float:
    """What is allowed on top, because near zero a relative tolerance means nothing: half of `discharged_v`, and a step of the supply.

    Setting and reading round by half a step each, or by a whole one where one of them cuts off.
    """
    return 0.5 * discharged_v + (0.0 if supply is None else max(0.0, supply.v_step_v))


def _floor_v(view: View) -> float:
    return floor_v(view.guard.discharged_v, view.supply)


SUPPLY_RULES = (VoltageLimit, ReadExcess, ReadbackShort, SupplyTripped, NotDown, UnaskedVoltage)
