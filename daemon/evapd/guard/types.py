"""What goes into a tick of the guard's core and what comes out. Plain values: no clock, no device, no socket."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from evapd.blocks import Column
from evapd.config.model import Rig
from evapd.control.types import ControlSettings
from evapd.device.readings import HighVoltageReading, Reading
from evapd.guard.energy import EnergyState
from evapd.link import LinkRecord

ReadingT = TypeVar("ReadingT", bound=Reading)
Severity = Literal["info", "warning", "alarm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """The rig, and what the amplitude's driver says of its own range."""

    rig: Rig
    digest: str = ""
    v_p_min_v: float = 0.0  # floor of the pulse amplitude at the specimen, V
    v_p_max_v: float = 0.0  # ceiling, V; 0 where there is no pulse amplitude

    @property
    def pulses_voltage(self) -> bool:
        """Whether a voltage pulse adds to V_dc."""
        return self.rig.pulse.mode == "voltage" and bool(self.rig.devices_with_role("pulse"))

    @property
    def background_ratio(self) -> float:
        """Width of the time-of-flight window over that of the background window; 0 where none is configured."""
        window = self.rig.instrument.background_window_ns
        if window is None or window[1] <= window[0]:
            return 0.0
        low, high = self.rig.instrument.tof_window_ns
        return (high - low) / (window[1] - window[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a segment keeps constant and a person may change during a run."""

    law: str
    target_rate: float
    pulse_fraction: float
    pulse_rate_hz: float
    energy_pj: float | None = None  # of a laser pulse
    v_ceiling_v: float  # of V_dc; never above the rig's
    energy_ceiling_pj: float | None = None  # of a laser pulse; None: none is set

    @classmethod
    def of(cls, rig: Rig) -> "RunSettings":
        """Take the settings that the configuration names."""
        return cls(
            law=rig.control.law,
            target_rate=rig.control.target_rate,
            pulse_fraction=rig.pulse.fraction,
            pulse_rate_hz=rig.pulse.rate_hz,
            energy_pj=rig.pulse.energy_pj,
            v_ceiling_v=rig.v_dc_highest_v,
            energy_ceiling_pj=rig.pulse.energy_max_pj if rig.pulse.mode == "laser" else None,
        )

    @property
    def observes(self) -> bool:
        """Law `monitor`: nothing at all is commanded."""
        return self.law == "monitor"

    def energy_max_pj(self, rig: Rig) -> float | None:
        """Give the upper end of a laser pulse's energy."""
        return rig.pulse.energy_max_pj if self.energy_ceiling_pj is None else self.energy_ceiling_pj

    def control(self, rig: Rig) -> ControlSettings:
        """Give the settings of the control law."""
        control = rig.control
        return ControlSettings(
            target_rate=self.target_rate,
            pulse_rate_hz=self.pulse_rate_hz,
            v_min_v=control.v_min_v,
            v_max_v=control.v_max_v,
            tick_s=control.tick_s,
            delay_s=control.delay_s,
            max_slew_up=control.max_slew_up,
            max_slew_up_hunting=control.max_slew_up_hunting,
            max_slew_down=control.max_slew_down,
            dark_rate_hz=control.dark_rate_hz,
            hv_tau_up_s=rig.guard.hv_tau_up_s,
            hv_tau_down_s=rig.guard.hv_tau_down_s,
            actuator=rig.pulse.actuator,
            energy_pj=self.energy_pj,
            energy_min_pj=rig.pulse.energy_min_pj,
            energy_max_pj=self.energy_max_pj(rig),
            split=rig.pulse.split,
            max_energy_slew_up=control.max_energy_slew_up,
            ramp_v_per_s=control.ramp_v_per_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """One device as of its newest reading. Not `known` means UNKNOWN, whatever the last reading said."""

    name: str
    role: str
    required: bool = True
    known: bool = False
    reading: Reading | None = None
    why: str = "no reading yet"  # when not known


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """The link to acquire: what arrived since the tick before, oldest first."""

    connected: bool = False
    disconnects: int = 0
    records: tuple[LinkRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything a tick is given."""

    devices: Mapping[str, DeviceView]
    link: LinkView

    def required(self) -> list[DeviceView]:
        """Give the devices without which nothing may be energised."""
        return [view for view in self.devices.values() if view.required]

    def with_role(self, role: str) -> DeviceView | None:
        """Give the first device of a role."""
        return next((view for view in self.devices.values() if view.role == role), None)

    def reading(self, role: str, kind: type[ReadingT]) -> ReadingT | None:
        """Give the newest reading of a role's device where it is known."""
        view = self.with_role(role)
        return view.reading if view is not None and view.known and isinstance(view.reading, kind) else None


def supply_of(inputs: Inputs) -> HighVoltageReading | None:
    """Give the newest reading of the specimen supply where it is known."""
    return inputs.reading("specimen", HighVoltageReading)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth a line in the record of the run."""

    kind: str
    severity: Severity
    what: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Give the JSON payload."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "what": self.what,
            "source": "guard",
            **self.details,
        }


LOOP_COLUMNS = (
    Column("t_mono_us", "<i8", "us"),
    Column("pulse", "<i8", "pulse"),  # pulses matched so far, -1 unknown
    Column("v_dc_set_v", "<f8", "V"),
    Column("v_dc_v", "<f8", "V"),
    Column("v_dc_t_us", "<i8", "us"),  # when v_dc_v was read, -1 unknown
    Column("v_p_set_v", "<f8", "V"),
    Column("v_p_v", "<f8", "V"),
    Column("v_p_t_us", "<i8", "us"),
    Column("pulse_energy_set_pj", "<f8", "pJ"),  # of a laser pulse; NaN without a laser
    Column("pulse_energy_pj", "<f8", "pJ"),  # by the laser's own monitor
    Column("i_a", "<f8", "A"),
    Column("rate", "<f8", "1/pulse"),
    Column("log_rate", "<f8", ""),
    Column("log_rate_sd", "<f8", ""),
    Column("target_rate", "<f8", "1/pulse"),
    Column("sensitivity", "<f8", ""),
    Column("hits", "<f8", ""),
    Column("pulses", "<f8", "pulse"),
    Column("background", "<f8", ""),
    Column("energy_state", "|u1", ""),
    Column("valid", "|u1", ""),
    Column("shadow_v_dc_v", "<f8", "V"),  # what a shadow law proposed; NaN without one
    Column("shadow_log_rate", "<f8", ""),
    Column("shadow_sensitivity", "<f8", ""),
    Column("margin", "<f8", ""),  # smallest margin of all rules that act, 1 far, 0 triggers; NaN unknown
    Column("margin_rule", "<i2", ""),  # whose, by its place in the table of `evapd rules`; -1 none
    Column("lateness_us", "<f8", "us"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSample:
    """One row of the `loop.` frames; NaN is unknown. Names and order are those of `LOOP_COLUMNS`."""

    t_mono_us: int
    pulse: int
    v_dc_set_v: float
    v_dc_v: float
    v_dc_t_us: int
    v_p_set_v: float
    v_p_v: float
    v_p_t_us: int
    pulse_energy_set_pj: float = math.nan
    pulse_energy_pj: float = math.nan
    i_a: float
    rate: float
    log_rate: float
    log_rate_sd: float
    target_rate: float
    sensitivity: float
    hits: float
    pulses: float
    background: float
    energy_state: int
    valid: int
    shadow_v_dc_v: float
    shadow_log_rate: float
    shadow_sensitivity: float
    margin: float = math.nan
    margin_rule: int = -1


@dataclass(frozen=True, slots=True)
class SupplyOrder:
    """What one of the detector's supplies shall do; output None leaves it as it is."""

    name: str
    v_v: float
    output: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What shall be; None commands nothing. Names in `make_safe` are devices to be made safe now."""

    state: EnergyState
    v_dc_v: float | None = None
    output: bool | None = None
    v_p_v: float | None = None
    pulser_rate_hz: float | None = None
    pulser_enable: bool | None = None
    pulse_energy_pj: float | None = None  # laser mode
    shutter: bool | None = None  # of the laser: open or closed
    emission: bool | None = None  # of the laser; off is `make_safe`
    make_safe: tuple[str, ...] = ()
    supplies: tuple[SupplyOrder, ...] = ()  # of the detector
    crowbar: bool | None = None
    heartbeat: bool | None = None  # level of its output; None: it stays as it is
    events: tuple[Event, ...] = ()
    sample: LoopSample | None = None
