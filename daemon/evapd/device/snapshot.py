"""What a device worker tells about its instrument at one instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from evapd.device.readings import Identity, Reading


class DeviceState(StrEnum):
    """What is known of an instrument."""

    CONNECTING = "connecting"  # the link is being opened, or reopened while the newest reading is still fresh
    ONLINE = "online"  # the link is open and the newest reading is fresh
    UNKNOWN = "unknown"  # no fresh reading, for whatever reason; never to be taken for off


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """State and newest reading of one instrument.

    Attributes:
        state: see `DeviceState`.
        reading: the newest reading, however old; None before the first.
        age_s: seconds since that reading was complete.
        identity: who answered at the newest successful open.
        errors: how often each class of error happened; `dropped` counts commands that were not sent.
        last_error: the newest error in words, kept after recovery; empty when there was none.
        since_s: seconds that the state has lasted.
        last_command_s: seconds that the newest command took, with the read behind it; None before the first.
        longest_command_s: the longest of these.
    """

    state: DeviceState
    reading: Reading | None
    age_s: float | None
    identity: Identity | None
    errors: Mapping[str, int]
    last_error: str
    since_s: float
    last_command_s: float | None
    longest_command_s: float | None
