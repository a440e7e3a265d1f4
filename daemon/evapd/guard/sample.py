"""One row of the `loop.` frames; what is not known is NaN, never the last value."""

import math

from evapd.device.readings import HighVoltageReading, LaserReading, PulseAmplitudeReading
from evapd.guard.energy import EnergyState
from evapd.guard.lookout import Closest
from evapd.guard.observer import Observer
from evapd.guard.steering import Steering
from evapd.guard.types import Inputs, LoopSample
from evapd.units import US_PER_S

_NAN = math.nan


def loop_sample(
    *,
    now_s: float,
    state: EnergyState,
    inputs: Inputs,
    steering: Steering,
    observer: Observer,
    commanding: bool,
    closest: Closest,
) -> LoopSample:
    """Gather the row of one tick. `commanding`: set points are in force; else they are unknown."""
    supply = inputs.reading("specimen", HighVoltageReading)
    amplitude = inputs.reading("pulse", PulseAmplitudeReading)
    laser = inputs.reading("laser", LaserReading)
    tick, proposal = observer.tick, steering.proposal
    counted = tick is not None and tick.pulses > 0
    shadow = steering.pilot.shadow.proposal if steering.pilot.shadow else None
    return LoopSample(
        t_mono_us=round(now_s * US_PER_S),
        pulse=observer.pulse,
        v_dc_set_v=steering.command_v if commanding else _NAN,
        v_dc_v=supply.v_meas_v if supply else _NAN,
        v_dc_t_us=round(supply.t_mono_s * US_PER_S) if supply else -1,
        v_p_set_v=_number(steering.v_p_set_v) if commanding else _NAN,
        v_p_v=amplitude.v_p_v if amplitude else _NAN,
        v_p_t_us=round(amplitude.t_mono_s * US_PER_S) if amplitude else -1,
        pulse_energy_set_pj=_number(steering.energy.set_pj) if commanding else _NAN,
        pulse_energy_pj=_number(laser.energy_pj) if laser else _NAN,
        i_a=_number(supply.i_meas_a) if supply else _NAN,
        rate=(tick.hits - tick.background) / tick.pulses if tick is not None and counted else _NAN,
        log_rate=_number(proposal.log_rate) if proposal else _NAN,
        log_rate_sd=_number(proposal.log_rate_sd) if proposal else _NAN,
        target_rate=steering.target_rate,
        sensitivity=_number(proposal.sensitivity) if proposal else _NAN,
        hits=float(tick.hits) if tick else _NAN,
        pulses=float(tick.pulses) if tick else _NAN,
        background=tick.background if tick else _NAN,
        energy_state=int(state),
        valid=int(observer.observation is not None and observer.observation.valid),
        shadow_v_dc_v=shadow.v_dc_v if shadow else _NAN,
        shadow_log_rate=_number(shadow.log_rate) if shadow else _NAN,
        shadow_sensitivity=_number(shadow.sensitivity) if shadow else _NAN,
        margin=closest.margin,
        margin_rule=closest.rule,
    )


def _number(value: float | None) -> float:
    return _NAN if value is None else float(value)
