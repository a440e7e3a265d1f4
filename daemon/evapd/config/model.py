"""One rig: everything the daemon must know, as checked and frozen objects.

Keys carry their units; numbers may also be written as quantities (`5 kV`). Defaults are the values that
suit a first try on the simulated instrument; what concerns energy has no default.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from evapd.config.alarms import AlarmsSection
from evapd.config.live import Live
from evapd.config.metrics import Metrics
from evapd.config.record import Record
from evapd.config.section import Section
from evapd.config.stage import StageSection
from evapd.config.web import Web
from evapd.config.wiring import DETECTOR_ROLES, Contacts, Detector
from evapd.units import (
    Hertz,
    Kelvin,
    Megabyte,
    Millimetre,
    Nanometre,
    Nanosecond,
    Picojoule,
    Picosecond,
    Second,
    Volt,
)

Role = Literal[
    "specimen", "pulser", "pulse", "laser", "vacuum", "temperature", "tdc", "stage", "io",
    "mcp", "anode", "electrode", "reflectron",
]  # fmt: skip
QUICK_ROLES: frozenset[str] = frozenset({"specimen", "pulser", "pulse", "laser", "io"})
"""What carries energy, lets pulses through or tells of interlocks: read at every tick."""


def _ascending(window: tuple[float, float]) -> tuple[float, float]:
    if not window[0] < window[1]:
        raise ValueError(
            f"the window ends at {window[1]:g} ns, allowed is an end after its start {window[0]:g} ns"
        )
    return window


Window = Annotated[tuple[Nanosecond, Nanosecond], AfterValidator(_ascending)]


class DeviceSpec(Section):
    """One instrument: which driver speaks to it, what it is for, and the driver's own settings."""

    driver: str
    role: Role
    settings: dict[str, Any] = Field(default_factory=dict)
    required: bool = True  # a run does not start, and goes safe, without it


class Instrument(Section):
    """Geometry and timing that turn a time of flight into a mass-to-charge ratio."""

    flight_path_mm: Annotated[Millimetre, Field(gt=0, le=5000)]
    flight_path_kind: Literal["straight", "reflectron"] = "straight"
    t0_ps: Picosecond = 0.0
    alpha: Annotated[float, Field(gt=0.5, lt=2)] = 1.0  # scale of V_dc in the flight
    beta: Annotated[float, Field(ge=0, lt=2)] = 0.7  # part of V_p that accelerates, voltage mode
    tof_window_ns: Window = (50.0, 5000.0)  # hits that count for control
    background_window_ns: Window | None = None  # a window without ions, for the uncorrelated rate
    mcp_efficiency: Annotated[float, Field(gt=0, le=1)] | None = (
        None  # open area and gain; recorded, not used
    )


