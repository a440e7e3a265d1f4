"""Events of the specimen: layers, noise of the rate, bursts, flashes, fractures, leakage."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from evapd.units import Nanometre, Second
from evapd_sim.disturb.event import Effect, Event, OpenEnded, Scene
from evapd_sim.disturb.influence import Cluster, Influence


class SpecimenEvent(Event):
    """An event that needs a specimen."""

    stacks: ClassVar[bool] = True

    def check(self, scene: Scene) -> None:
        """Refuse a replay."""
        scene.the_physics()


class LayerStep(SpecimenEvent):
    """Another layer comes: every evaporation field changes by a share, abruptly or as ions leave."""

    do: Literal["layer-step"]
    change: Annotated[float, Field(ge=-0.8, le=4, description="of the field: -0.2 is 20 % less")] = -0.2
    over_ions: Annotated[int, Field(ge=0, description="evaporated ions until it is done; 0: at once")] = 0

    def begin(self, scene: Scene) -> Effect | None:
        """Multiply the field factor; the ions themselves carry the transition on, so a surge speeds itself up."""
        physics = scene.the_physics()
        if self.over_ions == 0:
            physics.specimen.field_factor *= 1.0 + self.change
            return None
        first, done = physics.evaporated_ions, 1.0

        def follow(_dt_s: float) -> bool:
            nonlocal done
            share = min((physics.evaporated_ions - first) / self.over_ions, 1.0)
            wanted = 1.0 + self.change * share
            physics.specimen.field_factor *= wanted / done
            done = wanted
            return share < 1.0

        return Effect(follow=follow)


class PoleNoise(SpecimenEvent):
    """The log rate wanders around its mean, as poles and terraces make it (Ornstein-Uhlenbeck)."""

    do: Literal["pole-noise"]
    sigma: Annotated[float, Field(gt=0, le=3, description="standard deviation of ln rate")] = 0.1
    tau_s: Annotated[Second, Field(gt=0, le=1000, description="correlation time")] = 2.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Start at a value of the stationary distribution."""
        value = self.sigma * float(scene.rng.standard_normal())

        def follow(dt_s: float) -> bool:
            nonlocal value
            kept = math.exp(-dt_s / self.tau_s)
            value = kept * value + self.sigma * math.sqrt(1.0 - kept * kept) * float(
                scene.rng.standard_normal()
            )
            return True

        def shape(influence: Influence, _t_s: float) -> None:
            influence.log_rate += value

        return Effect(for_s=self.for_s, follow=follow, shape=shape)


