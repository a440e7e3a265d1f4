"""What scripts import: commands, status, and the stream as numpy arrays (docs/client.md)."""

from typing import TYPE_CHECKING, Any

from evapd.client.abort import abort_now
from evapd.client.client import Client
from evapd.client.feed import Feed
from evapd.client.lease import Lease
from evapd.client.live import mass_edges_da
from evapd.client.status import (
    CommandInfo,
    Describe,
    DeviceStatus,
    GuardStatus,
    LastRun,
    LeaseInfo,
    Outcome,
    ParameterInfo,
    RunInfo,
    Status,
)
from evapd.errors import Forbidden, LeaseHeld, LeaseLost, RateLimited, RequestError, RequestTimeout
from evapd.security.keys import ClientKeys
from evapd.stream.subscriber import Notice

if TYPE_CHECKING:
    from evapd.client.aio import AsyncClient

__all__ = [
    "AsyncClient",
    "Client",
    "ClientKeys",
    "CommandInfo",
    "Describe",
    "DeviceStatus",
    "Feed",
    "Forbidden",
    "GuardStatus",
    "LastRun",
    "Lease",
    "LeaseHeld",
    "LeaseInfo",
    "LeaseLost",
    "Notice",
    "Outcome",
    "ParameterInfo",
    "RateLimited",
    "RequestError",
    "RequestTimeout",
    "RunInfo",
    "Status",
    "abort_now",
    "mass_edges_da",
]


def __getattr__(name: str) -> Any:
    """Import the waiting client only for those who name it: it brings asyncio along."""
    if name == "AsyncClient":
        from evapd.client.aio import AsyncClient  # noqa: PLC0415

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
