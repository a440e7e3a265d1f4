"""What a control law is given and what it proposes. Pure: no clock, no input or output, seconds of virtual time."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """Settings shared by all laws. Rate in hits per live pulse; slews in 1/s of V."""

    target_rate: float
    pulse_rate_hz: float
    v_min_v: float
    v_max_v: float
    tick_s: float = 0.05
    delay_s: float = 0.1
    max_slew_up: float = 0.012
    max_slew_up_hunting: float = 0.03
    max_slew_down: float = 0.30
    dark_rate_hz: float = 5.0
    hv_tau_up_s: float = 0.05
    hv_tau_down_s: float = 0.05
    # Laser mode: what the law moves, between which energies, where it starts, and (split) the energy's part of each change.
    actuator: Literal["voltage", "energy", "split"] = "voltage"
    energy_pj: float | None = None
    energy_min_pj: float | None = None
    energy_max_pj: float | None = None
    split: float = 0.5
    max_energy_slew_up: float = 0.012  # 1/s of the pulse energy
    ramp_v_per_s: float | None = None  # law `ramp`: constant slope, still below max_slew_up_hunting


@dataclass(frozen=True, slots=True, kw_only=True)
class RateObservation:
    """Counts of the window that ended at `t_s`.

    `pulses` are live pulses; `hits` lie in the time-of-flight window; `background` is the number of them
    that is expected to be uncorrelated; `v_dc_v` is the measured V_dc averaged over the window.
    """

    t_s: float
    pulses: int
    hits: int
    v_dc_v: float
    valid: bool
    pulser_ok: bool
    saturated: bool
    background: float = 0.0
    v_p_v: float | None = None
    pulse_energy_pj: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """A law's proposal; the guard's rules may only lower it."""

    v_dc_v: float
    pulse_energy_pj: float | None = None
    sensitivity: float | None = None  # d ln(rate) / d ln(V), or / d ln(E) where the energy alone is moved
    log_rate: float | None = None  # natural logarithm of hits per live pulse
    log_rate_sd: float | None = None
    mode: str = ""


class RateLaw(Protocol):
    """A control law. Deterministic: the same calls give the same proposals."""

    def reset(self, v_dc_v: float, now_s: float) -> None:
        """Begin from a voltage in V."""
        ...

    def step(self, observation: RateObservation | None, now_s: float) -> Setpoint:
        """Propose the next set point; None means that nothing new is known."""
        ...

    def inhibited(self, now_s: float, ratio: float) -> None:
        """Say that pulses were stopped at `ratio` times the target rate."""
        ...

    def resumed(self, now_s: float) -> None:
        """Say that pulses are let through again."""
        ...

    def retarget(self, target_rate: float) -> None:
        """Hold another rate from now on, in hits per live pulse; bumpless: what is known stays, the voltage moves from where it is."""
        ...
