"""Rules on the other instruments: present, pulsing as asked, vacuum, temperature."""

import math
from collections import deque
from itertools import pairwise
from statistics import median

from evapd.device.readings import ThermometerReading
from evapd.guard.descent import ENERGY_ROLES
from evapd.guard.energy import ENERGISED, PULSING
from evapd.guard.rules.base import Effect, Finding, Grace, Measured, View, excess, worst
from evapd.guard.rules.pressure import pressures

_RATE_TOLERANCE = 0.01
_PULSER_GRACE_S = 0.5
_V_P_FLOOR_V = 5.0
_RANGE_TOLERANCE = 0.02
_SPECIMEN_SENSORS = ("specimen", "tip")  # names of the sensor that counts; else the first
_STALE_K_S = 10.0
_PART_S, _PARTS, _PARTS_LEAST = 2.0, 5, 3


class DeviceUnknown(Measured):
    """A device that is needed gives no fresh reading. UNKNOWN is never read as off."""

    name = "device-unknown"
    trigger = "no fresh reading of a required device for device_timeout_s, or for energy_timeout_s where it carries energy"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = "look at the named device's cable, power and remote mode; it is asked again by itself, then acknowledge"
    keys = ("device_timeout_s", "energy_timeout_s")
    latch = True
    observed = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """Largest age of a reading over its time-out; 1 when a device is UNKNOWN."""
        if view.adopted and view.now_s - view.entered_s < view.guard.device_timeout_s:
            return 0.0  # just after a restart they may still be connecting
        oldest = 0.0
        for one in view.inputs.required():
            if not one.known:
                return 1.0
            if one.reading is not None:
                oldest = worst(oldest, (view.now_s - one.reading.t_mono_s) / view.guard.timeout_s(one.role))
        return min(oldest, 0.999)

    def found(self, view: View) -> Finding:
        """Name them."""
        missing = [one for one in view.inputs.required() if not one.known]
        texts = [f"{one.name} is UNKNOWN: {one.why}" for one in missing]
        if energised := [one.name for one in missing if one.role in ENERGY_ROLES]:
            texts.append(
                f"until it answers {' and '.join(energised)} cannot be commanded: switch it off by hand"
            )
        return Finding("; ".join(texts))


class PulserMismatch(Measured):
    """The pulser does not do what it was told."""

    name = "pulser-mismatch"
    trigger = "pulser not enabled, or its rate off by more than 1 %, for 0.5 s while pulses are let through"
    effect = Effect.FREEZE
    release = "by itself; if it stays, inhibit and resume"
    advice = "look at the pulser: trip, interlock, external trigger; the voltage waits"
    watches = PULSING

    def __init__(self) -> None:
        self._grace = Grace()

    def load(self, view: View) -> float | None:
        """Deviation over what is allowed; not enabled is as bad as any rate."""
        reading = view.pulser
        if reading is None or view.pulsing_since_s is None:
            self._grace.reset()
            return None
        off = abs(reading.rate_hz / view.run.pulse_rate_hz - 1) / _RATE_TOLERANCE
        return self._grace.load(off if reading.enabled else math.inf, view.now_s, _PULSER_GRACE_S)

    def found(self, view: View) -> Finding:
        """Say what is read."""
        reading = view.pulser
        assert reading is not None  # noqa: S101 - a load was given
        enabled = {True: "enabled", False: "inhibited", None: "in an unknown state"}[reading.enabled]
        return Finding(
            f"the pulser is {enabled} at {reading.rate_hz:g} Hz, asked for {view.run.pulse_rate_hz:g} Hz"
        )

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class PulseCount(Measured):
    """The TDC counts another number of pulses than the pulser fires."""

    name = "pulse-count"
    trigger = "pulses counted differ from the pulse rate by more than pulse_count_tolerance (median of 2 s parts of the last 10 s)"
    effect = Effect.NO_RISE
    release = "by itself"
    advice = "missing or double triggers: look at level and reflections of the TDC's start; the voltage waits"
    keys = ("pulse_count_tolerance",)
    watches = PULSING

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=_PARTS + 1)
        self._since_s: float | None = None

    def load(self, view: View) -> float | None:
        """Deviation over what is allowed. The median leaves out a part in which acquire lagged."""
        newest = view.rates.newest
        if newest is None or view.pulsing_since_s is None:
            self.forget()
            return None
        if view.pulsing_since_s != self._since_s:
            self.forget()
            self._since_s = view.pulsing_since_s
        t_s = newest.t_mono_ns * 1e-9
        if t_s >= view.pulsing_since_s + 0.5 and (not self._marks or t_s - self._marks[-1][0] >= _PART_S):
            if self._marks and newest.live_pulses < self._marks[-1][1]:
                self._marks.clear()
            self._marks.append((t_s, newest.live_pulses))
        if len(self._marks) <= _PARTS_LEAST:
            return None
        return abs(self._ratio(view) - 1.0) / view.guard.pulse_count_tolerance

    def found(self, view: View) -> Finding:
        """Say how far they differ."""
        return Finding(f"the TDC counts {100 * self._ratio(view):.1f} % of the pulses that the pulser fires")

    def forget(self) -> None:
        """Begin anew."""
        self._marks.clear()
        self._since_s = None

    def _ratio(self, view: View) -> float:
        marks = list(self._marks)
        counted = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(marks)]
        return median(counted) / view.run.pulse_rate_hz


