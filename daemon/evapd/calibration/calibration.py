"""What a calibration is: the anode, and for each of its numbers what it was, what it is, and how sure that is."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.outline import Outline
from evapd.matching.anode import Anode

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number: what it is now, its uncertainty (standard deviation), and what the start anode said.

    A number that was not measured keeps the start's value; its uncertainty is then NaN.
    """

    value: float
    error: float = math.nan
    start: float | None = None

    @property
    def measured(self) -> bool:
        """Whether the data gave the number."""
        return math.isfinite(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """The numbers of one layer.

    Attributes:
        time_sum_ps, mm_per_ns, offset_ps: as in the anode file.
        width_ps: standard deviation of the time sum about its walk.
        walk_ps: from the lowest to the highest point of the walk table, 0 without one.
        walk_points: number of its points.
        drift_ps: time sum of the last fifth of the lone pulses minus that of the first fifth.
    """

    time_sum_ps: Estimate
    mm_per_ns: Estimate
    offset_ps: Estimate
    width_ps: float
    walk_ps: float
    walk_points: int
    drift_ps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Signals of single ions behind the numbers, for pictures: times in ps, shape (n, channels)."""

    times_ps: Floats
    kept: NDArray[np.bool_]  # explained by the new anode


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """An anode calibrated from data.

    Attributes:
        anode: the result, ready for matching.
        start: what it began with, None when it began with nothing.
        layers: report by layer name.
        jitter_ps, dead_time_ps: as in the anode file.
        mcp_jitter_ps, line_jitter_ps: of the MCP signal and of a line's end by themselves; NaN when not told apart.
        fitting_before, fitting_after: part of the lone pulses whose time sums agree with the anode.
        outline: the fitted outline of what the hits fill; its `problem` says why it was not used.
        filled_mm: the radius that the outline was taken for.
        hits: single ions used; `lone_pulses` and `picked` tell where they came from.
        words, pulses, bin_ps: of the data.
        consistency_um: hex: standard deviation of u - v + w (generalised) before and after, NaN for quad.
        notes: what could not be determined, and why; what else a person must know.
    """

    anode: Anode
    start: Anode | None
    layers: dict[str, LayerReport]
    jitter_ps: Estimate
    dead_time_ps: Estimate
    mcp_jitter_ps: float
    line_jitter_ps: float
    fitting_before: float
    fitting_after: float
    outline: Outline
    filled_mm: float
    hits: int
    lone_pulses: int
    picked: int
    words: int
    pulses: int
    bin_ps: float
    consistency_um: tuple[float, float]
    sample: Sample
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The report for programs; what is not known is None."""

        def one(estimate: Estimate) -> dict[str, Any]:
            return {
                "value": estimate.value,
                "uncertainty": known(estimate.error),
                "start": estimate.start,
                "measured": estimate.measured,
            }

        return {
            "calibration": self.anode.calibration_id,
            "start": self.start.calibration_id if self.start else None,
            "kind": self.anode.kind,
            "hits": self.hits,
            "lone_pulses": self.lone_pulses,
            "picked": self.picked,
            "words": self.words,
            "pulses": self.pulses,
            "bin_ps": self.bin_ps,
            "fitting_before": known(self.fitting_before),
            "fitting_after": self.fitting_after,
            "jitter_ps": one(self.jitter_ps),
            "mcp_jitter_ps": known(self.mcp_jitter_ps),
            "line_jitter_ps": known(self.line_jitter_ps),
            "dead_time_ps": one(self.dead_time_ps),
            "outline": {
                "used": not self.outline.problem,
                "problem": self.outline.problem,
                "radius_mm": self.filled_mm,
                "contrast": self.outline.edges.contrast,
                "roundness": known(self.outline.roundness),
            },
            "consistency_um": [known(width) for width in self.consistency_um],
            "layers": {
                name: {
                    "time_sum_ps": one(layer.time_sum_ps),
                    "mm_per_ns": one(layer.mm_per_ns),
                    "offset_ps": one(layer.offset_ps),
                    "width_ps": layer.width_ps,
                    "walk_ps": layer.walk_ps,
                    "walk_points": layer.walk_points,
                    "drift_ps": layer.drift_ps,
                }
                for name, layer in self.layers.items()
            },
            "notes": list(self.notes),
        }


def known(value: float) -> float | None:
    """The value, None for NaN: JSON has none."""
    return value if math.isfinite(value) else None
