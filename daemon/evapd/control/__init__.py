"""Control laws: pure, deterministic, in seconds of virtual time.

`create(name, settings)` makes a law by the name that a configuration uses.
"""

from collections.abc import Callable

from evapd.control.by_energy import ByEnergy, ConfinedLaw
from evapd.control.imm import Imm
from evapd.control.open_loop import Hold, Monitor, Ramp
from evapd.control.pi_log import PiLog
from evapd.control.types import ControlSettings, RateLaw, RateObservation, Setpoint
from evapd.errors import ConfigError

LAWS: dict[str, Callable[[ControlSettings], RateLaw]] = {
    "imm": Imm,
    "pi-log": PiLog,
    "hold": Hold,
    "ramp": Ramp,
    "monitor": Monitor,
}

_BY_ENERGY: dict[str, Callable[[ControlSettings], ConfinedLaw]] = {"imm": Imm, "pi-log": PiLog}

__all__ = ["LAWS", "ControlSettings", "RateLaw", "RateObservation", "Setpoint", "create"]


def create(name: str, settings: ControlSettings) -> RateLaw:
    """Make the law of that name.

    Raises:
        ConfigError: when there is no such law, or energies of the laser are missing for it.
    """
    law = LAWS.get(name)
    if law is None:
        raise ConfigError(f"control.law: there is no law '{name}', allowed are {', '.join(LAWS)}")
    if settings.actuator != "voltage" and name in _BY_ENERGY:
        return ByEnergy(_BY_ENERGY[name], settings)
    return law(settings)
