"""All that the words told, before it becomes an anode file and a report."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.collect import Signals
from evapd.calibration.deadtime import DeadTime
from evapd.calibration.frame import Frame
from evapd.calibration.geometry import Geometry
from evapd.calibration.sumfit import SumFit
from evapd.calibration.timesums import coordinate_mm
from evapd.calibration.walk import Curve
from evapd.matching.anode import Anode, Layer, Walk

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was measured.

    Attributes:
        signals: samples of the words.
        times_ps: of single ions, shape (n, channels), some of them wrong.
        picked: how many of them come from crowded pulses.
        frame: what was known before.
        fit: time sums and jitter.
        geometry: scales and offsets.
        dead: dead time.
    """

    signals: Signals
    times_ps: Floats
    picked: int
    frame: Frame
    fit: SumFit
    geometry: Geometry
    dead: DeadTime


def anode_of(found: Findings) -> Anode:
    """The anode file's content."""
    frame, start = found.frame, found.frame.start
    layers = {}
    for k, name in enumerate(frame.names):
        bare = Layer(
            time_sum_ps=round(found.fit.layers[k].mean, 1),
            mm_per_ns=round(found.geometry.mm_per_ns[k].value, 6),
            offset_ps=round(found.geometry.offset_ps[k].value, 1),
            angle_deg=start.layers[name].angle_deg if start else None,
        )
        layers[name] = bare.model_copy(update={"walk": _walk_table(found.fit.layers[k].walk, bare)})
    dead_time_ps = start.dead_time_ps if start else 0.0
    if not math.isnan(found.dead.value):
        dead_time_ps = found.dead.value
    return Anode(
        kind="hex" if found.signals.kind == "hex" else "quad",
        radius_mm=start.radius_mm if start else frame.radius_mm,
        centre_mm=frame.centre_mm,
        dead_time_ps=round(dead_time_ps, 0),
        jitter_ps=round(found.fit.jitter.signal, 2),
        layers=layers,
    )


def _walk_table(walk: Curve | None, layer: Layer) -> Walk | None:
    if walk is None:
        return None
    at_mm = np.round(coordinate_mm(layer, walk.at), 3)
    new = np.concatenate([[True], np.diff(at_mm) > 0])  # points nearer than 1 um are one
    return Walk(
        coordinate_mm=tuple(float(c) for c in at_mm[new]),
        time_sum_ps=tuple(round(float(t), 1) for t in walk.value[new]),
    )
