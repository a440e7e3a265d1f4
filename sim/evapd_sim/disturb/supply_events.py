"""Events of supplies: what their outputs do is physics, what they tell is their own behaviour."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from evapd.errors import ConfigError
from evapd.units import Second, Volt
from evapd_sim.disturb.event import Effect, Event, OpenEnded, Scene
from evapd_sim.plant import SupplyOutput
from evapd_sim.wire.supply_faults import SupplyFaults


class SupplyEvent(Event):
    """An event of one supply, told by what it feeds."""

    supply: Annotated[Literal["specimen", "pulse"], Field(description="what it feeds")] = "specimen"

    @property
    def key(self) -> tuple[str, ...]:
        """One of a kind per supply."""
        return (self.do, self.supply)

    def output(self, scene: Scene) -> SupplyOutput:
        """Give the output in the plant."""
        return scene.plant.specimen if self.supply == "specimen" else scene.plant.pulse

    def instrument(self, scene: Scene) -> SupplyFaults:
        """Give the instrument that drives it.

        Raises:
            ConfigError: when the rig has none.
        """
        output = self.output(scene)
        for wire in scene.wires.values():
            if isinstance(wire, SupplyFaults) and wire.supply is output:
                return wire
        raise ConfigError(f"no simulated supply of this rig feeds the {self.supply}")

    def held(self, scene: Scene, for_s: float | None, put: Callable[[bool], None]) -> Effect:
        """Make an effect of a state: `put(True)` now, `put(False)` in the end, both under the plant's lock."""

        def locked(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            with scene.plant.lock:
                put(state)

        locked(True)
        return Effect(for_s=for_s, off=lambda: locked(False))

    def check(self, scene: Scene) -> None:
        """Refuse a rig without that supply."""
        self.instrument(scene)


class SlowFall(SupplyEvent):
    """The output falls slower (or faster) than it should: nothing bleeds the cable."""

    do: Literal["slow-fall"]
    tau_s: Annotated[Second, Field(gt=0, le=3600, description="time constant downwards")] = 5.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Change the time constant."""
        output = self.output(scene)
        before_s = output.tau_down_s

        def put(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            output.tau_down_s = self.tau_s if state else before_s

        return self.held(scene, self.for_s, put)


class ReadbackError(SupplyEvent):
    """The voltage reading is wrong by a factor and a step; the output is not."""

    do: Literal["readback-error"]
    gain: Annotated[float, Field(ge=-2, le=10, description="reading / voltage")] = 1.0
    offset_v: Annotated[Volt, Field(ge=-20_000, le=20_000, description="added to the reading")] = 0.0
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Bend the voltmeter."""
        instrument = self.instrument(scene)

        def put(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            instrument.readback_gain = self.gain if state else 1.0
            instrument.readback_offset_v = self.offset_v if state else 0.0

        return self.held(scene, self.for_s, put)


class ReadbackStuck(SupplyEvent):
    """The voltage reading stands still at what it was."""

    do: Literal["readback-stuck"]
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Hold the voltmeter."""
        instrument = self.instrument(scene)
        now_v = instrument.readback(instrument.supply.v_v)

        def put(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            instrument.stuck_v = now_v if state else None

        return self.held(scene, self.for_s, put)


class Trip(SupplyEvent):
    """The supply's protection switches the output off, until it is switched off and on again."""

    do: Literal["trip"]

    def begin(self, scene: Scene) -> None:
        """Trip."""
        with scene.plant.lock:
            self.instrument(scene).trip()


class Arc(SupplyEvent):
    """The output breaks down: it collapses with a spike of current, and returns when the arc is out."""

    do: Literal["arc"]
    for_s: Annotated[Second, Field(gt=0, le=10)] = 0.02
    ohm: Annotated[float, Field(gt=0, le=1e9, description="of the arc")] = 1e5
    tau_s: Annotated[Second, Field(gt=0, le=1, description="time constant of the collapse")] = 1e-3

    def begin(self, scene: Scene) -> Effect:
        """Put the arc across the output."""
        output = self.output(scene)

        def put(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            output.arc_ohm, output.arc_tau_s = (self.ohm, self.tau_s) if state else (math.inf, math.inf)

        return self.held(scene, self.for_s, put)


class Local(SupplyEvent):
    """Somebody switches the supply to its front panel: it tells so and takes no sets."""

    do: Literal["local"]
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Turn the switch."""
        instrument = self.instrument(scene)
        return self.held(scene, self.for_s, lambda state: instrument.go_local(local=state))


class InterlockOpen(SupplyEvent):
    """The supply's interlock opens: the output is off whatever is commanded."""

    do: Literal["interlock-open"]
    latches: Annotated[
        bool, Field(description="whether it must be switched off and on after closing, or returns by itself")
    ] = True
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Open it, close it in the end."""
        instrument = self.instrument(scene)
        return self.held(
            scene, self.for_s, lambda state: instrument.interlock(is_open=state, latches=self.latches)
        )
