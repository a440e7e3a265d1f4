"""Turns a snapshot into what prometheus_client writes; labels that were seen once never vanish without a word."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from evapd.metrics.energy import ENERGY
from evapd.metrics.model import NAN, Metric, Snapshot
from evapd.metrics.recording import RECORDING

METRICS: tuple[Metric, ...] = (*ENERGY, *RECORDING)
_MOST_LABELS = 500  # of one metric: names come from outside, memory must not


class EvapdCollector(Collector):
    """Asks for a snapshot at each scrape. Used by one thread."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._seen: dict[str, set[tuple[str, ...]]] = {}

    def describe(self) -> list[Family]:
        """Name nothing beforehand: registering must not ask for a snapshot."""
        return []

    def collect(self) -> Iterator[Family]:
        """Give every metric."""
        snapshot = self._snapshot()
        for metric in METRICS:
            yield self._family(metric, snapshot)

    def _family(self, metric: Metric, snapshot: Snapshot) -> Family:
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = kind(metric.name, metric.doc, labels=metric.labels)
        samples = dict(metric.read(snapshot))
        for labels, value in (samples | self._missing(metric, samples, snapshot)).items():
            # A counter has no NaN (OpenMetrics 1.0, "Counter"): one that is not known is left out.
            if metric.kind == "gauge" or value >= 0.0:
                family.add_metric(labels, value)
        return family

    def _missing(
        self, metric: Metric, samples: dict[tuple[str, ...], float], snapshot: Snapshot
    ) -> dict[tuple[str, ...], float]:
        if not metric.labels or metric.absent == "gone":
            return {}
        seen = self._seen.setdefault(metric.name, set())
        missing = {
            labels: NAN if metric.absent == "nan" or _unknown(labels, snapshot) else 0.0
            for labels in sorted(seen - samples.keys())
        }
        seen.update(labels for labels in samples if len(seen) < _MOST_LABELS)
        return missing


def _unknown(labels: tuple[str, ...], snapshot: Snapshot) -> bool:
    """An alarm of a guard that is silent is not over: nobody knows."""
    return labels[0] == "guard" and not snapshot.guard
