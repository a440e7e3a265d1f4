"""From a checked rig to a driver object."""

import inspect
from functools import partial
from typing import Any, cast

from evapd.config.plugins import INSTALLED, Plugins
from evapd.config.rig import LoadedRig
from evapd.device.opening import open_transport
from evapd.device.protocols import Device
from evapd.device.transport import Trace
from evapd.errors import ConfigError


def build_device(
    name: str, loaded: LoadedRig, plugins: Plugins = INSTALLED, trace: Trace | None = None
) -> Device:
    """Make the driver of one device; touches no hardware.

    Args:
        name: of the device in the rig.
        loaded: the checked rig.
        plugins: where the driver is looked up.
        trace: sees the bytes both ways, where the driver takes a `transport_factory`; such as a `ByteTrace`.

    Raises:
        ConfigError: when the rig has no such device, or the driver cannot be imported or lacks a method of its Protocol.
    """
    if name not in loaded.devices:
        raise ConfigError(f"{loaded.path} has no device '{name}', it has {', '.join(loaded.devices)}")
    driver = plugins.find_driver(loaded.rig.devices[name].driver)
    keywords: dict[str, Any] = {}
    if trace is not None and "transport_factory" in inspect.signature(driver).parameters:
        keywords["transport_factory"] = partial(open_transport, trace=trace)
    device = driver(loaded.devices[name], **keywords)
    if not isinstance(device, driver.protocol):
        raise ConfigError(
            f"driver '{loaded.rig.devices[name].driver}' lacks a method of {driver.protocol.__name__}, which it says to be"
        )
    return cast("Device", device)
