"""What an instrument says of itself: frozen records that carry the monotonic time of the reading.

A set point is never reported as a reading; what an instrument cannot tell is None, never a guess.
"""

import math
from dataclasses import dataclass, field, fields
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who answered: as the instrument itself says."""

    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""
    raw: str = ""

    def __str__(self) -> str:
        return " ".join(
            part for part in (self.vendor, self.model, self.serial and f"s/n {self.serial}") if part
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Base of all readings: the monotonic time in seconds at which the reply was complete."""

    t_mono_s: float


def not_finite(reading: Reading) -> str:
    """Name the values of a reading that are no finite number, "" when all are; every comparison with such a value is False."""
    wrong = []
    for one in fields(reading):
        value = getattr(reading, one.name)
        told = value.items() if isinstance(value, dict) else [("", value)]
        wrong += [
            f"{one.name} {key} {number}".replace("  ", " ")
            for key, number in told
            if isinstance(number, float) and not math.isfinite(number)
        ]
    return ", ".join(wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class HighVoltageReading(Reading):
    """State of a high-voltage supply; voltages signed as at the output."""

    v_set_v: float | None  # the set point as the instrument reports it
    v_meas_v: float
    i_meas_a: float | None
    output_on: bool | None
    ramping: bool | None = None
    tripped: bool | None = None
    interlock_open: bool | None = None
    inhibited: bool | None = None
    remote: bool | None = None
    v_in_force_v: float | None = None  # set value in force now, while the instrument itself ramps to v_set_v
    current_limited: bool | None = None  # the current limit governs: v_meas_v falls short of v_set_v
    emergency_off: bool | None = None  # latched by `make_safe`; the next `output(True)` clears it
    v_step_v: float = 0.0  # coarsest of the steps in which it is set, tells its set point and is read; 0: too fine to matter


@dataclass(frozen=True, slots=True, kw_only=True)
class PulserReading(Reading):
    """State of a trigger source; `missed` counts triggers lost since open."""

    rate_hz: float
    enabled: bool | None
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseAmplitudeReading(Reading):
    """Pulse amplitude at the specimen; `in_range` is False at the floor or ceiling."""

    v_p_v: float
    in_range: bool
    output_on: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaserReading(Reading):
    """State of a pulsed laser; energies of one pulse at the specimen."""

    energy_pj: float | None  # by the laser's own monitor and the beam line's transmission
    rate_hz: float | None
    emission: bool | None
    shutter_open: bool | None
    energy_set_pj: float | None = None  # the set point as the instrument reports it
    fault: bool | None = None  # it reports an error of its own or an open interlock


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisReading:
    """One axis of a stage."""

    position_mm: float
    referenced: bool
    moving: bool
    in_position: bool
    following_error_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReading(Reading):
    """All axes of a stage by name."""

    axes: dict[str, AxisReading] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeReading(Reading):
    """Pressures in Pa by gauge name; None where the gauge gives no valid value, and its status in words."""

    pressure_pa: dict[str, float | None]
    status: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermometerReading(Reading):
    """Temperatures in K by sensor name; None where invalid, and its status in words."""

    temperature_k: dict[str, float | None]
    status: dict[str, str]
    setpoint_k: float | None = None
    heater_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalReading(Reading):
    """Levels of named digital inputs and outputs."""

    levels: dict[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class TdcDescription:
    """What a TDC says about itself before arming."""

    bin_ps: Fraction
    channels: int
    counter_bits: int  # width of the hardware pulse counter
    starts_in_stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TdcReading(Reading):
    """State of a TDC or detector; `t_mono_s` is the time of the last heartbeat."""

    armed: bool
    pulse_counter: int
    words: int
    lost_words: int
    sequence_gaps: int
    saturated: bool
    exhausted: bool = False  # a source of recorded data has no more
