"""Events of cables: replies that are lost, late, garbled; cables that are pulled; another unit at the same address."""

from typing import Annotated, Literal

from pydantic import Field

from evapd.errors import ConfigError
from evapd.units import Second
from evapd_sim.disturb.event import Effect, Event, OpenEnded, Scene
from evapd_sim.wire.faults import Faults


class WireEvent(Event):
    """An event at the cable of one device."""

    device: Annotated[str, Field(description="name in the rig file")]
    for_s: OpenEnded = None

    @property
    def key(self) -> tuple[str, ...]:
        """One of a kind per device."""
        return (self.do, self.device)

    def check(self, scene: Scene) -> None:
        """Refuse a device that is not there."""
        scene.wire(self.device)

    def put(self, cable: Faults, *, state: bool) -> None:
        """Switch the fault of the cable on or off."""
        raise NotImplementedError

    def begin(self, scene: Scene) -> Effect:
        """Switch it on, off in the end."""
        cable = scene.server(self.device)
        self.put(cable, state=True)
        return Effect(for_s=self.for_s, off=lambda: self.put(cable, state=False))


class Silent(WireEvent):
    """The instrument hears and acts, nothing comes back."""

    do: Literal["silent"]

    def put(self, cable: Faults, *, state: bool) -> None:
        """Cut the way back."""
        cable.silent = state


class Deaf(WireEvent):
    """Nothing reaches the instrument; what it sends by itself still comes."""

    do: Literal["deaf"]

    def put(self, cable: Faults, *, state: bool) -> None:
        """Cut the way there."""
        cable.deaf = state


class Garbage(WireEvent):
    """Replies are random bytes of the same length."""

    do: Literal["garbage"]

    def put(self, cable: Faults, *, state: bool) -> None:
        """Spoil the way back."""
        cable.garbage = state


class Late(WireEvent):
    """Replies, and frames of a TDC, come late."""

    do: Literal["late"]
    delay_s: Annotated[Second, Field(gt=0, le=600)] = 0.5

    def put(self, cable: Faults, *, state: bool) -> None:
        """Make the way back long."""
        cable.delay_s = self.delay_s if state else 0.0


class HalfLines(WireEvent):
    """Only the first half of every reply comes."""

    do: Literal["half-lines"]

    def put(self, cable: Faults, *, state: bool) -> None:
        """Cut replies."""
        cable.half_lines = state


class Lost(WireEvent):
    """Every n-th reply is lost."""

    do: Literal["lost"]
    every: Annotated[int, Field(ge=1, description="n; 1: all")] = 3

    def put(self, cable: Faults, *, state: bool) -> None:
        """Lose replies."""
        cable.drop_every = self.every if state else 0


class Duplicate(WireEvent):
    """Every reply, and every frame of a TDC, comes twice."""

    do: Literal["duplicate"]

    def put(self, cable: Faults, *, state: bool) -> None:
        """Double replies."""
        cable.duplicate = state


class Echo(WireEvent):
    """What is sent comes back before the reply, as from a terminal with echo or a shorted two-wire line."""

    do: Literal["echo"]

    def put(self, cable: Faults, *, state: bool) -> None:
        """Send back what comes."""
        cable.echo = state


class Unplug(WireEvent):
    """The cable is pulled: the link breaks, and cannot be opened again until the cable is back."""

    do: Literal["unplug"]

    @property
    def key(self) -> tuple[str, ...]:
        """There is one cable."""
        return ("cable", self.device)

    def begin(self, scene: Scene) -> Effect:
        """Pull it, put it back in the end."""
        cable = scene.server(self.device)
        cable.unplug()
        return Effect(for_s=self.for_s, off=cable.replug)


class Replug(Event):
    """The cable that was pulled is put back."""

    do: Literal["replug"]
    device: Annotated[str, Field(description="name in the rig file")]

    @property
    def key(self) -> tuple[str, ...]:
        """There is one cable: this ends `unplug`."""
        return ("cable", self.device)

    def check(self, scene: Scene) -> None:
        """Refuse a device that is not there."""
        scene.wire(self.device)

    def begin(self, scene: Scene) -> None:
        """Put it back."""
        scene.server(self.device).replug()


class OtherUnit(Event):
    """The cable is pulled and put to another unit of the same type: the serial number is another one, for good."""

    do: Literal["other-unit"]
    device: Annotated[str, Field(description="name in the rig file")]
    serial: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,24}$", description="of the other unit")]
    for_s: Annotated[Second, Field(gt=0, le=3600, description="unplugged")] = 1.0

    @property
    def key(self) -> tuple[str, ...]:
        """There is one cable."""
        return ("cable", self.device)

    def check(self, scene: Scene) -> None:
        """Refuse an instrument that tells no serial number."""
        wire = scene.wire(self.device)
        if not wire.tells_serial:
            raise ConfigError(f"the instrument of '{self.device}' tells no serial number")

    def begin(self, scene: Scene) -> Effect:
        """Pull the cable now, put it to the other unit in the end."""
        cable, wire = scene.server(self.device), scene.wires[self.device]
        cable.unplug()

        def put_back() -> None:
            with scene.plant.lock:
                wire.renumber(self.serial)
            cable.replug()

        return Effect(for_s=self.for_s, off=put_back)
