"""Rules on the laser of a run in laser mode: known, shining as asked, with the energy and rate that were asked for."""

import math

from evapd.guard.energy import ENERGISED, PULSING
from evapd.guard.laser import OLD_S, RATE_TOLERANCE
from evapd.guard.rules.base import Effect, Finding, Grace, Measured, View, worst

_GRACE_S = 0.5


class LaserUnknown(Measured):
    """A laser that the rig may do without, in a run that is driven by it. UNKNOWN is never read as off."""

    name = "laser-unknown"
    trigger = "no fresh reading of a laser that is not `required` for energy_timeout_s, in laser mode"
    effect = Effect.SAFE
    release = "acknowledge"
    advice = "close the safety shutter; look at the laser's cable and mode of its port, then acknowledge"
    keys = ("energy_timeout_s",)
    latch = True
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """Age of the reading over the time-out; 1 when it is UNKNOWN. A required laser is device-unknown's."""
        laser = view.inputs.with_role("laser")
        if laser is None or laser.required or view.light is None or not view.light.steered:
            return None
        if not laser.known or laser.reading is None:
            return 1.0
        return min((view.now_s - laser.reading.t_mono_s) / view.guard.timeout_s("laser"), 0.999)

    def found(self, view: View) -> Finding:
        """Name it."""
        laser = view.inputs.with_role("laser")
        assert laser is not None  # noqa: S101 - a load was given
        return Finding(f"{laser.name} is UNKNOWN: {laser.why}")


class LaserState(Measured):
    """The laser does not emit, or its shutter is not where it was told to be. The guard puts neither right."""

    name = "laser-state"
    trigger = "laser mode: emission off, an error of the laser, or its shutter not as asked 1 s later"
    effect = Effect.INHIBIT
    release = "by itself, when emission and shutter are as asked again: a person puts them right at the laser"
    advice = "look at interlock, key and shutter of the laser; lower V_dc before the beam is moved; or stop the run"
    watches = ENERGISED

    def load(self, view: View) -> float | None:
        """1 when something is wrong, 0 when nothing is."""
        light = view.light
        if light is None or not light.steered or view.laser is None:
            return None
        return 1.0 if light.lost or light.stuck else 0.0

    def found(self, view: View) -> Finding:
        """Say what."""
        assert view.light is not None  # noqa: S101 - a load was given
        return Finding(view.light.lost or view.light.stuck)


class LaserMismatch(Measured):
    """The laser gives other pulses than it was asked for, or no longer tells which."""

    name = "laser-mismatch"
    trigger = (
        "laser mode: pulse energy off by more than pulse_tolerance, or unknown, or the laser's rate off by more than "
        "1 %, for 0.5 s while pulses are let through; or its reading older than 0.7 s"
    )
    effect = Effect.FREEZE
    release = "by itself"
    advice = "look at the laser's power and its monitor; a beam that walks off shows here in no way, only V_dc rises"
    keys = ("pulse_tolerance",)
    watches = PULSING

    def __init__(self) -> None:
        self._grace = Grace()

    def load(self, view: View) -> float | None:
        """Deviation over what is allowed; unknown is as bad as any."""
        light, reading = view.light, view.laser
        if (
            light is None
            or not light.steered
            or view.pulsing_since_s is None
            or not light.shines(view.inputs)
        ):
            self._grace.reset()  # without light there is no energy: laser-state's business
            return None
        energy_off = light.energy_off(reading)
        if reading is None or energy_off is None:
            return self._grace.load(math.inf, view.now_s, _GRACE_S)
        rate_off = 0.0 if reading.rate_hz is None else abs(reading.rate_hz / view.run.pulse_rate_hz - 1)
        load = worst(energy_off / light.tolerance, rate_off / RATE_TOLERANCE)
        age = (view.now_s - reading.t_mono_s) / OLD_S
        return max(self._grace.load(load, view.now_s, _GRACE_S), age)

    def found(self, view: View) -> Finding:
        """Say what is read."""
        light, reading = view.light, view.laser
        assert light is not None  # noqa: S101 - a load was given
        asked = "nothing" if light.asked_pj is None else f"{light.asked_pj:.3g} pJ"
        asked += f" at {view.run.pulse_rate_hz:g} Hz"
        if reading is None or light.energy_off(reading) is None or view.now_s - reading.t_mono_s >= OLD_S:
            return Finding(f"the energy of the laser pulses is not known, asked for {asked}")
        told_pj = reading.energy_set_pj if reading.energy_pj is None else reading.energy_pj
        rate = "" if reading.rate_hz is None else f" at {reading.rate_hz:g} Hz"
        return Finding(f"the laser gives {told_pj or 0.0:.3g} pJ{rate}, asked for {asked}")

    def forget(self) -> None:
        """Begin anew."""
        self._grace.reset()


LASER_RULES = (LaserUnknown, LaserState, LaserMismatch)
