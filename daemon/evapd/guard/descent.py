"""The way down and its verification: nothing counts as safe until fresh readings say so."""

import math

from evapd.device.readings import (
    HighVoltageReading,
    LaserReading,
    PulseAmplitudeReading,
    PulserReading,
    Reading,
)
from evapd.guard.awaited import Awaited
from evapd.guard.types import DeviceView, GuardSettings, Inputs

RETRY_S = 1.0
_SPARE_S = 5.0
ENERGY_ROLES = ("pulser", "laser", "specimen", "pulse")
"""Order of making safe: pulses first, the specimen at the same time, then the amplitude. The detector's supplies follow when the
specimen is verified down, or go before it, as `Wiring` says."""


class Descent:
    """One way down: the set point, who was told to make itself safe, and when it must be verified."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._told_s: dict[str, float] = {}
        self._off: dict[str, Awaited] = {}  # supplies that were told to switch off
        self._then_s = 0.0
        self.began_s = 0.0
        self.by_s = 0.0
        self.v_v = 0.0
        self.quick = False

    def begin(self, v_set_v: float, v_read_v: float, now_s: float, *, quick: bool) -> None:
        """Start from a set point; `quick` uses what each instrument offers instead of the configured slope."""
        guard = self._settings.rig.guard
        self._told_s.clear()
        self._off.clear()
        self._then_s = self.began_s = now_s
        self.v_v, self.quick = abs(v_set_v), quick
        highest_v = max(abs(v_set_v), abs(v_read_v), 1.0)
        ramp_s = 0.0 if quick else highest_v / guard.ramp_down_v_per_s
        # The bleeder's fall from here to discharged, and time for switching, reading and a retry.
        fall_s = guard.hv_tau_down_s * max(1.0, math.log(highest_v / guard.discharged_v) + 2.0)
        self.by_s = now_s + ramp_s + 2.0 * fall_s + _SPARE_S

    def lower(self, now_s: float) -> float:
        """Give the next set point."""
        step_v = self._settings.rig.guard.ramp_down_v_per_s * (now_s - self._then_s)
        self._then_s = now_s
        self.v_v = max(0.0, self.v_v - step_v)
        return self.v_v

    def tell(self, inputs: Inputs, now_s: float) -> tuple[str, ...]:
        """Name the devices to make safe now: all that carry energy when quick, else all but the specimen supply.

        A device that does not verify is told again once a second. Digital outputs carry no energy: when quick, they are told
        first and once, and need no verification.
        """
        told = self._outputs(inputs, now_s) if self.quick else []
        if self.quick:
            self.switched_off("specimen", inputs, now_s)
        for role in ENERGY_ROLES:
            if role == "specimen" and not self.quick:
                continue
            for view in inputs.devices.values():
                if view.role != role or self._verified(view):
                    continue
                if now_s - self._told_s.get(view.name, -math.inf) >= RETRY_S:
                    self._told_s[view.name] = now_s
                    told.append(view.name)
        return tuple(told)

    def _outputs(self, inputs: Inputs, now_s: float) -> list[str]:
        names = [view.name for view in inputs.devices.values() if view.role == "io"]
        new = [name for name in names if name not in self._told_s]
        self._told_s |= dict.fromkeys(new, now_s)
        return new

    def switched_off(self, role: str, inputs: Inputs, now_s: float) -> None:
        """Note that the supplies of a role were told to switch off; one that cannot tell its output is down only after that."""
        for view in inputs.devices.values():
            if view.role == role and view.known:
                self._off.setdefault(view.name, Awaited()).tell(now_s)

    def discharged(self, inputs: Inputs) -> bool:
        """Whether the specimen reads below what counts as discharged, in a reading younger than the descent."""
        reading = inputs.reading("specimen", HighVoltageReading)
        limit_v = self._settings.rig.guard.discharged_v
        return reading is not None and reading.t_mono_s > self.began_s and abs(reading.v_meas_v) < limit_v

    def verified(self, inputs: Inputs) -> bool:
        """Whether readings younger than the descent show every source of energy down."""
        return not self.pending(inputs)

    def pending(self, inputs: Inputs) -> list[str]:
        """Name the devices that are not verified down."""
        return [
            view.name
            for view in inputs.devices.values()
            if view.role in ENERGY_ROLES and not self._verified(view)
        ]

    def _verified(self, view: DeviceView) -> bool:
        reading = view.reading
        if not view.required and reading is None:
            return True  # a device that may be missing and never was there
        if not view.known or reading is None or reading.t_mono_s <= self.began_s:
            return False
        if isinstance(reading, HighVoltageReading) and reading.output_on is None:
            off = self._off.get(view.name)
            if off is None or not off.done(reading.t_mono_s):
                return False
        return self._carries_nothing(reading)

    def _carries_nothing(self, reading: Reading) -> bool:
        limit_v = self._settings.rig.guard.discharged_v
        match reading:
            case HighVoltageReading():
                return abs(reading.v_meas_v) < limit_v and not reading.output_on
            case PulserReading():
                return reading.enabled is False
            case PulseAmplitudeReading():
                # An amplitude that cannot tell, or switch, its output is down at its floor: the pulser is inhibited.
                floor_v = 1.05 * self._settings.v_p_min_v if reading.output_on is None else 0.0
                return reading.output_on is False or reading.v_p_v < max(limit_v, floor_v)
            case LaserReading():
                return reading.emission is False and not reading.shutter_open
        return False