class AmplitudeMismatch(Measured):
    """The pulse amplitude is not what was asked for."""

    name = "pulse-amplitude"
    trigger = "V_p read off by more than pulse_tolerance, or outside the amplitude's own range, for readback_grace_s"
    effect = Effect.NO_RISE
    release = "by itself"
    advice = "look at the pulse supply and the pulser's high-voltage input; the voltage waits"
    keys = ("pulse_tolerance", "readback_grace_s")
    watches = PULSING

    def __init__(self) -> None:
        self._grace = Grace()

    def load(self, view: View) -> float | None:
        """Deviation from the set point, or beyond the range, over what is allowed."""
        reading, wanted_v = view.amplitude, view.v_p_set_v
        if reading is None or wanted_v is None or view.preparing:
            self._grace.reset()
            return None
        off = abs(reading.v_p_v - wanted_v) / max(view.guard.pulse_tolerance * wanted_v, _V_P_FLOOR_V)
        low_v, high_v = view.settings.v_p_min_v, view.settings.v_p_max_v
        beyond_v = excess(worst(low_v - reading.v_p_v, reading.v_p_v - high_v))
        beyond = beyond_v / max(_RANGE_TOLERANCE * high_v, _V_P_FLOOR_V)
        return self._grace.load(worst(off, beyond), view.now_s, view.guard.readback_grace_s)

    def found(self, view: View) -> Finding:
        """Say what is read."""
        read_v = view.amplitude.v_p_v if view.amplitude else math.nan
        return Finding(f"V_p reads {read_v:.0f} V, asked for {view.v_p_set_v or 0.0:.0f} V")

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


class Vacuum(Measured):
    """Pressure too high, or not known. Gauges are slow: wire their relays into the interlock as well."""

    name = "vacuum"
    trigger = "a gauge above pressure_max_pa, or without a valid value; only where pressure_max_pa is set"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = "look at pumps, valves and the gauge itself; no voltage before the pressure is known and good"
    keys = ("pressure_max_pa",)
    latch = True
    observed = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """Highest pressure over the limit; a gauge without a value is as bad as any pressure."""
        limit_pa = view.guard.pressure_max_pa
        worst_pa = _worst_pa(view)
        return None if limit_pa is None or worst_pa is None else worst_pa / limit_pa

    def found(self, view: View) -> Finding:
        """Say which gauge."""
        return Finding(vacuum_complaint(view) or "the pressure is at its limit", cause="vacuum")


class VacuumWarning(Measured):
    """Pressure that is not good any more."""

    name = "vacuum-warning"
    trigger = "a gauge above pressure_warn_pa; only where that is set"
    effect = Effect.NOTE
    release = "by itself"
    advice = "background and hydrides grow: look at what is gassing; nothing is stopped yet"
    keys = ("pressure_warn_pa",)
    observed = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """Highest pressure over the warning."""
        limit_pa, worst_pa = view.guard.pressure_warn_pa, _worst_pa(view)
        return None if limit_pa is None or worst_pa is None else worst_pa / limit_pa

    def found(self, view: View) -> Finding:
        """Say how high."""
        worst_pa = _worst_pa(view) or 0.0
        how = "not known" if math.isinf(worst_pa) else f"{worst_pa:.2g} Pa"
        return Finding(f"the pressure is {how}, warned from {view.guard.pressure_warn_pa:.2g} Pa")


