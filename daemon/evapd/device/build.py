"""From a checked rig to a driver object."""

from typing import cast

from evapd.config.plugins import INSTALLED, Plugins
from evapd.config.rig import LoadedRig
from evapd.device.protocols import Device
from evapd.errors import ConfigError


def build_device(name: str, loaded: LoadedRig, plugins: Plugins = INSTALLED) -> Device:
    """Make the driver of one device; touches no hardware.

    Args:
        name: of the device in the rig.
        loaded: the checked rig.
        plugins: where the driver is looked up.

    Raises:
        ConfigError: when the rig has no such device, or the driver cannot be imported or lacks a method of its Protocol.
    """
    if name not in loaded.devices:
        raise ConfigError(f"{loaded.path} has no device '{name}', it has {', '.join(loaded.devices)}")
    driver = plugins.find_driver(loaded.rig.devices[name].driver)
    device = driver(loaded.devices[name])
    if not isinstance(device, driver.protocol):
        raise ConfigError(
            f"driver '{loaded.rig.devices[name].driver}' lacks a method of {driver.protocol.__name__}, which it says to be"
        )
    return cast("Device", device)
