"""The common part of every event, what it can reach, and what goes on after it has come."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from evapd.config.section import Section
from evapd.errors import ConfigError
from evapd.units import Second, Volt
from evapd_sim.disturb.influence import Influence
from evapd_sim.disturb.reach import Physics
from evapd_sim.plant import Plant

if TYPE_CHECKING:  # whoever only reads a rig file needs no server
    from evapd_sim.wire.base import Wire
    from evapd_sim.wire.serve import WireServer

Lasting = Annotated[Second, Field(gt=0, le=86_400, description="how long it lasts")]
# None: until `clear`, or the same event again.
OpenEnded = Annotated[
    Second | None, Field(gt=0, le=86_400, description="how long it lasts; without: until `clear`")
]


@dataclass(slots=True)
class Scene:
    """What events reach: the plant, the physics (none in a replay), instruments and their cables by device name."""

    plant: Plant
    wires: "dict[str, Wire]"
    servers: "dict[str, WireServer]"
    physics: Physics | None
    rng: np.random.Generator

    def the_physics(self) -> Physics:
        """Give the physics.

        Raises:
            ConfigError: in a replay.
        """
        if self.physics is None:
            raise ConfigError(
                "a replay has no specimen, pulser or cryostat to disturb; use `kind: atom-probe`"
            )
        return self.physics

    def wire(self, device: str) -> "Wire":
        """Give the instrument of a device.

        Raises:
            ConfigError: when there is none.
        """
        if device not in self.wires:
            raise ConfigError(f"there is no device '{device}', only {', '.join(self.wires)}")
        return self.wires[device]

    def server(self, device: str) -> "WireServer":
        """Give the cable of a device.

        Raises:
            ConfigError: when there is no such device, or the twin was not started.
        """
        self.wire(device)
        if device not in self.servers:
            raise ConfigError(f"the cable of '{device}' is not there: the twin has not started, or has ended")
        return self.servers[device]


@dataclass(slots=True)
class Effect:
    """What goes on after an event has come.

    Attributes:
        for_s: how long; None = until it is ended.
        shape: called for every step with the influence to change and the time since the event, s.
        follow: called for every step before `shape`; False = it is over.
        off: called once when it ends.
        t_s: time since the event.
    """

    for_s: float | None = None
    shape: Callable[[Influence, float], None] | None = None
    follow: Callable[[float], bool] | None = None
    off: Callable[[], None] | None = None
    t_s: float = field(default=0.0, init=False)

    def step(self, influence: Influence, dt_s: float) -> bool:
        """Work on the next `dt_s`; gives whether it still went on."""
        # Sums of steps must not add one step by rounding.
        if self.for_s is not None and self.t_s >= self.for_s - 1e-9:
            return False
        if self.follow is not None and not self.follow(dt_s):
            return False
        if self.shape is not None:
            self.shape(influence, self.t_s)
        self.t_s += dt_s
        return True


class Event(Section):
    """When it comes and what it does; every kind of event is a subclass with a `do` of its own."""

    # Every program that reads a rig file imports all events; what checks them is built when it is needed.
    model_config = ConfigDict(defer_build=True)
    stacks: ClassVar[bool] = False  # whether a second one adds to the first, instead of taking its place

    do: str
    at_s: Annotated[Second, Field(ge=0)] | None = None  # since the twin's start
    at_ions: Annotated[int, Field(ge=0)] | None = None  # detected since the twin's start
    at_v_dc_v: Annotated[Volt, Field(ge=0)] | None = None  # V_dc at the specimen has reached this

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if sum(each is not None for each in (self.at_s, self.at_ions, self.at_v_dc_v)) > 1:
            raise ValueError("only one of at_s, at_ions and at_v_dc_v can be given")
        return self

    @property
    def at_once(self) -> bool:
        """Whether it waits for nothing."""
        return self.at_s is None and self.at_ions is None and self.at_v_dc_v is None

    @property
    def key(self) -> tuple[str, ...]:
        """What it has hold of: of two events with the same key the second ends the first."""
        return (self.do,)

    def check(self, scene: Scene) -> None:
        """Raise ConfigError when the scene has not what the event needs."""

    def begin(self, scene: Scene) -> Effect | None:
        """Let it come; what goes on afterwards is given back."""
        raise NotImplementedError

    def told(self) -> str:
        """Name and parameters as a person would type them."""
        values = self.model_dump(exclude={"do", "at_s", "at_ions", "at_v_dc_v"}, exclude_none=True)
        return " ".join([self.do, *(f"{key}={value}" for key, value in values.items())])