class Temperature(Measured):
    """The specimen is not at its temperature, so its rate at a given voltage is not what it was."""

    name = "temperature"
    trigger = "temperature off by more than temperature_deviation_k, or invalid; only where that is set"
    effect = Effect.NO_RISE
    release = "by itself"
    advice = "wait for the cryostat, or look at the sensor; S goes with 1/T, so the rate is not what it was"
    keys = ("temperature_deviation_k",)
    observed = True
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Deviation over what is allowed; a sensor without a value is as bad as any."""
        allowed_k = view.guard.temperature_deviation_k
        return None if allowed_k is None else _temperature_load(view, allowed_k)

    def found(self, view: View) -> Finding:
        """Say what is read."""
        return _temperature_finding(view)


class TemperatureWarning(Measured):
    """The specimen's temperature begins to leave its place."""

    name = "temperature-warning"
    trigger = "temperature off by more than temperature_warn_k"
    effect = Effect.NOTE
    release = "by itself"
    advice = "look at cryostat and heater; peaks and S move with the temperature"
    keys = ("temperature_warn_k",)
    observed = True
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Deviation over what is warned of."""
        return _temperature_load(view, view.guard.temperature_warn_k)

    def found(self, view: View) -> Finding:
        """Say what is read."""
        return _temperature_finding(view)


class TemperatureStale(Measured):
    """Nobody knows the temperature any more."""

    name = "temperature-stale"
    trigger = "no reading of the thermometer for 10 s; only where temperature_deviation_k is set"
    effect = Effect.NO_RISE
    release = "by itself, with the next reading"
    advice = "look at the temperature controller's line; the voltage waits"
    keys = ("temperature_deviation_k",)
    watches = PULSING

    def load(self, view: View) -> float | None:
        """Age of the reading over the age allowed, also of a device that may be missing."""
        device = view.inputs.with_role("temperature")
        if view.guard.temperature_deviation_k is None or device is None:
            return None
        since_s = view.pulsing_since_s if device.reading is None else device.reading.t_mono_s
        return None if since_s is None else max(0.0, view.now_s - since_s) / _STALE_K_S

    def found(self, view: View) -> Finding:
        """Name it."""
        device = view.inputs.with_role("temperature")
        return Finding(f"{device.name if device else 'the thermometer'} gives no temperature any more")


def vacuum_complaint(view: View) -> str | None:
    """What speaks against high voltage in this vacuum, in words."""
    limit_pa = view.guard.pressure_max_pa
    if limit_pa is None:
        return None
    for name, pressure_pa, status in pressures(view):
        if pressure_pa is None:
            return f"gauge '{name}': {status}; an unknown pressure is a bad one"
        if not pressure_pa < limit_pa:
            return f"gauge '{name}' reads {pressure_pa:.2g} Pa, the limit is {limit_pa:.2g} Pa"
    return None


def _worst_pa(view: View) -> float | None:
    """Highest pressure; infinite where a gauge has no valid value, None without a gauge."""
    told = [math.inf if one.pressure_pa is None else one.pressure_pa for one in pressures(view)]
    return worst(*told) if told else None


def _specimen_sensor(view: View) -> tuple[str, float | None, float | None, str] | None:
    """Name, temperature, wanted temperature and status of the sensor that counts."""
    reading = view.inputs.reading("temperature", ThermometerReading)
    if reading is None or not reading.temperature_k:
        return None
    sensors = reading.temperature_k
    name = next((one for one in _SPECIMEN_SENSORS if one in sensors), next(iter(sensors)))
    wanted_k = view.settings.rig.specimen.temperature_k or reading.setpoint_k
    return name, sensors[name], wanted_k, reading.status.get(name, "no valid value")


def _temperature_load(view: View, allowed_k: float) -> float | None:
    found = _specimen_sensor(view)
    if found is None:
        return None
    _, read_k, wanted_k, _ = found
    if read_k is None:
        return math.inf
    return None if wanted_k is None else abs(read_k - wanted_k) / allowed_k


def _temperature_finding(view: View) -> Finding:
    found = _specimen_sensor(view)
    assert found is not None  # noqa: S101 - a load was given
    name, read_k, wanted_k, status = found
    if read_k is None:
        return Finding(f"temperature sensor '{name}': {status}")
    return Finding(f"temperature sensor '{name}' reads {read_k:.1f} K, wanted {wanted_k:.1f} K")


PLANT_RULES = (
    DeviceUnknown,
    PulserMismatch,
    PulseCount,
    AmplitudeMismatch,
    Vacuum,
    VacuumWarning,
    Temperature,
    TemperatureWarning,
    TemperatureStale,
)
