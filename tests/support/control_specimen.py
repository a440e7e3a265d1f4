"""Specimen, supply and detector of the control benchmark, compiled: what happens between two calls, in steps of 1 ms.

ln(rate / target) = S (V / V_threshold - 1) + disturbance: the linear barrier, where S is d ln(rate) / d ln(V) at the
threshold. Without pulses the standing voltage evaporates with the same barrier at the field F / (1 + PF). A layer changes
the evaporation field while its ions go, so that a surge accelerates itself. Equations and sources: docs/twin.md.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

SUBSTEP_S = 0.001
MAX_IONS_PER_PULSE = 20.0  # a real tip would flash or fracture: here it is the mark of a run-away
DETECTOR_SATURATION = 2.0  # hits per pulse that the detector can tell apart
SATURATED_ABOVE = (
    0.4  # ions per pulse above which the acquisition says that hits are lost (a tenth of them is)
)
BREAKS_ABOVE, BREAKS_AFTER_S = 3.0, 0.2  # the brittle class
MUCH = 5.0  # times the target: ions above it are counted
_HARDWARE_HITS = 20  # floor of counts of the hardware inhibit in one substep
_LOG_MAX = 40.0

STATE = np.dtype(
    [
        (name, "f8")
        for name in (
            "t_s", "v_v", "noise", "walk", "blunting", "field", "layer_ions", "ions", "excess_ions", "above_s",
            "longest_above_s", "peak",
        )
    ]
    + [(name, "i8") for name in ("broken", "tripped", "hits_all", "hits", "background", "pulses", "lossy")]
    + [(name, "f8") for name in ("v_sum", "ions_now")]
)  # fmt: skip


class Specimen(NamedTuple):
    """What stays constant in one run. Rates in 1/s, log-rate noise in natural units."""

    sensitivity: float = 60.0
    v_threshold_v: float = 5000.0
    target_hz: float = 2000.0
    pulse_hz: float = 200e3
    noise_sd: float = 0.1
    noise_tau_s: float = 2.0
    walk_per_sqrt_s: float = 0.0
    burst_hz: float = 0.0
    burst_ions: float = 150.0
    fano: float = 1.3
    dark_hz: float = 5.0
    leakage: float = 0.0  # rate at the standing voltage alone, at threshold, in parts of the target
    pulse_fraction: float = 0.2
    window_share: float = 0.3  # of the period between pulses, seen by the time-of-flight window
    blunting_per_s: float = 3.3e-5  # d ln(R) / dt at 2000 ions/s
    tau_up_s: float = 0.05
    tau_down_s: float = 0.05
    brittle: float = 0.0  # 1: breaks above 3 times the target for 0.2 s
    overflow_above: float = math.inf  # ions per pulse above which the TDC gives nothing at all
    inhibit_above: float = math.inf  # hardware inhibit within one substep, times the target
    dead_from_s: float = math.inf  # pulses without amplitude from here
    dead_to_s: float = math.inf
    layer_from_s: float = math.inf
    layer_field: float = 1.0
    layer_ions: float = 2e4
    back_from_s: float = math.inf  # the field returns to 1 over as many ions


def leakage(sensitivity: float, pulse_fraction: float = 0.2, pulse_hz: float = 200e3) -> float:
    """Evaporation at the standing voltage in parts of the pulsed one: pulse top of 1 ns against a duty of 1."""
    return math.exp(-sensitivity * pulse_fraction / (1.0 + pulse_fraction)) / (1e-9 * pulse_hz)


def new_state(v_v: float) -> NDArray[Any]:
    """Give a specimen at rest at a voltage in V."""
    state = np.zeros(1, STATE)
    state["v_v"], state["field"] = v_v, 1.0
    return state


@njit(cache=True)
def advance(  # noqa: C901 - one loop over all that happens in a millisecond; calls would hide the order
    p: Specimen, state: Any, rng: Any, command_v: float, steps: int, pulsing: bool
) -> None:
    """Let `steps` substeps pass; counts of this call stand in the state afterwards, sums go on."""
    s = state[0]
    s.hits = s.background = s.pulses = s.lossy = 0
    s.v_sum = s.ions_now = 0.0
    dt = SUBSTEP_S
    up, down = -math.expm1(-dt / p.tau_up_s), -math.expm1(-dt / p.tau_down_s)
    decay = math.exp(-dt / p.noise_tau_s)
    kick = p.noise_sd * math.sqrt(1.0 - decay * decay)
    cascade = 0.5 * (1.0 + p.fano)
    pulses = round(p.pulse_hz * dt)
    most = MAX_IONS_PER_PULSE * p.pulse_hz
    for _ in range(steps):
        s.t_s += dt
        s.v_v += (command_v - s.v_v) * (up if command_v > s.v_v else down)
        if kick > 0.0:
            s.noise = s.noise * decay + kick * rng.standard_normal()
        if p.walk_per_sqrt_s > 0.0:
            s.walk += p.walk_per_sqrt_s * math.sqrt(dt) * rng.standard_normal()
        stress = s.v_v / (p.v_threshold_v * s.field * math.exp(s.blunting))
        wander = s.noise + s.walk
        live = pulsing and not s.tripped
        ions_hz = dc_hz = 0.0
        if not s.broken:
            if live and not (p.dead_from_s < s.t_s <= p.dead_to_s):
                log = p.sensitivity * (stress - 1.0) + wander
                ions_hz = min(p.target_hz * math.exp(min(log, _LOG_MAX)), most)
            if p.leakage > 0.0:
                log = p.sensitivity / (1.0 + p.pulse_fraction) * (stress - 1.0) + wander
                dc_hz = min(p.leakage * p.target_hz * math.exp(min(log, _LOG_MAX)), most)
        ratio = (ions_hz + dc_hz) / p.target_hz
        # Counts: cascades of ions from pulses, single ones from the standing voltage, dark counts.
        seen_hz = DETECTOR_SATURATION * p.pulse_hz * -math.expm1(-ions_hz / p.pulse_hz / DETECTOR_SATURATION)
        events = rng.poisson(seen_hz * dt / cascade)
        hits = events
        if events > 0 and cascade > 1.0:
            hits += rng.negative_binomial(events, 1.0 / cascade)
        if p.burst_hz > 0.0 and live and rng.random() < p.burst_hz * dt:
            extra = rng.exponential(p.burst_ions)
            hits += int(extra)
            ions_hz += extra / dt
        even_hz = p.dark_hz + p.window_share * dc_hz
        hits += rng.poisson(even_hz * dt)
        background = rng.poisson(even_hz * dt)
        per_pulse = (ions_hz + dc_hz) / p.pulse_hz
        if per_pulse > SATURATED_ABOVE:
            s.lossy = 1
        if per_pulse > p.overflow_above:
            s.lossy = 1
            hits = background = 0
        if live:
            s.hits += hits
            s.background += background
            s.pulses += pulses
            s.hits_all += hits
            if hits >= _HARDWARE_HITS and hits >= p.inhibit_above * p.target_hz * dt:
                s.tripped = 1
        # Ions that went: apex, layer, and what is reported.
        ions = (ions_hz + dc_hz) * dt
        s.ions += ions
        s.ions_now += ions
        s.blunting += p.blunting_per_s * ions / 2000.0
        s.peak = max(s.peak, ratio)
        s.excess_ions += ions if ratio > MUCH else 0.0
        s.above_s = s.above_s + dt if ratio > BREAKS_ABOVE else 0.0
        s.longest_above_s = max(s.longest_above_s, s.above_s)
        if p.brittle > 0.0 and s.above_s > BREAKS_AFTER_S:
            s.broken = 1
        if s.t_s > p.back_from_s and s.layer_ions > 0.0:
            s.layer_ions = max(0.0, s.layer_ions - ions)
        elif p.layer_from_s < s.t_s <= p.back_from_s:
            s.layer_ions = min(p.layer_ions, s.layer_ions + ions)
        s.field = 1.0 + (p.layer_field - 1.0) * s.layer_ions / p.layer_ions
        s.v_sum += s.v_v
