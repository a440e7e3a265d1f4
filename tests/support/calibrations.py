"""Anodes to calibrate: with walk, and wrongly described."""

from collections.abc import Callable

import numpy as np

from evapd.blocks import join_hits
from evapd.matching import Anode, Matcher
from support.anodes import hexanode, quad
from support.signals import SignalModel, Truth, score, simulate

WALKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bowl": lambda c: 1000.0 * c**2,
    "wave": lambda c: 900.0 * np.sin(3.0 * c),
    "step": lambda c: 1000.0 * (c > 0.25),
}


def walking(kind: str, shape: str = "wave", **changes) -> Anode:
    """An anode whose layers walk; neighbours walk the opposite way."""
    make = quad if kind == "quad" else hexanode
    radius_mm = changes.get("radius_mm", 40.0)
    at_mm = np.linspace(-1.1, 1.1, 201) * radius_mm
    names = ("x", "y") if kind == "quad" else ("u", "v", "w")
    for k, name in enumerate(names):
        gain_ps = WALKS[shape](at_mm / radius_mm) * (-1) ** k
        walk = {"coordinate_mm": tuple(at_mm), "time_sum_ps": tuple(gain_ps)}
        changes[name] = changes.get(name, {}) | {"walk": walk}
    return make(**changes)


def misdescribed(anode: Anode, *, scale: float = 0.02, offset_ps: float = 1000.0) -> Anode:
    """What a laboratory may believe of it: no walk, time sums and offsets 1 ns off, scales 2 % off."""
    content = anode.model_dump()
    for k, name in enumerate(anode.layer_names):
        sign = (-1) ** k
        layer = content["layers"][name]
        layer["walk"] = None
        layer["mm_per_ns"] *= 1.0 + sign * scale
        layer["offset_ps"] += sign * offset_ps
        layer["time_sum_ps"] += 1000.0
    return Anode.model_validate(content)


def stream(
    anode: Anode, hits: int, *, seed: int = 1, detection: float = 0.05, multi: float = 0.3, **changes
) -> Truth:
    """About so many true hits on an anode."""
    model = SignalModel.of(anode, detection=detection, multi=multi, **changes)
    return simulate(model, round(hits * (1.0 - multi) / detection), seed)


def efficiency(truth: Truth, anode: Anode) -> float:
    """Share of the true hits that an anode's matching finds within 1 ns and 0.3 mm."""
    matcher = Matcher(anode)
    return score(truth, join_hits([matcher.match(truth.block), matcher.flush()])).efficiency
