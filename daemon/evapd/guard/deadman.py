"""What acts when the guard's process dies and can send nothing more: a supply's own time-out, the heartbeat's relay, or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evapd.config import LoadedRig
from evapd.config.model import Rig
from evapd.config.plugins import INSTALLED, Plugins
from evapd.device import build_device


@dataclass(frozen=True, slots=True)
class DeadMan:
    """What is left when nobody speaks to the instruments any more."""

    own_timeout_s: float | None  # after which the specimen supply goes down by itself
    relay_s: float | None  # after which the heartbeat's relay drops out
    read_back: bool  # whether that relay's contact is an input
    observes: bool = False  # law monitor: nothing is energised from here

    @property
    def exists(self) -> bool:
        """Whether anything acts."""
        return self.own_timeout_s is not None or self.relay_s is not None

    @property
    def text(self) -> str:
        """In words, for a person."""
        acts = []
        if self.relay_s is not None:
            seen = "" if self.read_back else ", whose contact is not read back"
            acts.append(f"the heartbeat's relay drops out after {self.relay_s:g} s{seen}")
        if self.own_timeout_s is not None:
            acts.append(f"the specimen supply goes down by itself after {self.own_timeout_s:g} s")
        if acts:
            return "when the guard dies: " + "; ".join(acts)
        if self.observes:
            return "law monitor: nothing is energised from here"
        return (
            "nothing acts when the guard's process, its machine or the power dies: voltage and pulses stay as they are. "
            "Wire a watchdog relay and name its output in contacts.heartbeat (docs/dead-man.md)"
        )

    def document(self) -> dict[str, object]:
        """Give it for `status` and `evapd check --json`."""
        return {
            "own_timeout_s": self.own_timeout_s,
            "relay_s": self.relay_s,
            "relay_read_back": self.read_back,
            "exists": self.exists,
            "text": self.text,
        }


def dead_man(rig: Rig, drivers: Mapping[str, Any]) -> DeadMan:
    """Say what acts in a rig with these drivers by device name; `own_timeout_s` of a driver is what its instrument does by itself."""
    contacts = rig.contacts
    timeouts_s = [
        getattr(drivers.get(name), "own_timeout_s", None) for name in rig.devices_with_role("specimen")
    ]
    return DeadMan(
        own_timeout_s=timeouts_s[0] if timeouts_s else None,
        relay_s=contacts.relay_s if contacts.heartbeat is not None else None,
        read_back=any(contact.kind == "relay" for contact in contacts.inputs.values()),
        observes=rig.control.law == "monitor",
    )


def dead_man_of(loaded: LoadedRig, plugins: Plugins = INSTALLED) -> DeadMan:
    """Say the same of a rig file; makes the specimen supply's driver, which touches no hardware.

    Raises:
        ConfigError: when the driver cannot be made.
    """
    names = loaded.rig.devices_with_role("specimen")
    return dead_man(loaded.rig, {name: build_device(name, loaded, plugins) for name in names})
