"""The guard's virtual rig in laser mode: a laser that takes its time and is read ten times a second."""

from dataclasses import dataclass, field

from evapd.config.model import Rig
from evapd.device.readings import LaserReading
from evapd.guard.types import Decision, DeviceView
from support.guard_bench import Bench, make_rig

ENERGY_PJ = 20.0
_ACTS_AFTER_S = 0.1
_READ_EVERY_S = 0.1
_STEEPNESS = 7.0  # d ln rate / d ln energy


def laser_rig(*, required: bool = True, **sections) -> Rig:
    """The bench's rig with a laser at 20 pJ and without a pulse amplitude's voltage."""
    laser = {"driver": "x", "settings": {"connect": "tcp:h:2"}, "role": "laser", "required": required}
    pulse = {"mode": "laser", "energy_pj": ENERGY_PJ} | sections.pop("pulse", {})
    return make_rig(devices={"laser": laser}, pulse=pulse, **sections)


@dataclass
class LaserBench(Bench):
    """Commands act a tenth of a second later; `told` keeps each change of what was asked, with its time."""

    rig: Rig = field(default_factory=laser_rig)
    emission: bool | None = False
    shutter_open: bool | None = False
    energy_set_pj: float = 0.0
    energy_scale: float = 1.0  # of what the monitor reads
    laser_rate_hz: float = 50e3
    warm: bool = True  # False: it refuses to emit
    fault: bool = False
    told: list = field(default_factory=list)

    def __post_init__(self):
        super().__post_init__()
        self._pending = []
        self._asked = {}
        self._read_s = -1.0
        self._reading = None

    @property
    def lit(self) -> bool:
        return bool(self.emission and self.shutter_open)

    def devices(self) -> dict:
        if self.now_s - self._read_s >= _READ_EVERY_S:
            self._read_s = self.now_s
            shown_pj = self.energy_set_pj * self.energy_scale if self.lit else 0.0
            self._reading = LaserReading(
                t_mono_s=self.now_s, energy_pj=shown_pj, rate_hz=self.laser_rate_hz, emission=self.emission,
                shutter_open=self.shutter_open, energy_set_pj=self.energy_set_pj, fault=self.fault,
            )  # fmt: skip
        required = self.rig.devices["laser"].required
        known = "laser" not in self.unknown
        view = DeviceView(
            name="laser", role="laser", required=required, known=known, reading=self._reading, why="silent"
        )
        return super().devices() | {"laser": view}

    def advance(self, dt_s: float) -> None:
        due = [one for one in self._pending if one[0] <= self.now_s]
        self._pending = [one for one in self._pending if one[0] > self.now_s]
        for _, name, value in due:
            setattr(self, name, value)
        self.burst = (self.energy_set_pj * self.energy_scale / ENERGY_PJ) ** _STEEPNESS if self.lit else 0.0
        super().advance(dt_s)

    def carry_out(self, decision: Decision) -> None:
        super().carry_out(decision)
        self._ask("laser_rate_hz", decision.pulser_rate_hz if decision.pulse_energy_pj is not None else None)
        self._ask("energy_set_pj", decision.pulse_energy_pj)
        self._ask("shutter_open", decision.shutter)
        self._ask("emission", decision.emission if self.warm else None)
        if "laser" in decision.make_safe:
            self._pending = [
                (self.now_s + _ACTS_AFTER_S, name, False) for name in ("emission", "shutter_open")
            ]

    def _ask(self, name: str, value: object) -> None:
        """As the guard's own sender: once when it changes."""
        before, self._asked[name] = self._asked.get(name), value
        if value is not None and value != before:
            self.told.append((self.now_s, name, value))
            self._pending.append((self.now_s + _ACTS_AFTER_S, name, value))
