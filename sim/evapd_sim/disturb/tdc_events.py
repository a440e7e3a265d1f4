"""Events inside the TDC. Late or duplicated frames and a dead link are events of its cable (`late`, `duplicate`, `silent`, `unplug`)."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from evapd.errors import ConfigError
from evapd_sim.disturb.event import Effect, Event, OpenEnded, Scene
from evapd_sim.wire.tdc_stream import TdcStreamWire


class TdcEvent(Event):
    """An event of the rig's TDC."""

    def tdc(self, scene: Scene) -> TdcStreamWire:
        """Give the TDC.

        Raises:
            ConfigError: when the rig has none.
        """
        for wire in scene.wires.values():
            if isinstance(wire, TdcStreamWire):
                return wire
        raise ConfigError("this rig has no simulated TDC")

    def check(self, scene: Scene) -> None:
        """Refuse a rig without a TDC."""
        self.tdc(scene)

    def held(self, scene: Scene, for_s: float | None, put: Callable[[bool], None]) -> Effect:
        """Make an effect of a state: `put(True)` now, `put(False)` in the end, both under the plant's lock."""
        tdc = self.tdc(scene)

        def locked(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            with scene.plant.lock:
                put(state)
            tdc.wake()

        locked(True)
        return Effect(for_s=for_s, off=lambda: locked(False))


class TdcHang(TdcEvent):
    """No frame leaves the TDC, no heartbeat either; afterwards what it kept comes late and all at once."""

    do: Literal["tdc-hang"]
    keeps: Annotated[
        bool, Field(description="whether what is measured meanwhile waits in the FIFO, or is lost (and told)")
    ] = True
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Hang."""
        faults = self.tdc(scene).faults

        def put(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            faults.hung, faults.keeps = state, self.keeps

        return self.held(scene, self.for_s, put)


class TdcNoHeartbeat(TdcEvent):
    """Frames come only when there are words: a firmware that forgets the heartbeat."""

    do: Literal["tdc-no-heartbeat"]
    for_s: OpenEnded = None

    def begin(self, scene: Scene) -> Effect:
        """Hold frames without words back."""
        faults = self.tdc(scene).faults

        def put(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            faults.heartbeats = not state

        return self.held(scene, self.for_s, put)


class TdcLoss(TdcEvent):
    """The TDC loses a share of its words."""

    do: Literal["tdc-loss"]
    share: Annotated[float, Field(gt=0, le=1, description="of the words")] = 0.1
    flagged: Annotated[bool, Field(description="whether it counts and flags them (LOSS)")] = True
    for_s: OpenEnded = None

    @property
    def key(self) -> tuple[str, ...]:
        """There is one FIFO."""
        return ("fifo",)

    def begin(self, scene: Scene) -> Effect:
        """Lose words."""
        faults = self.tdc(scene).faults

        def put(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            faults.lost_share, faults.told = (self.share, self.flagged) if state else (0.0, True)

        return self.held(scene, self.for_s, put)


class TdcOverflow(TdcEvent):
    """A FIFO of the TDC is full: SATURATED, and LOSS where words are dropped."""

    do: Literal["tdc-overflow"]
    share: Annotated[float, Field(ge=0, le=1, description="of the words that is dropped; 0: flag only")] = 0.5
    for_s: OpenEnded = None

    @property
    def key(self) -> tuple[str, ...]:
        """There is one FIFO."""
        return ("fifo",)

    def begin(self, scene: Scene) -> Effect:
        """Overflow."""
        faults = self.tdc(scene).faults

        def put(state: bool) -> None:  # noqa: FBT001 - on and off of one state
            faults.full, faults.lost_share = state, self.share if state else 0.0

        return self.held(scene, self.for_s, put)


class TdcJump(TdcEvent):
    """The pulse counter jumps."""

    do: Literal["tdc-jump"]
    pulses: Annotated[int, Field(ge=-(2**40), le=2**40, description="added; never below 0")] = 1000

    def begin(self, scene: Scene) -> None:
        """Jump."""
        tdc = self.tdc(scene)
        with scene.plant.lock:
            tdc.count_from(max(tdc.next_pulse + self.pulses, 0))


class TdcWrap(TdcEvent):
    """The pulse counter has only so many bits, and wraps to 0 when it is full."""

    do: Literal["tdc-wrap"]
    bits: Annotated[int, Field(ge=8, le=63, description="of the counter")] = 32
    left: Annotated[int, Field(ge=0, le=2**40, description="pulses until it is full, from now")] = 1000

    def begin(self, scene: Scene) -> None:
        """Let the counter stand shortly before its end; it stays that narrow until the twin ends."""
        tdc = self.tdc(scene)
        with scene.plant.lock:
            tdc.counter_end = 1 << self.bits
            tdc.count_from(max(tdc.counter_end - self.left, 0) % tdc.counter_end)
