"""What scripts import: commands, status, and the stream as numpy arrays."""

from evapd.client.abort import abort_now
from evapd.client.client import Client
from evapd.client.feed import Feed
from evapd.client.status import DeviceStatus, GuardStatus, Outcome, RunInfo, Status
from evapd.errors import RequestError, RequestTimeout

__all__ = [
    "Client",
    "DeviceStatus",
    "Feed",
    "GuardStatus",
    "Outcome",
    "RequestError",
    "RequestTimeout",
    "RunInfo",
    "Status",
    "abort_now",
]
