"""A virtual rig for the guard's core: a supply that falls slowly, a pulser, an amplitude, a specimen that evaporates, acquire.

Seconds are virtual; commands reach an instrument after `delay_s`, readings are taken every tick.
"""

import math
from dataclasses import dataclass, field

from evapd.config.model import Rig
from evapd.device.readings import (
    GaugeReading,
    HighVoltageReading,
    PulseAmplitudeReading,
    PulserReading,
    ThermometerReading,
)
from evapd.guard.core import GuardCore
from evapd.guard.energy import EnergyState
from evapd.guard.types import Decision, DeviceView, GuardSettings, Inputs, LinkView
from evapd.link import LinkFlag, LinkRecord, short_digest

DIGEST = "00112233445566778899aabbccddeeff"
TICK_S = 0.05
RECORD_S = 0.01


def make_rig(**sections) -> Rig:
    device = {"driver": "x", "settings": {"connect": "tcp:h:1"}}
    content = {
        "name": "bench",
        "devices": {
            "hv": device | {"role": "specimen"},
            "trigger": device | {"role": "pulser"},
            "amplitude": device | {"role": "pulse"},
            "gauge": device | {"role": "vacuum"},
            "cryo": device | {"role": "temperature"},
        },
        "anode": "anode.yaml",
        "instrument": {
            "flight_path_mm": 110,
            "tof_window_ns": (60, 1500),
            "background_window_ns": (2500, 3940),
        },
        "specimen": {"name": "tip", "v_dc_max_v": 8000, "v_tot_max_v": 9000, "temperature_k": 50},
        "pulse": {"rate_hz": 200e3, "fraction": 0.2},
        "control": {
            "law": "pi-log",
            "v_start_v": 1600,
            "v_min_v": 500,
            "v_max_v": 7000,
            "max_slew_up_hunting": 0.03,
        },
        "guard": {
            "hv_tau_down_s": 0.5,
            "pressure_max_pa": 1e-5,
            "temperature_deviation_k": 5,
            "start_ramp_v_per_s": 400,
            "attended": False,
        },
    }
    for name, section in sections.items():
        content[name] = content[name] | section
    return Rig.model_validate(content)


