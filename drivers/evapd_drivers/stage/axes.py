"""What stage drivers share: axes by name with soft limits, what may move, and stopping all of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evapd.device.link import limited
from evapd.device.protocols import DriverConfig
from evapd.errors import DeviceError, DeviceRefused, LimitError
from evapd.units import Millimetre

MAX_MM = 10_000.0  # beyond this a number is no position of a stage


class Axis(BaseModel):
    """One axis: its number at the controller, and how far it may go in mm of the controller's own scale."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    channel: Annotated[int, Field(ge=0, le=255)]
    min_mm: Annotated[Millimetre, Field(ge=-MAX_MM, le=MAX_MM)]
    max_mm: Annotated[Millimetre, Field(ge=-MAX_MM, le=MAX_MM)]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.min_mm >= self.max_mm:
            raise ValueError(f"min_mm {self.min_mm:g} is not below max_mm {self.max_mm:g}")
        return self


A = TypeVar("A", bound=Axis)


class StageConfig(DriverConfig, Generic[A]):
    """Settings of every stage: its axes by name.

    A controller that has lost its zero counts from wherever the stage stands: its limits mean nothing then, so a move is refused
    until the axis is referenced. `unreferenced_moves` allows it, for stages whose scale is known to be true all the same.
    """

    axes: Annotated[dict[str, A], Field(min_length=1, max_length=16)]
    unreferenced_moves: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        channels = [axis.channel for axis in self.axes.values()]
        if len(set(channels)) < len(channels):
            raise ValueError(f"two axes have the same channel: {channels}")
        return self


def network_only(connect: str) -> str:
    """Refuse a serial port, for controllers that have none."""
    if connect.startswith(("serial:", "visa:")):
        raise ValueError(f"'{connect}': this controller is on the network, use tcp:HOST:PORT")
    return connect


def no_serial_number(value: str | None) -> str | None:
    """Refuse a serial number, for controllers that tell none."""
    if value is not None:
        raise ValueError("this controller tells no serial number: remove the key")
    return value


def axis_named(axes: Mapping[str, A], name: str) -> A:
    """Give the axis `name`.

    Raises:
        LimitError: when the settings have none of that name.
    """
    if name not in axes:
        raise LimitError(f"no axis '{name}' in the settings, there are {', '.join(axes)}; nothing was sent")
    return axes[name]


def axis_for(axes: Mapping[str, A], name: str, mm: float) -> A:
    """Give the axis `name` when `mm` is within its soft limits.

    Raises:
        LimitError: when it is not, is no number, or there is no such axis.
    """
    axis = axis_named(axes, name)
    limited(f"axis {name}", mm, axis.min_mm, axis.max_mm, "mm")
    return axis


def must_be_referenced(name: str, *, referenced: bool, allowed: bool) -> None:
    """Refuse to move an axis whose zero is not known.

    Raises:
        DeviceRefused: unless it is referenced or the settings allow it.
    """
    if not (referenced or allowed):
        raise DeviceRefused(
            f"axis {name} is not referenced, so its limits mean nothing: search its reference mark first "
            "(or set unreferenced_moves, where its scale is true all the same)"
        )


def each(steps: Iterable[Callable[[], object]]) -> None:
    """Take every step, also after one that failed.

    Raises:
        DeviceError: the first failure, when all were tried.
    """
    failures: list[DeviceError] = []
    for step in steps:
        try:
            step()
        except DeviceError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
