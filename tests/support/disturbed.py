"""A simulated rig in virtual time that events disturb: physics, three instruments at no cable, and the engine."""

from typing import Any

import numpy as np

from evapd_sim.disturb.catalogue import read_event
from evapd_sim.disturb.engine import Disturbances
from evapd_sim.disturb.event import Scene
from evapd_sim.step import StepResult
from evapd_sim.wire.base import Wire
from evapd_sim.wire.ea_scpi import EaScpiWire
from evapd_sim.wire.fug_probus import FugProbusWire
from evapd_sim.wire.tdc_stream import TdcStreamWire
from support.sim_rig import QUIET, energise, experiment, threshold_v

STEP_S = 0.005


class DisturbedRig:
    """At the threshold unless asked otherwise; steps of 5 ms."""

    def __init__(self, script: list[dict[str, Any]] | None = None, **settings: Any) -> None:
        settings = {"detector": QUIET, "multi_hit": {"probability": 0}, **settings}
        self.physics = experiment(**settings)
        self.plant = self.physics.plant
        self.hv = FugProbusWire(self.plant, adc_ideal=True)
        self.charger = EaScpiWire(self.plant)
        self.tdc = TdcStreamWire(self.plant)
        self.wires: dict[str, Wire] = {"hv": self.hv, "charger": self.charger, "tdc": self.tdc}
        scene = Scene(self.plant, self.wires, {}, self.physics, np.random.default_rng(7))
        self.engine = Disturbances(scene, [read_event(event) for event in script or []], clock=lambda: 0.0)
        if settings.get("mode") != "laser":
            energise(self.physics, threshold_v(self.physics))

    def do(self, event: str, /, **values: Any) -> None:
        """Let an event come now."""
        self.engine.do(read_event({"do": event, **values}))

    def run(self, seconds: float) -> list[StepResult]:
        """Let physics and engine run; the instruments stand still."""
        results = []
        for _ in range(round(seconds / STEP_S)):
            self.engine.advance(STEP_S)
            results.append(self.physics.step(STEP_S))
        return results

    def run_instruments(self, seconds: float) -> list[StepResult]:
        """The same with the instruments' own time."""
        results = []
        for _ in range(round(seconds / STEP_S)):
            results += self.run(STEP_S)
            for wire in self.wires.values():
                wire.advance(self.engine.time_s)
        return results

    def ask(self, wire: Wire, command: bytes) -> bytes:
        """Send a line to an instrument now."""
        return wire.receive(command, self.engine.time_s)


def ions(results: list[StepResult]) -> int:
    """How many ions left the imaged cap."""
    return sum(result.truth.evaporated for result in results)


def pulsed_rate(results: list[StepResult]) -> float:
    """Mean number of ions per live pulse that the barrier gave, in the last step."""
    return results[-1].truth.ions_per_pulse