class RateWalk(SpecimenEvent):
    """The log rate walks at random and stays where it has come to."""

    do: Literal["rate-walk"]
    per_sqrt_s: Annotated[float, Field(gt=0, le=3, description="standard deviation of ln rate after 1 s")] = (
        0.05
    )
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Walk for `for_s`, then stand."""
        value = walked_s = 0.0

        def follow(dt_s: float) -> bool:
            nonlocal value, walked_s
            if self.for_s is None or walked_s < self.for_s - 1e-9:
                value += self.per_sqrt_s * math.sqrt(dt_s) * float(scene.rng.standard_normal())
            walked_s += dt_s
            return True

        def shape(influence: Influence, _t_s: float) -> None:
            influence.log_rate += value

        return Effect(follow=follow, shape=shape)


class RateDrift(SpecimenEvent):
    """The log rate drifts and stays where it has come to."""

    do: Literal["rate-drift"]
    per_s: Annotated[float, Field(ge=-3, le=3, description="change of ln rate per second")] = 0.02
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:  # noqa: ARG002 - the signature of every event
        """Drift for `for_s`, then stand."""

        def shape(influence: Influence, t_s: float) -> None:
            influence.log_rate += self.per_s * (t_s if self.for_s is None else min(t_s, self.for_s))

        return Effect(shape=shape)


class Oscillation(SpecimenEvent):
    """The log rate swings as a sine."""

    do: Literal["oscillation"]
    amplitude: Annotated[float, Field(gt=0, le=3, description="of ln rate")] = 0.3
    period_s: Annotated[Second, Field(gt=0.01, le=1000)] = 5.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:  # noqa: ARG002 - the signature of every event
        """Swing from 0 upwards."""

        def shape(influence: Influence, t_s: float) -> None:
            influence.log_rate += self.amplitude * math.sin(2.0 * math.pi * t_s / self.period_s)

        return Effect(for_s=self.for_s, shape=shape)


class Burst(SpecimenEvent):
    """Correlated evaporation: many ions leave one spot within milliseconds."""

    do: Literal["burst"]
    ions: Annotated[int, Field(gt=0, le=1_000_000, description="that leave, before efficiency")] = 500
    for_s: Annotated[Second, Field(gt=0, le=10, description="within which they leave")] = 0.01
    spread_nm: Annotated[Nanometre, Field(ge=0, description="sigma of their place per axis")] = 2.0

    def begin(self, scene: Scene) -> Effect:
        """Choose a spot; the ions leave evenly over the time."""
        rho, azimuth = math.sqrt(float(scene.rng.random())), 2.0 * math.pi * float(scene.rng.random())
        left, t_s, share = self.ions, 0.0, 0

        def follow(dt_s: float) -> bool:
            nonlocal left, t_s, share
            t_s += dt_s
            due = self.ions if t_s >= self.for_s - 1e-9 else round(self.ions * t_s / self.for_s)
            share = due - (self.ions - left)
            left -= share
            return share > 0 or left > 0

        def shape(influence: Influence, _t_s: float) -> None:
            influence.clusters.append(
                Cluster(
                    ions=share,
                    a=rho * math.cos(azimuth),
                    b=rho * math.sin(azimuth),
                    spread_nm=self.spread_nm,
                )
            )

        return Effect(follow=follow, shape=shape)


class Flash(SpecimenEvent):
    """Uncontrolled evaporation all over the tip, without regard to pulses."""

    do: Literal["flash"]
    ions_per_s: Annotated[float, Field(gt=0, le=1e8, description="mean, before efficiency")] = 2e5
    for_s: Annotated[Second, Field(gt=0, le=3600, description="how long it lasts at most")] = 0.5
    holds_above: Annotated[
        float, Field(ge=0, le=1, description="it ends when V_dc falls below this share of what it was")
    ] = 0.7

    def begin(self, scene: Scene) -> Effect:
        """Evaporate until the time is over, or the voltage down."""
        ends_v = self.holds_above * scene.plant.specimen.v_v

        def follow(_dt_s: float) -> bool:
            return scene.plant.specimen.v_v >= ends_v

        def shape(influence: Influence, _t_s: float) -> None:
            influence.flash_ions_per_s += self.ions_per_s

        return Effect(for_s=self.for_s, follow=follow, shape=shape)


class Fracture(SpecimenEvent):
    """A part of the tip breaks off with a flash; blunter (the rate drops) or, below 1, sharper (the rate rises)."""

    do: Literal["fracture"]
    radius_factor: Annotated[float, Field(ge=0.3, le=30, description="radius after / before")] = 1.5
    flash_ions: Annotated[int, Field(ge=0, le=1_000_000, description="mean number, before efficiency")] = 5000
    flash_s: Annotated[Second, Field(gt=0, le=10, description="within which they leave")] = 0.02

    def begin(self, scene: Scene) -> Effect:
        """Change the radius at once, then flash."""
        scene.the_physics().specimen.radius_nm *= self.radius_factor

        def shape(influence: Influence, _t_s: float) -> None:
            influence.flash_ions_per_s += self.flash_ions / self.flash_s

        return Effect(for_s=self.flash_s, shape=shape)


class MicroFracture(Fracture):
    """The same in small: a few per cent of the radius."""

    do: Literal["micro-fracture"]  # type: ignore[assignment]  # every event has a name of its own
    radius_factor: Annotated[float, Field(ge=0.8, le=1.25, description="radius after / before")] = 1.05
    flash_ions: Annotated[int, Field(ge=0, le=1_000_000, description="mean number, before efficiency")] = 500


class DcLeakage(SpecimenEvent):
    """More evaporation between pulses than the barrier says, at the same voltage."""

    do: Literal["dc-leakage"]
    factor: Annotated[float, Field(ge=0, le=1e6, description="on the evaporation between pulses")] = 10.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:  # noqa: ARG002 - the signature of every event
        """Multiply what leaves under the standing voltage."""

        def shape(influence: Influence, _t_s: float) -> None:
            influence.standing_factor *= self.factor

        return Effect(for_s=self.for_s, shape=shape)
