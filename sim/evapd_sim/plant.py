"""The physical quantities that instruments and physics share: what a supply really puts out, what a gauge really feels.

A wire instrument turns its own registers into demands here and reads back what is true; the physics reads and writes the same
quantities. Nothing here knows a protocol. All times are seconds of one monotonic or virtual clock; `Plant.lock` guards everything.
"""

import math
import threading
from dataclasses import dataclass, field

from evapd_sim.stage import Stage

STRIP_OHM = 100e6  # of a stack of micro-channel plates: 20 uA at 2 kV
GAS_S_PER_PA = 2.5e-5  # dark current between plates: 50 uA at 2 kV and 1e-3 Pa


@dataclass(slots=True)
class SupplyOutput:
    """A voltage output that rises and falls with different time constants.

    A supply sources current but does not sink it: downwards the cable and tip discharge through the bleeder.
    """

    tau_up_s: float = 0.05
    tau_down_s: float = 0.5
    v_v: float = 0.0  # what is really at the output
    demand_v: float = 0.0  # what the regulator asks for now, 0 when the output is off
    load_ohm: float = 1e9  # bleeder, for the current reading
    trip: bool = False
    interlock_open: bool = False  # the safety loop at the rear is open: no output, whatever is asked for
    arc_ohm: float = math.inf  # of an arc across the output
    arc_tau_s: float = math.inf  # by which the output collapses into it
    gas_s: float = 0.0  # conductance beside the load, from the gas between plates or electrodes

    @property
    def ohm(self) -> float:
        """What the output sees: the bleeder, and gas and an arc beside it."""
        conductance_s = 1.0 / self.load_ohm + self.gas_s
        if not math.isinf(self.arc_ohm):
            conductance_s += 1.0 / self.arc_ohm
        return 1.0 / conductance_s

    @property
    def i_a(self) -> float:
        """Current in A through the load."""
        return self.v_v / self.ohm

    def advance(self, dt_s: float) -> None:
        """Let the output follow its demand for `dt_s`."""
        demand_v = 0.0 if self.trip or self.interlock_open else self.demand_v
        if math.isinf(self.arc_ohm):
            tau_s = self.tau_up_s if demand_v > self.v_v else self.tau_down_s
        else:
            # What feeds an arc is the charge of the cable; the supply's own part is its limited current.
            tau_s = self.arc_tau_s
        self.v_v += (demand_v - self.v_v) * -math.expm1(-dt_s / tau_s)


@dataclass(slots=True)
class Trigger:
    """The source of pulses."""

    rate_hz: float = 1000.0
    running: bool = False
    inhibit_input: bool = False  # the rear input, wired to the interlock chain
    inhibit_honoured: bool = True  # whether the generator is set up to obey that input
    missed: int = 0

    @property
    def live(self) -> bool:
        """Whether pulses come now."""
        return self.running and not (self.inhibit_input and self.inhibit_honoured)


@dataclass(slots=True)
class LaserBeam:
    """What leaves the laser towards the specimen; each trigger fires one pulse, up to the laser's own rate."""

    present: bool = False  # whether a simulated laser drives this; else the physics has an energy of its own
    emission: bool = False
    shutter_open: bool = False
    energy_pj: float = 0.0  # of a pulse at the specimen, drift and beam walk apart
    rate_hz: float = 0.0  # the laser's own; of faster triggers it skips some
    drift: float = 1.0  # of the source, as its own monitor sees it

    def lit(self, trigger_hz: float) -> float:
        """Share of the triggers that send light to the specimen."""
        if not (self.emission and self.shutter_open) or trigger_hz <= 0.0:
            return 0.0
        return min(1.0, self.rate_hz / trigger_hz)


@dataclass(slots=True)
class Plant:
    """Everything physical of one simulated rig."""

    specimen: SupplyOutput = field(default_factory=SupplyOutput)
    pulse: SupplyOutput = field(
        default_factory=lambda: SupplyOutput(tau_up_s=0.02, tau_down_s=0.05, load_ohm=1e5)
    )
    trigger: Trigger = field(default_factory=Trigger)
    laser: LaserBeam = field(default_factory=LaserBeam)
    pressure_pa: dict[int, float] = field(default_factory=lambda: {1: 3e-9, 2: 2e-6})
    gauge_status: dict[int, int] = field(
        default_factory=lambda: {1: 0, 2: 0}
    )  # the controller's own code, 0 = ok
    temperature_k: dict[str, float] = field(
        default_factory=lambda: {"A": 48.0, "B": 50.0, "C": 77.0, "D": 295.0}
    )
    temperature_setpoint_k: float = 48.0
    # Supplies beside specimen and pulse by the names of their devices: plates, wires, electrodes.
    supplies: dict[str, SupplyOutput] = field(default_factory=dict)
    # Contacts of the rig, True = closed = all is well.
    interlock: dict[str, bool] = field(
        default_factory=lambda: {"door": True, "valve": True, "water": True, "ups": True}
    )
    stage: Stage = field(default_factory=Stage)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def supply(self, name: str) -> SupplyOutput:
        """Give the output `specimen`, `pulse`, or one of its own name, which is made when it is asked for first."""
        if name in ("specimen", "pulse"):
            return self.specimen if name == "specimen" else self.pulse
        return self.supplies.setdefault(name, SupplyOutput(tau_down_s=0.2, load_ohm=STRIP_OHM))

    def advance_supplies(self, dt_s: float) -> None:
        """Let the supplies beside specimen and pulse follow; the gas takes its current from them."""
        gas_s = GAS_S_PER_PA * self.pressure_pa.get(1, 0.0)
        for output in self.supplies.values():
            output.gas_s = gas_s
            output.advance(dt_s)
