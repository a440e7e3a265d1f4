"""The limits that are checked last, after all scaling, in absolute units: V_p follows V_dc, V_tot is what is limited."""

from typing import NamedTuple

from evapd.guard.types import GuardSettings

_SLEW_FLOOR_V = 100.0  # below this a relative slew would never leave zero
_MAX_STEP = 0.003  # largest relative rise in one step


class Amplitude(NamedTuple):
    """Pulse amplitude for a V_dc; `clamped` when floor or ceiling forbids the wanted fraction."""

    v_p_v: float
    clamped: bool


def amplitude(v_dc_v: float, fraction: float, settings: GuardSettings) -> Amplitude:
    """Give the amplitude that follows `v_dc_v`, within what the instrument can put out."""
    if not settings.pulses_voltage:
        return Amplitude(0.0, clamped=False)
    wanted_v = fraction * v_dc_v
    v_p_v = min(max(wanted_v, settings.v_p_min_v), settings.v_p_max_v)
    # A hair of rounding is not a clamp.
    return Amplitude(v_p_v, clamped=abs(v_p_v - wanted_v) > 1e-6 * max(wanted_v, 1.0))


def v_dc_ceiling(fraction: float, settings: GuardSettings) -> float:
    """Highest V_dc that neither V_dc nor V_tot = V_dc + V_p forbids."""
    rig = settings.rig
    v_tot_v = rig.specimen.v_tot_max_v
    if settings.pulses_voltage:
        by_tot_v = v_tot_v / (1.0 + fraction)
        wanted_v = fraction * by_tot_v
        if wanted_v < settings.v_p_min_v:
            by_tot_v = v_tot_v - settings.v_p_min_v
        elif wanted_v > settings.v_p_max_v:
            by_tot_v = v_tot_v - settings.v_p_max_v
    else:
        by_tot_v = v_tot_v
    return max(0.0, min(rig.control.v_max_v, rig.specimen.v_dc_max_v, by_tot_v))


def v_dc_of_v_tot(v_tot_v: float, fraction: float, settings: GuardSettings) -> float:
    """Give the V_dc at which V_dc and the amplitude that follows it make up a V_tot."""
    if not settings.pulses_voltage:
        return v_tot_v
    v_dc_v = v_tot_v / (1.0 + fraction)
    v_p_v = min(max(fraction * v_dc_v, settings.v_p_min_v), settings.v_p_max_v)
    return max(0.0, v_tot_v - v_p_v)


def slew_ceiling(v_dc_v: float, dt_s: float, slew_per_s: float) -> float:
    """Highest V_dc one step of `dt_s` later; down is unlimited."""
    base_v = max(v_dc_v, _SLEW_FLOOR_V)
    return v_dc_v + base_v * min(slew_per_s * max(dt_s, 0.0), _MAX_STEP)