class Specimen(Section):
    """Who is on the stage and what it stands."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    v_dc_max_v: Annotated[Volt, Field(gt=0, le=30000)]
    v_tot_max_v: Annotated[Volt, Field(gt=0, le=40000)]
    elements: tuple[str, ...] = ()
    preparation: str = ""
    temperature_k: Kelvin | None = None
    initial_radius_nm: Nanometre | None = None
    shank_angle_deg: float | None = None


class Person(Section):
    """Who is responsible for the run."""

    name: str = ""
    affiliation: str = ""
    email: str = ""


class Pulse(Section):
    """Pulse settings of a run."""

    mode: Literal["voltage", "laser"] = "voltage"
    rate_hz: Annotated[Hertz, Field(ge=1, le=10e6)]
    fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # V_p / V_dc, voltage mode
    # Laser mode: energy of one pulse at the specimen, and between which energies it may be changed in a run.
    energy_pj: Annotated[Picojoule, Field(ge=0)] | None = None
    energy_min_pj: Annotated[Picojoule, Field(ge=0)] | None = None
    energy_max_pj: Annotated[Picojoule, Field(gt=0)] | None = None
    # Of the light, for the record.
    wavelength_nm: Annotated[Nanometre, Field(gt=0)] | None = None
    spot_um: Annotated[float, Field(gt=0)] | None = None  # diameter at 1/e^2 of the intensity
    polarisation_deg: Annotated[float, Field(ge=-180, le=180)] | None = None  # from the specimen's axis
    actuator: Literal["voltage", "energy", "split"] = (
        "voltage"  # what the law moves; voltage mode: V_dc alone
    )
    split: Annotated[float, Field(gt=0, lt=1)] = 0.5  # `split`: the energy's part of each change of log rate


class Control(Section):
    """The control law and its settings (see evapd.control.ControlSettings)."""

    law: Literal["imm", "pi-log", "hold", "ramp", "monitor"]
    target_rate: Annotated[float, Field(ge=1e-6, le=0.5)] = 0.01  # detected hits per live pulse
    v_start_v: Annotated[Volt, Field(ge=0)] = 0.0  # the law begins here, the supply ramps to it first
    v_min_v: Annotated[Volt, Field(ge=0)] = 0.0
    v_max_v: Annotated[Volt, Field(gt=0)]
    tick_s: Annotated[Second, Field(ge=0.02, le=0.1)] = 0.05
    delay_s: Annotated[Second, Field(ge=0, le=2)] = 0.1
    max_slew_up: Annotated[float, Field(gt=0, le=0.1)] = 0.012  # 1/s of V
    max_slew_up_hunting: Annotated[float, Field(gt=0, le=0.1)] = 0.012
    max_slew_down: Annotated[float, Field(gt=0, le=5)] = 0.30
    dark_rate_hz: Annotated[Hertz, Field(ge=0)] = 5.0
    # What the specimen is expected to hold, for the explosiveness number: the largest sudden step of its evaporation
    # field, and over how many detected ions it comes.
    expected_step: Annotated[float, Field(gt=0, lt=1)] = 0.2
    expected_transition_ions: Annotated[float, Field(gt=0)] = 20_000
    ramp_v_per_s: Annotated[float, Field(gt=0)] | None = None  # law `ramp` only
    shadow: Literal["imm", "pi-log", "hold", "ramp"] | None = None  # a law that only watches, and is recorded
    pause_drop: Annotated[float, Field(ge=0.10, le=0.15)] = 0.12  # part of V_dc by which a pause lowers it
    resume_target: Annotated[float, Field(gt=0, le=1)] = 0.2  # part of the target after a person's resume
    resume_s: Annotated[Second, Field(gt=0)] = 20.0  # until it is the whole target again
    align_v_max_v: Annotated[Volt, Field(ge=0)] | None = None  # half of what stood, where it is not given
    max_energy_slew_up: Annotated[float, Field(gt=0, le=0.1)] = 0.012  # 1/s of the pulse energy, laser mode


class Guard(Section):
    """Thresholds of the guard's rules. They may only lower energy."""

    hv_tau_up_s: Annotated[Second, Field(gt=0, le=100)] = 0.05
    hv_tau_down_s: Annotated[Second, Field(gt=0, le=100)] = 0.05
    start_ramp_v_per_s: Annotated[float, Field(gt=0)] = 200.0  # up to v_start_v
    ramp_down_v_per_s: Annotated[float, Field(gt=0)] = 2000.0
    discharged_v: Annotated[Volt, Field(gt=0)] = 50.0  # below this a supply counts as down
    readback_tolerance: Annotated[float, Field(gt=0, le=0.2)] = 0.02
    readback_grace_s: Annotated[Second, Field(gt=0)] = 0.5
    pulse_tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    stale_ticks: Annotated[int, Field(ge=2, le=10)] = 3  # a record older than this freezes the law
    heartbeat_s: Annotated[Second, Field(gt=0.01, le=2)] = 0.150  # TDC silent: inhibit at once
    silent_ramp_down_s: Annotated[Second, Field(gt=0)] = 5.0
    device_timeout_s: Annotated[Second, Field(gt=0)] = 2.0  # no fresh reading for this long: UNKNOWN
    energy_timeout_s: Annotated[Second, Field(gt=0)] = (
        0.8  # the same for what carries energy, pulses or interlocks
    )
    rate_ceiling: Annotated[float, Field(gt=1)] = 10.0  # times the target, with a floor of counts
    rate_ceiling_counts: Annotated[int, Field(ge=5)] = 60
    trigger_ceiling: Annotated[float, Field(gt=0)] = 0.5  # raw words of one channel per pulse
    hit_rate_max_hz: Annotated[Hertz, Field(gt=0)] = 2e6  # of the whole detector, whatever the target
    hot_spot_max: Annotated[float, Field(gt=0, le=1)] = 0.3  # share of the hits in one cell of 4 mm
    local_dose_max_hz: Annotated[Hertz, Field(gt=0)] | None = None  # hits per second in one cell of 4 mm
    uncorrelated_max: Annotated[float, Field(gt=0, le=1)] = 0.6  # share of the hits in the window
    current_max_a: Annotated[float, Field(gt=0)] | None = None  # of the specimen supply: more is an arc
    pulse_count_tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.01  # pulses counted against fired
    after_fracture: Literal["stop", "hold"] = "stop"  # stop: ramp down; hold: wait for a person who is there
    after_flashes: Literal["note", "hold"] = "note"  # more than three flashes in a minute
    pressure_warn_pa: Annotated[float, Field(gt=0)] | None = None
    temperature_warn_k: Annotated[Kelvin, Field(gt=0)] = 2.0
    cut: Annotated[float, Field(ge=0.1, le=0.9)] = 0.25  # part of V_dc by which such a trip draws it down
    pressure_max_pa: Annotated[float, Field(gt=0)] | None = None
    temperature_deviation_k: Annotated[Kelvin, Field(gt=0)] | None = None
    attended: bool = True
    realtime: bool = True  # ask for SCHED_FIFO; the daemon says whether it was granted

    def timeout_s(self, role: str) -> float:
        """Age of the newest reading from which on a device of that role is UNKNOWN."""
        soon = role in QUICK_ROLES or role in DETECTOR_ROLES
        return min(self.energy_timeout_s, self.device_timeout_s) if soon else self.device_timeout_s