@dataclass
class Bench:
    """Steps the core and the virtual instruments together."""

    rig: Rig = field(default_factory=make_rig)
    law: object = None
    now_s: float = 100.0
    v_v: float = 0.0
    v_set_v: float = 0.0
    output_on: bool = False
    tau_down_s: float = 0.5
    follows: bool = True  # False: the output ignores the set point
    obeys: bool = True  # False: no command reaches the specimen supply
    enabled: bool = True
    rate_hz: float = 1000.0
    v_p_v: float = 0.0
    v_p_on: bool = False
    v_p_scale: float = 1.0
    threshold_v: float = 2000.0  # V_dc at which the rate is the target
    sensitivity: float = 60.0
    by_v_tot: bool = False  # V_dc + V_p evaporates; threshold_v is then V_dc at a pulse fraction of 0.2
    dark_hz: float = 5.0
    pressure_pa: float | None = 1e-8
    temperature_k: float | None = 50.0
    unknown: set = field(default_factory=set)
    state_flags: dict = field(default_factory=dict)  # extra fields of the supply's reading
    connected: bool = True
    disconnects: int = 0
    silent_tdc: bool = False
    stalled: bool = False  # acquire sends nothing
    burst: float = 1.0  # factor on the hits
    flags: LinkFlag = LinkFlag.ARMED | LinkFlag.RUN_ACTIVE
    decisions: list = field(default_factory=list)
    events: list = field(default_factory=list)

    def __post_init__(self):
        settings = GuardSettings(rig=self.rig, digest=DIGEST, v_p_min_v=328.0, v_p_max_v=1400.0)
        self.core = GuardCore(settings) if self.law is None else GuardCore(settings, lambda *_: self.law)
        self.seq = 0
        self.pulses = self.hits = self.background = 0.0
        self.heartbeat_s = self.now_s
        self.made_safe = []

    @property
    def state(self) -> EnergyState:
        return self.core.state

    @property
    def decision(self) -> Decision:
        return self.decisions[-1]

    @property
    def live(self) -> bool:
        return self.enabled

    def devices(self) -> dict:
        readings = {
            "hv": HighVoltageReading(
                t_mono_s=self.now_s, v_set_v=self.v_set_v, v_meas_v=self.v_v, i_meas_a=0.0, output_on=self.output_on,
                **self.state_flags,
            ),
            "trigger": PulserReading(t_mono_s=self.now_s, rate_hz=self.rate_hz, enabled=self.enabled),
            "amplitude": PulseAmplitudeReading(
                t_mono_s=self.now_s, v_p_v=self.v_p_v * self.v_p_scale, in_range=True, output_on=self.v_p_on
            ),
            "gauge": GaugeReading(
                t_mono_s=self.now_s, pressure_pa={"analysis": self.pressure_pa}, status={"analysis": "sensor off"}
            ),
            "cryo": ThermometerReading(
                t_mono_s=self.now_s, temperature_k={"tip": self.temperature_k}, status={"tip": "no sensor"}
            ),
        }  # fmt: skip
        roles = {
            "hv": "specimen",
            "trigger": "pulser",
            "amplitude": "pulse",
            "gauge": "vacuum",
            "cryo": "temperature",
        }
        return {
            name: DeviceView(
                name=name, role=roles[name], known=name not in self.unknown, reading=reading, why="silent"
            )
            for name, reading in readings.items()
        }

    def record(self) -> LinkRecord:
        self.seq += 1
        return LinkRecord(
            seq=self.seq,
            t_mono_ns=round(self.now_s * 1e9),
            flags=self.flags,
            pulse_counter=int(self.pulses),
            live_pulses=int(self.pulses),
            hits_window=int(self.hits),
            background_hits=int(self.background),
            hits_total=int(self.hits) + int(self.background),
            heartbeat_age_us=min(2**32 - 1, round((self.now_s - self.heartbeat_s) * 1e6)),
            config=short_digest(DIGEST),
        )

    def advance(self, dt_s: float) -> None:
        """Let physics and acquire run."""
        self.now_s += dt_s
        demand_v = self.v_set_v if self.output_on and self.follows else 0.0
        tau_s = 0.05 if demand_v > self.v_v else self.tau_down_s
        self.v_v += (demand_v - self.v_v) * -math.expm1(-dt_s / tau_s)
        if not self.silent_tdc:
            self.heartbeat_s = self.now_s
            if self.enabled:
                pulses = self.rate_hz * dt_s
                v_v = (self.v_v + self.v_p_v) / 1.2 if self.by_v_tot else self.v_v
                rate = 0.01 * (max(v_v, 1.0) / self.threshold_v) ** self.sensitivity * self.burst
                self.pulses += pulses
                self.hits += pulses * min(rate, 2.0) + self.dark_hz * dt_s
                self.background += self.dark_hz * dt_s

    def carry_out(self, decision: Decision) -> None:
        self.decisions.append(decision)
        self.events += decision.events
        if decision.pulser_enable is not None:
            self.enabled = decision.pulser_enable
        self.rate_hz = decision.pulser_rate_hz or self.rate_hz
        if decision.v_p_v is not None:
            self.v_p_v, self.v_p_on = decision.v_p_v, True
        if self.obeys:
            self.v_set_v = self.v_set_v if decision.v_dc_v is None else decision.v_dc_v
            self.output_on = self.output_on if decision.output is None else decision.output
        for name in decision.make_safe:
            self.made_safe.append(name)
            if name == "hv" and self.obeys:
                self.v_set_v, self.output_on = 0.0, False
            elif name == "trigger":
                self.enabled = False
            elif name == "amplitude":
                self.v_p_v, self.v_p_on = 0.0, False

    def inputs(self, records=()) -> Inputs:
        link = LinkView(connected=self.connected, disconnects=self.disconnects, records=tuple(records))
        return Inputs(devices=self.devices(), link=link)

    def tick(self) -> Decision:
        """One tick: five records of acquire, reactions to each, then the whole step."""
        for _ in range(round(TICK_S / RECORD_S)):
            self.advance(RECORD_S)
            if self.connected and not self.stalled:
                self.carry_out(self.core.react(self.inputs([self.record()]), self.now_s))
        self.carry_out(self.core.tick(self.inputs(), self.now_s))
        return self.decision

    def run_s(self, duration_s: float) -> None:
        """Let virtual time pass."""
        for _ in range(round(duration_s / TICK_S)):
            self.tick()

    def until(self, state: EnergyState, within_s: float) -> float:
        """Let time pass until a state is reached; gives how long it took."""
        start_s = self.now_s
        while self.state is not state:
            assert self.now_s - start_s < within_s, (
                f"{self.state.label} instead of {state.label}: {self.said()}"
            )
            self.tick()
        return self.now_s - start_s

    def said(self, kind: str | None = None) -> list[str]:
        return [event.what for event in self.events if kind in (None, event.kind)]

    def begin(self) -> "Bench":
        """From nothing to a run that was begun."""
        self.until(EnergyState.STANDBY, 2.0)
        self.core.run_begin("run-1", DIGEST, self.now_s)
        return self

    def evaporating(self) -> "Bench":
        """From nothing to the law in charge."""
        self.begin().until(EnergyState.EVAPORATING, 20.0)
        return self

    def lose_acquire(self) -> None:
        self.connected, self.disconnects = False, self.disconnects + 1
