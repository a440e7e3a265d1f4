"""Settings of the twins: what the simulated instrument is, as opposed to what the rig file says about it.

The rig file tells the daemon what it may believe (flight path, t0, alpha, beta, anode); the twin takes those from
there and adds what only nature knows. Nothing here is seen by the daemon's own code.
"""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from evapd.config.section import Section
from evapd.units import Degree, Hertz, Kelvin, Millimetre, Nanometre, Picosecond, Second
from evapd_sim.disturb.catalogue import AnyEvent
from evapd_sim.disturb.event import Event
from evapd_sim.effects import SignalEffects

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
# What the simulated instrument at the other end of a cable is told when it is built, such as `rated_v`.
WireOptions = dict[str, bool | int | float | str]


def _has_a_time(event: Event) -> Event:
    if event.at_once:
        raise ValueError(f"{event.do} needs a time: one of at_s, at_ions, at_v_dc_v")
    return event


Scripted = Annotated[AnyEvent, AfterValidator(_has_a_time)]


class SpecimenTwin(Section):
    """The tip: shape, composition and barrier."""

    composition: dict[str, Positive] = Field(default_factory=lambda: {"Al": 0.4, "Fe": 0.6})
    radius_nm: Annotated[Nanometre, Field(gt=1, le=1000)] = 45.0
    shank_angle_deg: Annotated[Degree, Field(ge=0, lt=60)] = 5.0  # half angle
    view_angle_deg: Annotated[Degree, Field(gt=0, lt=80)] = 28.0  # half angle of the cap that is imaged
    image_compression: Annotated[float, Field(ge=1, le=2)] = 1.65
    field_reduction: Annotated[float, Field(ge=1, le=10)] = 3.3  # k_f in F = V / (k_f R)
    field_v_per_nm: Positive | None = None  # of the alloy; None: mean of the elements by fraction
    preferential: Fraction = 0.0  # how much of its own field an element keeps in the alloy
    barrier_factor: dict[str, Positive] = Field(default_factory=dict)  # by element, on C; others 1
    field_factor: Positive = 1.0
    temperature_k: Annotated[Kelvin, Field(gt=1, le=400)] = 50.0
    sensitivity: Annotated[float, Field(ge=5, le=2000)] = 60.0  # d ln rate / d ln V at `sensitivity_rate`
    sensitivity_rate: Annotated[float, Field(gt=0, lt=1)] = 0.01  # detected hits per pulse
    barrier_ev: Positive | None = None  # C of Q = C (1 - F/F0); where given, `sensitivity` is not used
    kink_sites: Positive = 200.0
    attempt_hz: Positive = 1e12
    pulse_top_s: Annotated[Second, Field(gt=0, lt=1e-6)] = 1e-9
    ceiling_ions_per_s: Positive = 4e6  # evaporation never exceeds this; a real tip would flash


class MultiHitTwin(Section):
    """Correlated evaporation: each event is a cascade of a geometric number of ions."""

    probability: Annotated[float, Field(ge=0, lt=0.9)] = 0.1  # that another ion follows
    spread_nm: Annotated[Nanometre, Field(ge=0)] = 1.0  # sigma of its place, per axis, from the first ion
    delay_ps: Annotated[Picosecond, Field(ge=0)] = 50.0  # mean of its exponential delay


class FlightTwin(Section):
    """What blurs a time of flight before the detector does."""

    deficit_sigma: Annotated[float, Field(ge=0, lt=0.1)] = 0.0015  # half-normal, of the energy, voltage mode
    deficit_tail: Annotated[float, Field(ge=0, lt=0.1)] = 0.004  # exponential, on `deficit_tail_fraction`
    deficit_tail_fraction: Fraction = 0.15
    laser_delay_ps: Annotated[Picosecond, Field(ge=0)] = 200.0  # sigma of the departure, laser mode
    laser_tail_ps: Annotated[Picosecond, Field(ge=0)] = 1000.0  # exponential cooling tail
    laser_tail_fraction: Fraction = 0.4
    laser_heating_k_per_pj: Annotated[float, Field(ge=0)] = 2.0  # rise of the apex at the pulse


class DetectorTwin(SignalEffects):
    """Micro-channel plate, delay lines and time-to-digital converter."""

    efficiency: Annotated[float, Field(gt=0, le=1)] = 0.6
    saturation_ions: Positive = 3.0  # per pulse: the k-th ion is seen with exp(-k / this)
    dark_rate_hz: Annotated[Hertz, Field(ge=0, le=1e6)] = 5.0
    jitter_ps: Annotated[Picosecond, Field(ge=0)] | None = None  # sigma per signal; None: the anode file's
    dead_time_ps: Annotated[Picosecond, Field(ge=0)] | None = None  # per channel; None: the anode file's
    missing: Annotated[float, Field(ge=0, lt=1)] = 0.02  # probability per signal
    noise_hz: Annotated[Hertz, Field(ge=0, le=1e6)] = 50.0  # lone words per channel
    fifo_hits_per_s: Positive = 5e5  # above this the TDC says SATURATED
    bin_ps: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] = (5000, 384)


