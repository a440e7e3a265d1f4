"""The guard's bench with contacts, heartbeat, crowbar and detector supplies."""

from dataclasses import dataclass, field

from evapd.config.model import Rig
from evapd.guard.detector_state import DetectorState
from evapd.guard.energy import EnergyState
from support.detector_rig import DetectorRig, detector_rig
from support.guard_bench import DIGEST, Bench

S, D = EnergyState, DetectorState
RELAY_TICKS = 10  # without an edge it drops out


@dataclass
class WiredBench(Bench):
    """The bench with the detector's supplies, and a module whose relay follows the heartbeat."""

    rig: Rig = field(default_factory=detector_rig)
    wired: DetectorRig = field(default_factory=DetectorRig)
    still: int = 99  # ticks since the heartbeat's level changed

    def devices(self):
        self.wired.now_s, self.wired.pressure_pa = self.now_s, self.pressure_pa
        self.wired.unknown = self.unknown
        devices = {name: view for name, view in self.wired.devices().items() if name != "gauge"}
        return super().devices() | devices

    def advance(self, dt_s):
        super().advance(dt_s)
        for one in self.wired.supplies.values():
            one.advance(dt_s)

    def carry_out(self, decision):
        super().carry_out(decision)
        before = self.wired.levels["heartbeat"]
        self.wired.carry_out(decision)
        if decision.sample is not None:
            self.still = 0 if self.wired.levels["heartbeat"] is not before else self.still + 1
            self.wired.levels["relay"] = self.still < RELAY_TICKS
        if decision.pulser_enable is not None:
            self.wired.levels["inhibit"] = not decision.pulser_enable

    def until_detector(self, state, within_s=60.0):
        start_s = self.now_s
        while self.core.wiring.detector.state is not state:
            assert self.now_s - start_s < within_s, f"{self.core.wiring.detector.state}: {self.said()}"
            self.tick()

    def detecting(self):
        self.until(S.STANDBY, 3.0)
        self.core.detector_on(self.now_s)
        self.until_detector(D.ON)
        return self

    def wired_run(self):
        self.detecting()
        self.core.run_begin("run-1", DIGEST, self.now_s)
        self.until(S.EVAPORATING, 30.0)
        return self

    def open(self, name):
        self.wired.levels[name] = False
        opened_s = self.now_s
        while self.enabled:
            self.tick()
            assert self.now_s - opened_s < 1.0
        return self.now_s - opened_s
