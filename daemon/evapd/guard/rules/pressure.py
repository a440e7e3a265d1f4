"""Every pressure that any gauge tells, and what is not told."""

from collections.abc import Iterator
from typing import NamedTuple

from evapd.device.readings import GaugeReading
from evapd.guard.rules.base import View


class Pressure(NamedTuple):
    """One gauge; `pressure_pa` is None where it has no valid value, and `status` says why."""

    name: str
    pressure_pa: float | None
    status: str


def pressures(view: View, *, starting: bool = False) -> Iterator[Pressure]:
    """Give the gauges of every device of role vacuum; a device that is UNKNOWN or tells nothing is a gauge without a value.

    Just after a restart a device that is still connecting is left out: it is not known to be bad yet. So it is where the caller
    says that the guard is `starting`.
    """
    starting = starting or (view.adopted and view.now_s - view.entered_s < view.guard.device_timeout_s)
    for device in view.inputs.devices.values():
        if device.role != "vacuum":
            continue
        reading = device.reading if device.known else None
        if isinstance(reading, GaugeReading) and reading.pressure_pa:
            for name, pressure_pa in reading.pressure_pa.items():
                yield Pressure(name, pressure_pa, reading.status.get(name, "no valid value"))
        elif not starting:
            yield Pressure(device.name, None, f"UNKNOWN: {device.why}")
