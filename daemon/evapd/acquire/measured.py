"""What the endpoint for Prometheus is shown: gathered from what the parts count anyway, on the endpoint's own thread."""

import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from evapd import __version__
from evapd.acquire.counts import Counts
from evapd.config.metrics import OFF
from evapd.metrics.collector import EvapdCollector
from evapd.metrics.model import NAN, Snapshot
from evapd.metrics.server import Endpoint
from evapd.stream.publisher import PublisherStats

_COUNTED = (
    "live_pulses",
    "hits_window",
    "hits_background",
    "hits_early",
    "triggers",
    "map_hits",
    "hot_hits",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Where to ask; every call returns at once and is safe from any thread."""

    status: Callable[[], dict[str, Any]]
    counts: Callable[[], Counts]
    loop: Callable[[], Mapping[str, float]]  # the guard's newest row
    queue_blocks: Callable[[], int]  # that wait to be matched
    stream: Callable[[], PublisherStats]
    requests: Callable[[], Mapping[tuple[str, str], int]] = dict  # by command and result


class Measured:
    """Serves the metrics of this process, unless the configuration says off."""

    def __init__(
        self, address: str, parts: Parts, runs: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts, self._runs, self._clock = parts, runs, clock
        self._since_s = clock()
        self._build = {"version": __version__, "python": platform.python_version()}
        self.endpoint: Endpoint | None = None
        if address != OFF:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(EvapdCollector(self.snapshot))
            ProcessCollector(registry=registry)
            self.endpoint = Endpoint(address, registry, clock)

    def start(self) -> None:
        """Begin to serve."""
        if self.endpoint is not None:
            self.endpoint.start()

    def stop(self) -> None:
        """End."""
        if self.endpoint is not None:
            self.endpoint.stop()

    def snapshot(self) -> Snapshot:
        """Give everything of this instant."""
        parts = self._parts
        status, counts = parts.status(), parts.counts()
        return Snapshot(
            status=status,
            counts={name: float(getattr(counts, name)) for name in _COUNTED}
            | {"queue_blocks": float(parts.queue_blocks()), "free_bytes": self._free_bytes()},
            loop=dict(parts.loop()),
            stream=asdict(parts.stream()),
            requests=dict(parts.requests()),
            build=self._build | {"instance": str(status.get("instance", ""))},
            uptime_s=self._clock() - self._since_s,
            scrape=dict(self.endpoint.counts) if self.endpoint is not None else {},
        )

    def _free_bytes(self) -> float:
        try:
            return float(shutil.disk_usage(self._runs).free)
        except OSError:
            return NAN  # a disk that does not answer has no known room
