"""Live analysis for benchmarks: on its thread, with a voltage that stands, and its documents counted."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from evapd.live.analysis import LiveAnalysis
from evapd.live.service import LiveService
from evapd.live.tap import HitTap
from evapd.stream.jsontext import to_json
from support.live_bench import LiveBench


@dataclass
class BenchService:
    """A service and what it published; `cpu_s` is the processor time of its thread."""

    tap: HitTap
    analysis: LiveAnalysis
    bench: LiveBench
    publish: Callable[[dict[str, Any]], None]
    documents: int = 0
    cpu_s: float = 0.0
    last: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.service = LiveService(
            present=self._present, histories_of=lambda _: {}, publish=self._published, analysis=self.analysis, tap=self.tap,
            tell=lambda *event, **_: print(event),
        )  # fmt: skip
        self.analysis.warm_up()
        self.tap.begin("bench")

    def start(self) -> None:
        self.service.start()

    def stop(self) -> None:
        self.service.stop()

    def told(self) -> str:
        told = self.last["analysis"]
        part = told["analysed_hits"] / max(told["hits"], 1)
        return (
            f"{100 * part:.0f} % of the hits, {self.documents} documents of {len(to_json(self.last)) / 1e3:.0f} kB, "
            f"{1e9 * self.cpu_s / max(told['analysed_hits'], 1):.0f} ns per analysed hit, documents included"
        )

    def _present(self) -> dict[str, Any]:
        now_us = time.monotonic() * 1e6
        self.bench.v_dc.take(now_us, 3000.0)
        self.bench.v_p.take(now_us, 600.0)
        return {}

    def _published(self, document: dict[str, Any]) -> None:
        self.publish(document)
        self.documents += 1
        self.last = document
        self.cpu_s = time.thread_time()
        assert threading.current_thread().name == "live"


def live_bench_service(publish: Callable[[dict[str, Any]], None]) -> BenchService:
    """A service with the settings that a rig has by default."""
    bench = LiveBench()
    tap = HitTap(bench.live.hits_per_s, time.monotonic)
    return BenchService(tap, LiveAnalysis(bench.setup, bench.v_dc, bench.v_p, time.monotonic), bench, publish)
