"""The contacts of the interlock chain as the digital inputs show them, and the outputs that the guard drives itself."""

import math
from dataclasses import dataclass, field

from evapd.config.wiring import Contact
from evapd.device.readings import DigitalReading
from evapd.guard.types import GuardSettings, Inputs

_COUNTS = 2  # readings that must agree, so that a single wrong bit moves nothing
RELAY_S = 5.0  # a watchdog relay that has not picked up by then after the heartbeat began is missing


@dataclass(frozen=True, slots=True)
class OpenContact:
    """A contact that does not say that all is well."""

    name: str
    kind: str
    what: str  # in words


@dataclass(slots=True)
class _Seen:
    """What one input has shown lately; nothing is fine before it was read."""

    fine: bool = False
    against: int = 0  # readings in a row that contradict `fine`
    t_s: float = float("-inf")

    def take(self, level_fine: bool, t_s: float) -> None:  # noqa: FBT001 - the level itself
        if t_s <= self.t_s:
            return
        first = self.t_s == float("-inf")
        self.t_s = t_s
        self.against = 0 if level_fine is self.fine else self.against + 1
        if self.against >= _COUNTS or (first and level_fine):
            self.fine, self.against = level_fine, 0


@dataclass(slots=True)
class Contacts:
    """Takes the newest levels of each tick and says which contacts are not well.

    A level counts when two readings in a row agree. An input that is missing, or whose module is UNKNOWN, is not well.
    """

    settings: GuardSettings
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _unknown: dict[str, str] = field(default_factory=dict)  # name: why
    _since_beat_s: float | None = None  # since when the heartbeat has waited for its relay
    _read: set[str] = field(default_factory=set)  # ever
    _start_s: float = math.inf
    _now_s: float = 0.0

    def take(self, inputs: Inputs, now_s: float) -> None:
        """Take in what the modules show now."""
        self._now_s, self._start_s = now_s, min(self._start_s, now_s)
        self._unknown = {}
        for name, contact in self._contacts().items():
            level, t_s, why = find_level(inputs, name)
            seen = self._seen.setdefault(name, _Seen())
            if level is None:
                self._unknown[name] = why
                self._seen[name] = _Seen()
            else:
                self._read.add(name)
                seen.take(level is contact.safe_when, t_s)
        if self._since_beat_s is not None and not self._bad_relays():
            self._since_beat_s = None

    def heartbeat_began(self, now_s: float) -> None:
        """The heartbeat begins, by a person's command: its relay is given time to pick up."""
        self._since_beat_s = now_s

    @property
    def awaiting_relay(self) -> bool:
        """Whether the heartbeat has just begun and its relay has not picked up yet."""
        return self._since_beat_s is not None and self._now_s - self._since_beat_s < RELAY_S

    def open(self, *kinds: str) -> list[OpenContact]:
        """Give the contacts of these kinds that are not well; of all kinds when none is named.

        A relay that the heartbeat has just been begun for is not held against the rig.
        """
        return [
            OpenContact(name, contact.kind, self._words(name, contact))
            for name, contact in self._contacts().items()
            if (not kinds or contact.kind in kinds)
            and not self._fine(name)
            and not (contact.kind == "relay" and self.awaiting_relay)
        ]

    def acting(self, *kinds: str) -> list[OpenContact]:
        """Give the same, but for contacts that were never read and may still come: a start is no reason to act."""
        starting = self._now_s - self._start_s < self.settings.rig.guard.device_timeout_s
        return [one for one in self.open(*kinds) if not (starting and one.name not in self._read)]

    def has(self, *kinds: str) -> bool:
        """Whether there is a contact of these kinds."""
        return any(contact.kind in kinds for contact in self._contacts().values())

    def counting(self, *kinds: str) -> bool:
        """Whether a contact of these kinds has shown one reading against it, and not yet enough."""
        return any(
            contact.kind in kinds and name in self._seen and self._seen[name].against > 0
            for name, contact in self._contacts().items()
        )

    def document(self) -> dict[str, object]:
        """Give every contact for `status`."""
        return {
            name: {
                "kind": contact.kind,
                "well": self._fine(name),
                **({"why": self._words(name, contact)} if not self._fine(name) else {}),
            }
            for name, contact in self._contacts().items()
        }

    def _contacts(self) -> dict[str, Contact]:
        return self.settings.rig.contacts.inputs

    def _bad_relays(self) -> list[str]:
        return [
            name
            for name, contact in self._contacts().items()
            if contact.kind == "relay" and not self._fine(name)
        ]

    def _fine(self, name: str) -> bool:
        return name not in self._unknown and name in self._seen and self._seen[name].fine

    def _words(self, name: str, contact: Contact) -> str:
        if name in self._unknown:
            return f"contact '{name}' is UNKNOWN: {self._unknown[name]}"
        return f"contact '{name}' {_MEANS[contact.kind]}"


_MEANS = {
    "door": "is open: a door",
    "valve": "is open: a valve",
    "water": "is open: cooling water",
    "ups": "is open: on battery",
    "relay": "is open: the heartbeat's watchdog relay",
    "other": "is open",
}


def find_level(inputs: Inputs, name: str) -> tuple[bool | None, float, str]:
    """Find a named level among the digital modules: level or None, time of its reading, and why it is not known."""
    why = "no device of role io"
    for view in inputs.devices.values():
        if view.role != "io":
            continue
        why = f"{view.name} has no input or output of that name"
        if not view.known:
            why = f"{view.name}: {view.why}"
        elif isinstance(view.reading, DigitalReading) and name in view.reading.levels:
            return view.reading.levels[name], view.reading.t_mono_s, ""
    return None, 0.0, why
