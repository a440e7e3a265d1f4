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


def hexanode(**changes: Any) -> Anode:
    """The hex anode of `support.signals`, with changes; `u=`, `v=` and `w=` change a layer."""
    layers = {
        name: {"time_sum_ps": time_sum_ps, "mm_per_ns": mm_per_ns} | changes.pop(name, {})
        for name, time_sum_ps, mm_per_ns in (("u", 110_000, 0.80), ("v", 112_000, 0.82), ("w", 114_000, 0.78))
    }
    fields = {"kind": "hex", "radius_mm": 40, "dead_time_ps": 10_000, "jitter_ps": 100, "layers": layers}
    return Anode.model_validate(fields | changes)
