"""What the drivers of Newport controllers share: `1PA2.5` commands with the axis in front, an error asked for after each, and the way of a move.

Sets answer nothing. The ESP301 keeps the errors of all axes in one place, every SMC100 its own.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory
from evapd.device.protocols import Stage
from evapd.device.readings import AxisReading, Identity, StageReading
from evapd.errors import DeviceIdentityError, DeviceRefused, DeviceTimeout
from evapd.units import Millimetre
from evapd_drivers.stage import axes as shared


class NewportAxis(shared.Axis):
    """An axis; `stage` is what `ID?` must tell of it, so that no cable is taken for another."""

    channel: Annotated[int, Field(ge=1, le=31)]
    stage: str | None = None


class NewportConfig(shared.StageConfig[NewportAxis]):
    """Settings: the axes; `following_error` asks for the set point in force (where it is told), and what is further away is not in position."""

    serial_number: Annotated[str | None, AfterValidator(shared.no_serial_number)] = None
    following_error: bool = True
    in_position_mm: Annotated[Millimetre, Field(gt=0, le=1)] = 0.005


class NewportStage(ABC):
    """A stage of named axes behind a Newport controller; positions in mm."""

    protocol: ClassVar[type] = Stage
    end: ClassVar[bytes]

    Axis = NewportAxis
    Config = NewportConfig

    def __init__(
        self,
        config: NewportConfig,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._link = Link(config, transport_factory, clock)
        self._follows = config.following_error

    def open(self) -> Identity:
        """Open, check the controller and the stages that the settings name, clear its errors, read once; moves nothing.

        A controller that leaves the question for its set point unanswered is not asked it again.
        """
        with self._link.opening():
            identity = self._identify()
            for name, axis in self._config.axes.items():
                if axis.stage is not None and (found := self._stage(axis.channel)) != axis.stage:
                    raise DeviceIdentityError(
                        f"axis {name} is '{found}', the configuration names '{axis.stage}': check the cables"
                    )
                self._errors(axis.channel)
            self._follows = self._config.following_error
            try:
                self.read()
            except DeviceTimeout:
                if not self._follows:
                    raise
                self._read_without_following()
        return identity

    def _read_without_following(self) -> None:
        with self._link.opening():  # a late answer must never answer another question
            self._follows = False
            for axis in self._config.axes.values():
                self._errors(axis.channel)
            self.read()

    def close(self) -> None:
        """Close the link; the stage goes on."""
        self._link.close()

    def read(self) -> StageReading:
        """Read position (mm) and state of every axis, and the following error (mm) where it is asked for."""
        axes = {name: self._axis(name, axis.channel) for name, axis in self._config.axes.items()}
        return StageReading(t_mono_s=self._clock(), axes=axes)

    def move(self, axis: str, mm: float) -> None:
        """Start a move to `mm` within the axis' limits.

        Raises:
            DeviceRefused: the controller's error, or an axis that is not referenced.
        """
        channel = shared.axis_for(self._config.axes, axis, mm).channel
        self._errors(channel)
        shared.must_be_referenced(
            axis, referenced=self._referenced(axis, channel), allowed=self._config.unreferenced_moves
        )
        self._ready(channel)
        self._do(channel, f"PA{mm:.6f}")

    def stop(self) -> None:
        """Stop all axes: every stop is sent at once, then errors are asked for, and motion where there are any."""
        axes = self._config.axes.items()
        shared.each([partial(self._link.send, self._encode(axis.channel, "ST")) for _, axis in axes])
        errors = [found for _, axis in axes if (found := self._errors(axis.channel))]
        if errors:  # one of them may be older than the stop, or say that there was nothing to stop
            moving = [name for name, axis in axes if self._moving(axis.channel)]
            if moving:
                raise DeviceRefused(f"axis {', '.join(moving)} still moves after a stop: {', '.join(errors)}")

    def make_safe(self) -> None:
        """Stop all axes."""
        self.stop()

    def reference(self, axis: str) -> None:
        """Start the search for the home position of an axis."""
        channel = shared.axis_named(self._config.axes, axis).channel
        self._errors(channel)
        self._ready(channel)
        self._do(channel, "OR")

    def _encode(self, channel: int, command: str) -> bytes:
        return f"{channel}{command}".encode() + self.end

    def _do(self, channel: int, command: str) -> None:
        self._link.send(self._encode(channel, command))
        if errors := self._errors(channel):
            raise DeviceRefused(f"{channel}{command}: {errors}")

    def _in_position(self, position_mm: float, set_mm: float | None) -> bool:
        return set_mm is None or abs(set_mm - position_mm) <= self._config.in_position_mm

    @abstractmethod
    def _identify(self) -> Identity: ...

    @abstractmethod
    def _stage(self, channel: int) -> str: ...

    @abstractmethod
    def _errors(self, channel: int) -> str:
        """Ask for errors until there is none, and give them in words."""

    @abstractmethod
    def _axis(self, name: str, channel: int) -> AxisReading: ...

    @abstractmethod
    def _moving(self, channel: int) -> bool: ...

    @abstractmethod
    def _referenced(self, name: str, channel: int) -> bool: ...

    @abstractmethod
    def _ready(self, channel: int) -> None:
        """Make ready for a motion: motor on."""
