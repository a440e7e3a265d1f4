"""What rules look at, without a guard around it: counts, readings and settings that a test turns, in virtual time."""

from dataclasses import dataclass, field
from dataclasses import replace as changed

from evapd.config.model import Rig
from evapd.control.types import Setpoint
from evapd.device.readings import (
    GaugeReading,
    HighVoltageReading,
    PulseAmplitudeReading,
    PulserReading,
    ThermometerReading,
)
from evapd.guard.energy import EnergyState
from evapd.guard.rates import RateMeter
from evapd.guard.rules.base import View
from evapd.guard.supply_model import SupplyModel
from evapd.guard.types import DeviceView, GuardSettings, Inputs, LinkView, RunSettings
from evapd.link import LinkFlag, LinkRecord
from support.guard_bench import make_rig

ROLES = {
    "hv": "specimen",
    "trigger": "pulser",
    "amplitude": "pulse",
    "gauge": "vacuum",
    "cryo": "temperature",
}
RECORD_S = 0.01


@dataclass
class Scene:
    """`run_s` lets time pass; `view` is what a rule is shown now."""

    rig: Rig = field(default_factory=make_rig)
    state: EnergyState = EnergyState.EVAPORATING
    now_s: float = 100.0
    v_v: float = 5000.0
    v_set_v: float = 5000.0
    i_a: float | None = 5e-6
    pulser_hz: float = 200e3
    enabled: bool | None = True
    v_p_v: float = 1000.0
    pressure_pa: float | None = 1e-8
    temperature_k: float | None = 50.0
    hits_hz: float = 2000.0  # in the window
    background_hz: float = 5.0
    early_hz: float = 0.0
    dark_hz: float = 5.0
    trigger_hz: float = 2005.0
    pulses_hz: float = 200e3  # that are counted
    map_hits: int = 2000
    hot_hits: int = 20
    heartbeat_age_s: float = 0.0
    flags: LinkFlag = LinkFlag.ARMED | LinkFlag.RUN_ACTIVE
    records: bool = True  # acquire sends
    unknown: set = field(default_factory=set)
    stuck: set = field(default_factory=set)  # devices whose reading stays the last one
    state_flags: dict = field(default_factory=dict)
    sensitivity: float | None = 60.0
    wished_v: float | None = None
    looks: dict = field(default_factory=dict)  # more fields of the view

    def __post_init__(self):
        self.settings = GuardSettings(rig=self.rig, v_p_min_v=328.0, v_p_max_v=1400.0)
        self.rates = RateMeter(self.settings.background_ratio)
        self.model = SupplyModel(0.05, 0.5)
        self.model.start(self.v_set_v, self.now_s - 1.0)
        self.pulsing_since_s = self.now_s - 1.0
        self.counts = dict.fromkeys(("hits", "background", "early", "dark", "trigger", "pulses"), 0.0)
        self.seq = 0
        self.readings = {}
        self._inputs()

    def record(self, extra: int = 0) -> LinkRecord:
        """One record further; `extra` hits come at once."""
        self.now_s += RECORD_S
        for name in self.counts:
            self.counts[name] += getattr(self, f"{name}_hz") * RECORD_S
        self.counts["hits"] += extra
        self.seq += 1
        n = {name: int(value + 1e-6) for name, value in self.counts.items()}
        return LinkRecord(
            seq=self.seq,
            t_mono_ns=round(self.now_s * 1e9),
            flags=self.flags,
            pulse_counter=n["pulses"],
            live_pulses=n["pulses"],
            hits_window=n["hits"],
            background_hits=n["background"],
            hits_total=n["hits"] + n["dark"] + n["early"],
            triggers=n["trigger"],
            early_hits=n["early"],
            map_hits=self.map_hits,
            hot_hits=self.hot_hits,
            heartbeat_age_us=round(1e6 * self.heartbeat_age_s),
        )

    def run_s(self, seconds: float, *rules) -> list:
        """Let time pass, showing the view to rules every 50 ms; gives what they found."""
        found = []
        for _ in range(round(seconds / (5 * RECORD_S))):
            taken = [self.record() for _ in range(5)]
            if self.records:
                self.rates.take(taken)
            self.model.advance(self.v_set_v, self.now_s)
            found += self.look(*rules)
        return found

    def burst(self, hits: int, *rules) -> list:
        """Let hits come within one record."""
        self.rates.take([self.record(extra=hits)])
        return self.look(*rules)

    def look(self, *rules) -> list:
        """Show the view to rules; gives what they found."""
        view = self.view()
        return [finding for rule in rules if (finding := rule.check(view)) is not None]

    def view(self) -> View:
        """What a rule is shown now."""
        values = {
            "now_s": self.now_s,
            "state": self.state,
            "settings": self.settings,
            "run": RunSettings.of(self.rig),
            "inputs": self._inputs(),
            "rates": self.rates,
            "model": self.model,
            "v_set_v": self.v_set_v,
            "v_p_set_v": 1000.0,
            "proposal": Setpoint(
                v_dc_v=self.v_set_v if self.wished_v is None else self.wished_v, sensitivity=self.sensitivity
            ),
            "entered_s": 90.0,
            "pulsing_since_s": self.pulsing_since_s,
        }
        return View(**(values | self.looks))

    def set_guard(self, **thresholds) -> "Scene":
        """Change thresholds."""
        guard = self.rig.guard.model_copy(update=thresholds)
        self.rig = self.rig.model_copy(update={"guard": guard})
        self.settings = changed(self.settings, rig=self.rig)
        return self

    def _inputs(self) -> Inputs:
        t_s = self.now_s
        fresh = {
            "hv": HighVoltageReading(
                t_mono_s=t_s, v_set_v=self.v_set_v, v_meas_v=self.v_v, i_meas_a=self.i_a, output_on=True, **self.state_flags
            ),
            "trigger": PulserReading(t_mono_s=t_s, rate_hz=self.pulser_hz, enabled=self.enabled),
            "amplitude": PulseAmplitudeReading(t_mono_s=t_s, v_p_v=self.v_p_v, in_range=True, output_on=True),
            "gauge": GaugeReading(t_mono_s=t_s, pressure_pa={"main": self.pressure_pa}, status={"main": "off"}),
            "cryo": ThermometerReading(t_mono_s=t_s, temperature_k={"tip": self.temperature_k}, status={"tip": "open"}),
        }  # fmt: skip
        self.readings |= {name: reading for name, reading in fresh.items() if name not in self.stuck}
        devices = {
            name: DeviceView(
                name=name, role=ROLES[name], known=name not in self.unknown, reading=reading, why="silent"
            )
            for name, reading in self.readings.items()
        }
        return Inputs(devices=devices, link=LinkView(connected=True))
