"""Events of what sets ions free: triggers, pulse amplitude, laser."""

import math
from typing import Annotated, Literal

from pydantic import Field

from evapd.units import Second
from evapd_sim.disturb.event import Effect, Event, Lasting, OpenEnded, Scene
from evapd_sim.disturb.influence import Influence

OverS = Annotated[Second, Field(ge=0, le=86_400, description="to get there; 0: at once")]


def _share(t_s: float, over_s: float) -> float:
    return 1.0 if over_s == 0.0 else min(t_s / over_s, 1.0)


class PulserEvent(Event):
    """An event that needs a pulser or laser."""

    def check(self, scene: Scene) -> None:
        """Refuse a replay."""
        scene.the_physics()


class PulserDropout(PulserEvent):
    """No pulse reaches the specimen for a time, by pulser or laser."""

    do: Literal["pulser-dropout"]
    for_s: Lasting = 3.0
    counted: Annotated[
        bool, Field(description="whether the TDC still gets the triggers (pulser dead), or not (no trigger)")
    ] = True

    def begin(self, scene: Scene) -> Effect:  # noqa: ARG002 - the signature of every event
        """Take the pulse, or the triggers, away."""

        def shape(influence: Influence, _t_s: float) -> None:
            influence.v_p_factor = influence.heating_factor = 0.0
            influence.triggers &= self.counted

        return Effect(for_s=self.for_s, shape=shape)


class PulserDerating(PulserEvent):
    """The pulser gives less (or more) amplitude than its supply says."""

    do: Literal["pulser-derating"]
    factor: Annotated[float, Field(ge=0, le=2, description="on V_p at the specimen")] = 0.8
    over_s: OverS = 0.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:  # noqa: ARG002 - the signature of every event
        """Go to the factor linearly."""

        def shape(influence: Influence, t_s: float) -> None:
            influence.v_p_factor *= 1.0 + (self.factor - 1.0) * _share(t_s, self.over_s)

        return Effect(for_s=self.for_s, shape=shape)


class LaserDrift(PulserEvent):
    """The energy of the laser pulses drifts, and the laser's own monitor shows it; in voltage mode it does nothing."""

    do: Literal["laser-drift"]
    factor: Annotated[float, Field(ge=0, le=10, description="on the energy at the end")] = 1.2
    over_s: OverS = 30.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:  # noqa: ARG002 - the signature of every event
        """Go to the factor linearly."""

        def shape(influence: Influence, t_s: float) -> None:
            influence.laser_energy_factor *= 1.0 + (self.factor - 1.0) * _share(t_s, self.over_s)

        return Effect(for_s=self.for_s, shape=shape)


class BeamWalk(PulserEvent):
    """The laser spot walks away from the apex: less heating, as a Gaussian of the offset, unseen by the laser's monitor; in voltage mode nothing."""

    do: Literal["beam-walk"]
    offset_um: Annotated[float, Field(ge=0, le=1000, description="from the apex at the end")] = 1.0
    waist_um: Annotated[float, Field(gt=0, le=1000, description="radius at 1/e^2 of the intensity")] = 3.0
    over_s: OverS = 30.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:  # noqa: ARG002 - the signature of every event
        """Walk linearly."""

        def shape(influence: Influence, t_s: float) -> None:
            ratio = self.offset_um * _share(t_s, self.over_s) / self.waist_um
            influence.heating_factor *= math.exp(-2.0 * ratio * ratio)

        return Effect(for_s=self.for_s, shape=shape)


class InhibitInput(Event):
    """The interlock chain closes the inhibit input of the trigger generator."""

    do: Literal["inhibit-input"]
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Set the input; whether it is obeyed is the generator's own setting."""

        def switch(on: bool) -> None:  # noqa: FBT001 - one state of one contact
            with scene.plant.lock:
                scene.plant.trigger.inhibit_input = on

        switch(True)
        return Effect(for_s=self.for_s, off=lambda: switch(False))
