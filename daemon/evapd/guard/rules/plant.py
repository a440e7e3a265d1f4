"""Rules on the other instruments: present, pulsing as asked, vacuum, temperature."""

from evapd.device.readings import GaugeReading, ThermometerReading
from evapd.guard.energy import ENERGISED, PULSING
from evapd.guard.rules.base import Effect, Finding, Grace, Rule, View

_RATE_TOLERANCE = 0.01
_PULSER_GRACE_S = 0.5
_V_P_FLOOR_V = 5.0
_SPECIMEN_SENSORS = ("specimen", "tip")  # names of the sensor that counts; else the first


class DeviceUnknown(Rule):
    """A device that is needed gives no fresh reading. UNKNOWN is never read as off."""

    name = "device-unknown"
    trigger = "no fresh reading of a required device for device_timeout_s"
    effect = Effect.SAFE
    release = "acknowledge"
    latch = True
    observed = True
    watches = ENERGISED

    def check(self, view: View) -> Finding | None:
        """Look for required devices that are not known; just after a restart they may still be connecting."""
        if view.adopted and view.now_s - view.entered_s < view.guard.device_timeout_s:
            return None
        missing = [f"{one.name} is UNKNOWN: {one.why}" for one in view.inputs.required() if not one.known]
        return Finding("; ".join(missing)) if missing else None


class PulserMismatch(Rule):
    """The pulser does not do what it was told."""

    name = "pulser-mismatch"
    trigger = "pulser not enabled, or its rate off by more than 1 %, for 0.5 s while pulses are let through"
    effect = Effect.FREEZE
    release = "by itself; if it stays, inhibit and resume"
    watches = PULSING

    def __init__(self) -> None:
        self._grace = Grace()

    def check(self, view: View) -> Finding | None:
        """Compare the reading with what was asked for."""
        reading = view.pulser
        wrong = (
            view.pulsing_since_s is not None
            and reading is not None
            and not (reading.enabled and abs(reading.rate_hz / view.run.pulse_rate_hz - 1) <= _RATE_TOLERANCE)
        )
        if self._grace.held_s(wrong, view.now_s) < _PULSER_GRACE_S or reading is None:
            return None
        enabled = {True: "enabled", False: "inhibited", None: "in an unknown state"}[reading.enabled]
        return Finding(
            f"the pulser is {enabled} at {reading.rate_hz:g} Hz, asked for {view.run.pulse_rate_hz:g} Hz"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class AmplitudeMismatch(Rule):
    """The pulse amplitude is not what was asked for."""

    name = "pulse-amplitude"
    trigger = "V_p read off by more than pulse_tolerance for readback_grace_s"
    effect = Effect.FREEZE
    release = "by itself"
    watches = PULSING

    def __init__(self) -> None:
        self._grace = Grace()

    def check(self, view: View) -> Finding | None:
        """Compare the reading with the set point."""
        reading, wanted_v = view.amplitude, view.v_p_set_v
        if reading is None or wanted_v is None or view.preparing:
            self._grace.reset()
            return None
        allowed_v = max(view.guard.pulse_tolerance * wanted_v, _V_P_FLOOR_V)
        off = abs(reading.v_p_v - wanted_v) > allowed_v
        if self._grace.held_s(off, view.now_s) < view.guard.readback_grace_s:
            return None
        return Finding(f"V_p reads {reading.v_p_v:.0f} V, asked for {wanted_v:.0f} V")

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class Vacuum(Rule):
    """Pressure too high, or not known. Gauges are slow: wire their relays into the interlock as well."""

    name = "vacuum"
    trigger = "a gauge above pressure_max_pa, or without a valid value; only where pressure_max_pa is set"
    effect = Effect.SAFE
    release = "acknowledge"
    latch = True
    observed = True
    watches = ENERGISED

    def check(self, view: View) -> Finding | None:
        """Look at every gauge."""
        complaint = vacuum_complaint(view)
        return Finding(complaint) if complaint else None


class Temperature(Rule):
    """The specimen is not at its temperature, so its rate at a given voltage is not what it was."""

    name = "temperature"
    trigger = "temperature off by more than temperature_deviation_k, or invalid; only where that is set"
    effect = Effect.FREEZE
    release = "by itself"
    observed = True
    watches = PULSING

    def check(self, view: View) -> Finding | None:
        """Compare the sensor at the specimen with the specimen's temperature, else with the controller's set point."""
        allowed_k, reading = (
            view.guard.temperature_deviation_k,
            view.inputs.reading("temperature", ThermometerReading),
        )
        if allowed_k is None or reading is None or not reading.temperature_k:
            return None
        sensors = reading.temperature_k
        name = next((one for one in _SPECIMEN_SENSORS if one in sensors), next(iter(sensors)))
        wanted_k = view.settings.rig.specimen.temperature_k or reading.setpoint_k
        temperature_k = sensors[name]
        if temperature_k is None:
            return Finding(f"temperature sensor '{name}': {reading.status.get(name, 'no valid value')}")
        if wanted_k is None or abs(temperature_k - wanted_k) <= allowed_k:
            return None
        return Finding(f"temperature sensor '{name}' reads {temperature_k:.1f} K, wanted {wanted_k:.1f} K")


def vacuum_complaint(view: View) -> str | None:
    """What speaks against high voltage in this vacuum, in words."""
    limit_pa, reading = view.guard.pressure_max_pa, view.inputs.reading("vacuum", GaugeReading)
    if limit_pa is None or reading is None:
        return None
    for name, pressure_pa in reading.pressure_pa.items():
        if pressure_pa is None:
            return f"gauge '{name}': {reading.status.get(name, 'no valid value')}; an unknown pressure is a bad one"
        if pressure_pa > limit_pa:
            return f"gauge '{name}' reads {pressure_pa:.2g} Pa, the limit is {limit_pa:.2g} Pa"
    return None


PLANT_RULES = (DeviceUnknown, PulserMismatch, AmplitudeMismatch, Vacuum, Temperature)
