"""Events of the chamber: vacuum, interlock contacts, cold."""

import math
from typing import Annotated, Literal

from pydantic import Field

from evapd.errors import ConfigError
from evapd.units import Kelvin, Pascal, Second
from evapd_sim.disturb.event import Effect, Event, OpenEnded, Scene
from evapd_sim.disturb.influence import Influence

Gauge = Annotated[int, Field(ge=1, le=6, description="number of the gauge at its controller")]


class VacuumBurst(Event):
    """The pressure jumps and decays; the dark rate goes with it."""

    do: Literal["vacuum-burst"]
    gauge: Gauge = 1
    peak_pa: Annotated[Pascal, Field(gt=0, le=1e5)] = 1e-5
    tau_s: Annotated[Second, Field(gt=0, le=3600, description="time constant of the decay")] = 3.0
    dark_factor: Annotated[float, Field(ge=1, le=1e5, description="on the dark rate at the peak")] = 50.0

    def check(self, scene: Scene) -> None:
        """Refuse a gauge that is not there."""
        if self.gauge not in scene.plant.pressure_pa:
            raise ConfigError(f"there is no gauge {self.gauge}")

    @property
    def key(self) -> tuple[str, ...]:
        """One burst per gauge."""
        return (self.do, str(self.gauge))

    def begin(self, scene: Scene) -> Effect:
        """Decay for ten time constants, then be as before."""
        pressures, lock = scene.plant.pressure_pa, scene.plant.lock
        base_pa = pressures[self.gauge]

        def press(share: float) -> None:
            with lock:
                pressures[self.gauge] = base_pa + (self.peak_pa - base_pa) * share

        def shape(influence: Influence, t_s: float) -> None:
            share = math.exp(-t_s / self.tau_s)
            press(share)
            influence.dark_factor *= 1.0 + (self.dark_factor - 1.0) * share

        press(1.0)
        return Effect(for_s=10.0 * self.tau_s, shape=shape, off=lambda: press(0.0))


class GaugeFault(Event):
    """A gauge tells a status instead of a pressure."""

    do: Literal["gauge-fault"]
    gauge: Gauge = 1
    status: Annotated[
        int, Field(ge=1, le=6, description="1 under-range, 2 over-range, 3 error, 4 off, 5 none, 6 unknown")
    ] = 3
    for_s: OpenEnded = None

    @property
    def key(self) -> tuple[str, ...]:
        """One fault per gauge."""
        return (self.do, str(self.gauge))

    def begin(self, scene: Scene) -> Effect:
        """Tell it, and what was told before in the end."""
        states, lock = scene.plant.gauge_status, scene.plant.lock
        before = states.get(self.gauge, 0)

        def tell(status: int) -> None:
            with lock:
                states[self.gauge] = status

        tell(self.status)
        return Effect(for_s=self.for_s, off=lambda: tell(before))


class ContactOpen(Event):
    """A contact of the interlock chain (door, valve, water, ups) opens."""

    do: Literal["contact-open"]
    name: Annotated[str, Field(description="of the contact")]
    for_s: OpenEnded = None

    @property
    def key(self) -> tuple[str, ...]:
        """One per contact."""
        return (self.do, self.name)

    def check(self, scene: Scene) -> None:
        """Refuse a contact that is not there."""
        if self.name not in scene.plant.interlock:
            raise ConfigError(f"there is no contact '{self.name}', only {', '.join(scene.plant.interlock)}")

    def begin(self, scene: Scene) -> Effect:
        """Open it, close it in the end."""
        contacts, lock = scene.plant.interlock, scene.plant.lock

        def put(*, closed: bool) -> None:
            with lock:
                contacts[self.name] = closed

        put(closed=False)
        return Effect(for_s=self.for_s, off=lambda: put(closed=True))


class ColdEvent(Event):
    """An event that needs a cryostat."""

    def check(self, scene: Scene) -> None:
        """Refuse a replay."""
        scene.the_physics()


class TemperatureDrift(ColdEvent):
    """Heat leaks in (or out): the stage drifts against its controller, to the rate times its time constant at most."""

    do: Literal["temperature-drift"]
    k_per_s: Annotated[float, Field(ge=-100, le=100, description="what the stage would drift alone")] = 0.1
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Let the heat leak in."""
        cryostat = scene.the_physics().cryostat

        def leak(k_per_s: float) -> None:
            with scene.plant.lock:
                cryostat.heat_k_per_s = k_per_s

        leak(self.k_per_s)
        return Effect(for_s=self.for_s, off=lambda: leak(0.0))


class CryostatWarmUp(ColdEvent):
    """The cooler fails: the stage goes towards a temperature of its own, whatever the set point."""

    do: Literal["cryostat-warm-up"]
    to_k: Annotated[Kelvin, Field(gt=1, le=400)] = 295.0
    tau_s: Annotated[Second, Field(gt=0, le=86_400, description="time constant")] = 600.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Warm up until the cooler works again."""
        cryostat = scene.the_physics().cryostat

        def warm(goal: tuple[float, float] | None) -> None:
            with scene.plant.lock:
                cryostat.warm = goal

        warm((self.to_k, self.tau_s))
        return Effect(for_s=self.for_s, off=lambda: warm(None))