class End(Section):
    """When a run stops by itself; the first condition that holds ends it."""

    hits: Annotated[int, Field(gt=0)] | None = None
    time_s: Annotated[Second, Field(gt=0)] | None = None
    v_dc_v: Annotated[Volt, Field(gt=0)] | None = None
    no_ions_s: Annotated[Second, Field(gt=0)] | None = None  # after evaporation once began
    source_exhausted: bool = False  # a replay: stop when the TDC says that it has no more


class Matching(Section):
    """How hits are made of TDC words: gates in standard deviations, which incomplete hits, what counts as doubtful."""

    full_sigma: Annotated[float, Field(gt=0, le=10)] = 4.5  # joint deviation of a complete hit's time sums
    missing_sigma: Annotated[float, Field(gt=0, le=10)] = 3.5  # of a hit with one signal more than unknowns
    mcp_missing_sigma: Annotated[float, Field(gt=0, le=10)] = 3.0  # same without MCP: easier met by chance
    mcp_missing: bool = True  # make hits without an MCP signal
    end_missing: bool = True  # make hits without one or more line ends
    loss: Annotated[float, Field(gt=0, lt=1)] = 0.05  # chance that a signal is missing for no reason seen
    # Log-likelihoods: by which a hit must beat what could stand in its place; that a signal costs which belongs to no
    # ion; within which another combination contests a complete hit.
    margin: float = 0.5
    unexplained: Annotated[float, Field(ge=0, le=100)] = 2.0
    contest: Annotated[float, Field(ge=0, le=100)] = 3.0
    line_end: Annotated[float, Field(gt=0, le=1)] = (
        0.85  # hex: radii from the centre beyond which a layer is bent
    )
    risky: bool = False  # make hits from three signals, which nothing checks: many are ghosts


class TimeSums(Section):
    """When the time sums of the delay lines count as drifting away from the calibration in use."""

    # Of the gate on one time sum, 4.5 sigma. With a shift of a quarter of it 0.3 % of the hits are lost, of a half 3 to 9 %.
    drift_limit: Annotated[float, Field(gt=0, le=1)] = 0.25
    window_hits: Annotated[int, Field(ge=500, le=20_000)] = 5_000  # newest hits that are looked at


class Sockets(Section):
    """Where others connect: loopback and ipc, and with keys any address (docs/security.md)."""

    stream: str = "tcp://127.0.0.1:17601"
    live: str = "tcp://127.0.0.1:17602"
    replay: str = "tcp://127.0.0.1:17603"
    control: str = "tcp://127.0.0.1:17604"
    stream_budget_mb: Annotated[Megabyte, Field(gt=0)] = 64.0  # per subscriber
    keys: Path | None = None  # folder of keys, relative to this file; with it every TCP socket demands CURVE
    max_connections: Annotated[int, Field(ge=4, le=10_000)] = 256  # at one socket


class Start(Section):
    """What `evapd run` does after everything is ready."""

    automatic: bool = False  # start a run by itself
    exit_after_run: bool = False  # and end when it is finalised