class SuppliesTwin(Section):
    """How real outputs follow their demands: a supply sources current but does not sink it."""

    tau_up_s: Annotated[Second, Field(gt=0)] = 0.05
    tau_down_s: Annotated[Second, Field(gt=0)] = 0.5
    pulse_tau_up_s: Annotated[Second, Field(gt=0)] = 0.02
    pulse_tau_down_s: Annotated[Second, Field(gt=0)] = 0.05
    pulser_gain: Positive = 21.875  # V_p at the specimen per volt of the pulse supply


class CryostatTwin(Section):
    """How the stage follows the controller's set point, and the tip the stage."""

    stage_sensor: str = "A"
    tip_sensor: str = "B"
    tip_above_stage_k: Annotated[Kelvin, Field(ge=0, le=100)] = 2.0
    stage_tau_s: Annotated[Second, Field(gt=0)] = 60.0
    tip_tau_s: Annotated[Second, Field(gt=0)] = 5.0


class StageTwin(Section):
    """The mechanics of every axis of the stage."""

    travel_mm: tuple[Millimetre, Millimetre] = (-25.0, 25.0)  # between its end stops, from the reference mark
    velocity_mm_per_s: Positive = 5.0
    scatter_mm: Annotated[Millimetre, Field(ge=0, le=1)] = 50e-6  # sigma of where a move comes to rest
    backlash_mm: Annotated[Millimetre, Field(ge=0, le=1)] = (
        100e-6  # between drive and specimen: no encoder sees it
    )
    drift_mm_per_h: Annotated[float, Field(ge=-1, le=1)] = (
        200e-6  # of the specimen against the encoder, by heat
    )


class AtomProbeTwin(Section):
    """A simulated atom probe (`twin: kind: atom-probe`)."""

    model_config = ConfigDict(defer_build=True)  # of the two kinds a program needs one

    seed: Annotated[int, Field(ge=0)] = 0
    step_s: Annotated[Second, Field(ge=0.001, le=0.005)] = 0.005  # TDC heartbeats must not be further apart
    specimen: SpecimenTwin = SpecimenTwin()
    multi_hit: MultiHitTwin = MultiHitTwin()
    flight: FlightTwin = FlightTwin()
    detector: DetectorTwin = DetectorTwin()
    supplies: SuppliesTwin = SuppliesTwin()
    cryostat: CryostatTwin = CryostatTwin()
    stage: StageTwin = StageTwin()
    wires: dict[str, WireOptions] = Field(default_factory=dict)  # by device name
    script: list[Scripted] = Field(default_factory=list)  # disturbances, see `evapd-sim events`


class ReplaySignals(SignalEffects):
    """The signal model of a replay: exact but for the TDC's bins, unless asked otherwise."""

    jitter_ps: Annotated[Picosecond, Field(ge=0)] = 0.0
    dead_time_ps: Annotated[Picosecond, Field(ge=0)] = 0.0
    missing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    bin_ps: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] = (5000, 384)


class ReplayTwin(Section):
    """Recorded hits played through the signal model (`twin: kind: replay`)."""

    model_config = ConfigDict(defer_build=True)  # of the two kinds a program needs one

    seed: Annotated[int, Field(ge=0)] = 0
    step_s: Annotated[Second, Field(ge=0.001, le=0.005)] = 0.005
    data: str  # file name below the folder that EVAPD_DATA names, or an absolute path
    speed: Annotated[float, Field(gt=0, le=1000)] = 1.0  # times real time; epoch units are taken as ms
    lead_s: Annotated[Second, Field(ge=0, le=60)] = 1.5  # from arming to the first hit: the supply settles
    voltage_ahead_s: Annotated[Second, Field(ge=0, le=1)] = 0.03  # readback is late by its conversion
    hv_tau_s: Annotated[Second, Field(gt=0, le=1)] = 0.002
    generated_hits: Annotated[int, Field(ge=1000, le=10_000_000)] = 100_000  # where the file is absent
    signals: ReplaySignals = ReplaySignals()
    wires: dict[str, WireOptions] = Field(default_factory=dict)
    script: list[Scripted] = Field(default_factory=list)
