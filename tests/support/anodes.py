"""Anodes for tests."""

from typing import Any

from evapd.matching import Anode


def quad(**changes: Any) -> Anode:
    """The anode of `support.signals.SignalModel`'s defaults, with changes; `x=` and `y=` change a layer."""
    layers = {
        "x": {"time_sum_ps": 110_000, "mm_per_ns": 0.8} | changes.pop("x", {}),
        "y": {"time_sum_ps": 112_000, "mm_per_ns": 0.8} | changes.pop("y", {}),
    }
    fields = {"kind": "quad", "radius_mm": 40, "dead_time_ps": 10_000, "jitter_ps": 100, "layers": layers}
    return Anode.model_validate(fields | changes)