class TwinSpec(Section):
    """The simulated instrument in place of the real one; `settings` are checked by the twin's own model."""

    kind: str = "atom-probe"
    settings: dict[str, Any] = Field(default_factory=dict)


def energy_conflicts(pulse: Pulse) -> Iterator[tuple[str, str]]:
    """Find laser settings that contradict each other, as (dotted key, what is wrong)."""
    low_pj, high_pj, energy_pj = pulse.energy_min_pj or 0.0, pulse.energy_max_pj or math.inf, pulse.energy_pj
    if low_pj > high_pj:
        yield (
            "pulse.energy_min_pj",
            f"{low_pj:g} pJ is above energy_max_pj, allowed is at most {high_pj:g} pJ",
        )
    elif energy_pj is not None and not low_pj <= energy_pj <= high_pj:
        yield "pulse.energy_pj", f"{energy_pj:g} pJ is outside {low_pj:g} pJ to {high_pj:g} pJ"
    if pulse.actuator != "voltage":
        if pulse.mode != "laser":
            yield (
                "pulse.actuator",
                f"'{pulse.actuator}' moves the energy of a laser, pulse.mode is {pulse.mode}",
            )
        elif None in (energy_pj, pulse.energy_min_pj, pulse.energy_max_pj):
            yield "pulse.actuator", f"'{pulse.actuator}' needs energy_pj, energy_min_pj and energy_max_pj"


def limit_conflicts(
    specimen: Specimen | None, control: Control | None, pulse: Pulse | None
) -> Iterator[tuple[str, str]]:
    """Find voltages that contradict each other, as (dotted key, what is wrong); None is a section not known."""
    if specimen and specimen.v_tot_max_v < specimen.v_dc_max_v:
        yield (
            "specimen.v_tot_max_v",
            f"{specimen.v_tot_max_v:g} V is below v_dc_max_v, allowed is at least {specimen.v_dc_max_v:g} V",
        )
    if control and specimen and control.v_max_v > specimen.v_dc_max_v:
        yield (
            "control.v_max_v",
            f"{control.v_max_v:g} V exceeds specimen.v_dc_max_v, allowed is at most {specimen.v_dc_max_v:g} V",
        )
    if control and not control.v_min_v <= control.v_start_v <= control.v_max_v:
        span = f"{control.v_min_v:g} V to {control.v_max_v:g} V"
        yield (
            "control.v_start_v",
            f"{control.v_start_v:g} V is not between v_min_v and v_max_v, allowed is {span}",
        )
    if specimen and control and pulse and pulse.mode == "voltage":
        v_tot_v = control.v_start_v * (1.0 + pulse.fraction)
        if v_tot_v > specimen.v_tot_max_v:
            most = f"{specimen.v_tot_max_v:g} V"
            yield (
                "pulse.fraction",
                f"V_tot is {v_tot_v:g} V at v_start_v already, specimen.v_tot_max_v allows {most}",
            )
    if pulse:
        yield from energy_conflicts(pulse)


class Rig(Section):
    """A whole rig file."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    folder: Path = Path("evapd-data")  # runs, sockets, twin, caches; relative to the working directory
    devices: dict[str, DeviceSpec]
    anode: Path  # anode file, relative to this file
    instrument: Instrument
    specimen: Specimen
    operator: Person = Person()
    pulse: Pulse
    control: Control
    guard: Guard = Guard()
    contacts: Contacts = Contacts()
    detector: Detector | None = None
    stage: StageSection = StageSection()
    end: End = End()
    record: Record = Record()
    matching: Matching = Matching()
    time_sums: TimeSums = TimeSums()
    sockets: Sockets = Sockets()
    live: Live = Live()
    web: Web = Web()
    start: Start = Start()
    metrics: Metrics = Metrics()
    alarms: AlarmsSection = AlarmsSection()
    notes: str = ""
    twin: TwinSpec | None = None

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        for where, what in limit_conflicts(self.specimen, self.control, self.pulse):
            raise ValueError(f"{where}: {what}")
        return self

    @property
    def v_dc_highest_v(self) -> float:
        """Highest V_dc that this file allows, V."""
        return min(self.control.v_max_v, self.specimen.v_dc_max_v)

    def devices_with_role(self, *roles: str) -> dict[str, DeviceSpec]:
        """Devices by name that have one of the roles."""
        return {name: spec for name, spec in self.devices.items() if spec.role in roles}
