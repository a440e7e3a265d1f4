"""Virtual supplies of a detector and a module with contacts, for the guard's parts that look at them: seconds are virtual."""

import math
from dataclasses import dataclass, field

from evapd.config.model import Rig
from evapd.device.readings import DigitalReading, GaugeReading, HighVoltageReading, Reading
from evapd.guard.types import Decision, DeviceView, GuardSettings, Inputs, LinkView, SupplyOrder
from support.guard_bench import make_rig

TICK_S = 0.05
SUPPLIES = {
    "mcp": {"v_v": 2000.0, "step_v": 100.0, "current_max_a": 100e-6},
    "signal": {"v_v": 2300.0, "step_v": 45.0, "current_max_a": 50e-6},
    "reference": {"v_v": 2250.0, "step_v": 45.0},
}
DETECTOR = {
    "supplies": SUPPLIES, "dwell_s": 0.2, "down_dwell_s": 0.1, "settle_s": 2.0, "dark_rate_max_hz": 100.0,
    "wires": ("signal", "reference"),
}  # fmt: skip
CONTACTS = {
    "inputs": {name: {"kind": name} for name in ("door", "valve", "water", "ups", "relay")},
    "inhibit": "inhibit", "heartbeat": "heartbeat",
    "crowbar": {"output": "crowbar", "causes": ["interlock", "arc", "abort"]},
}  # fmt: skip
LEVELS = dict.fromkeys(("door", "valve", "water", "ups", "relay"), True) | dict.fromkeys(
    ("inhibit", "heartbeat", "crowbar"), False
)


def detector_rig(**sections) -> Rig:
    """The bench's rig with detector supplies and a digital module."""
    device = {"driver": "x", "settings": {"connect": "tcp:h:2"}}
    added = {
        "mcp": device | {"role": "mcp"},
        "signal": device | {"role": "anode"},
        "reference": device | {"role": "anode"},
        "dio": device | {"role": "io"},
    }
    rig = make_rig(devices=added).model_dump()
    rig["detector"], rig["contacts"] = DETECTOR, CONTACTS
    for name, section in sections.items():
        rig[name] = section if rig.get(name) is None else {**rig[name], **section}
    return Rig.model_validate(rig)


def settings(**sections) -> GuardSettings:
    return GuardSettings(rig=detector_rig(**sections), digest="00" * 16, v_p_min_v=328.0, v_p_max_v=1400.0)


@dataclass
class Supply:
    """One supply that follows its set point with a time constant."""

    v_v: float = 0.0
    v_set_v: float = 0.0
    on: bool = False
    tau_s: float = 0.05
    i_a: float = 1e-6
    deaf: bool = False
    flags: dict = field(default_factory=dict)

    def advance(self, dt_s: float) -> None:
        demand_v = self.v_set_v if self.on else 0.0
        self.v_v += (demand_v - self.v_v) * -math.expm1(-dt_s / self.tau_s)

    def obey(self, order: SupplyOrder) -> None:
        if not self.deaf:
            self.v_set_v, self.on = order.v_v, self.on if order.output is None else order.output

    def read(self, t_s: float) -> HighVoltageReading:
        fields = {"v_set_v": self.v_set_v, "v_meas_v": self.v_v, "i_meas_a": self.i_a, "output_on": self.on}
        return HighVoltageReading(t_mono_s=t_s, **fields | self.flags)


@dataclass
class DetectorRig:
    """Supplies, module and gauge; `inputs` shows them, `carry_out` obeys."""

    now_s: float = 100.0
    supplies: dict[str, Supply] = field(default_factory=lambda: {name: Supply() for name in SUPPLIES})
    levels: dict[str, bool] = field(default_factory=lambda: dict(LEVELS))
    pressure_pa: float | None = 1e-8
    unknown: set[str] = field(default_factory=set)
    beats_arrive: bool = True

    def devices(self) -> dict[str, DeviceView]:
        roles = {"mcp": "mcp", "signal": "anode", "reference": "anode", "dio": "io", "gauge": "vacuum"}
        readings: dict[str, Reading] = {name: one.read(self.now_s) for name, one in self.supplies.items()}
        readings["dio"] = DigitalReading(t_mono_s=self.now_s, levels=dict(self.levels))
        readings["gauge"] = GaugeReading(
            t_mono_s=self.now_s, pressure_pa={"analysis": self.pressure_pa}, status={"analysis": "sensor off"}
        )
        return {
            name: DeviceView(
                name=name, role=roles[name], known=name not in self.unknown, reading=reading, why="silent"
            )
            for name, reading in readings.items()
        }

    def inputs(self) -> Inputs:
        return Inputs(devices=self.devices(), link=LinkView(connected=True))

    def advance(self, dt_s: float = TICK_S) -> None:
        self.now_s += dt_s
        for one in self.supplies.values():
            one.advance(dt_s)

    def carry_out(self, decision: Decision) -> None:
        for order in decision.supplies:
            self.supplies[order.name].obey(order)
        for name in decision.make_safe:
            if name in self.supplies and not self.supplies[name].deaf:
                self.supplies[name].v_set_v, self.supplies[name].on = 0.0, False
        if decision.crowbar is not None:
            self.levels["crowbar"] = decision.crowbar
        if decision.heartbeat is not None and self.beats_arrive:
            self.levels["heartbeat"] = decision.heartbeat
