"""From what was measured to a report of each number."""

import math

import numpy as np

from evapd.calibration.calibration import Calibration, Estimate, LayerReport, Sample
from evapd.calibration.consistency import misfit_mm
from evapd.calibration.findings import Findings, Floats
from evapd.calibration.robust import middle_and_width
from evapd.calibration.timesums import deviations, fitting_share, joint_deviation
from evapd.matching.anode import Anode
from evapd.matching.settings import MatchSettings

SAMPLE = 200_000
GATE_SIGMA = MatchSettings().full_sigma  # of the joint deviation of the time sums
_DRIFT_TOLD = 0.5  # of the width of the time sum
_FEW_HITS = 5_000


def report_of(found: Findings, anode: Anode) -> Calibration:
    """The report, with what could not be determined and why."""
    start, bin_ps = found.frame.start, float(found.signals.bin_ps)
    lone, jitter = found.signals.lone, found.fit.jitter
    thinned = found.times_ps[:: max(1, -(-len(found.times_ps) // SAMPLE))]
    joint = joint_deviation(deviations(thinned, anode))
    return Calibration(
        anode=anode,
        start=start,
        layers={name: _layer_report(found, anode, k) for k, name in enumerate(found.frame.names)},
        jitter_ps=Estimate(
            value=anode.jitter_ps, error=jitter.error, start=start.jitter_ps if start else None
        ),
        dead_time_ps=Estimate(
            value=anode.dead_time_ps, error=found.dead.error, start=start.dead_time_ps if start else None
        ),
        mcp_jitter_ps=jitter.mcp,
        line_jitter_ps=jitter.line,
        fitting_before=fitting_share(lone, start, bin_ps, GATE_SIGMA) if start else math.nan,
        fitting_after=fitting_share(lone, anode, bin_ps, GATE_SIGMA),
        outline=found.geometry.outline,
        filled_mm=found.frame.radius_mm,
        hits=int(found.fit.kept.sum()),
        lone_pulses=found.signals.lone_pulses,
        picked=found.picked,
        words=found.signals.words,
        pulses=found.signals.pulses,
        bin_ps=bin_ps,
        consistency_um=_consistency(found.times_ps[found.fit.kept], anode, start),
        sample=Sample(times_ps=thinned, kept=joint < (GATE_SIGMA * jitter.rounded) ** 2),
        notes=(*found.geometry.notes, *_notes(found)),
    )


def _layer_report(found: Findings, anode: Anode, k: int) -> LayerReport:
    name, start = found.frame.names[k], found.frame.start
    layer, layer_sum = anode.layers[name], found.fit.layers[k]
    before = start.layers[name].time_sum_ps if start else None
    return LayerReport(
        time_sum_ps=Estimate(value=layer.time_sum_ps, error=layer_sum.mean_error, start=before),
        mm_per_ns=found.geometry.mm_per_ns[k],
        offset_ps=found.geometry.offset_ps[k],
        width_ps=layer_sum.width,
        walk_ps=float(np.ptp(layer.walk.time_sum_ps)) if layer.walk else 0.0,
        walk_points=len(layer.walk.coordinate_mm) if layer.walk else 0,
        drift_ps=layer_sum.drift,
    )


def _consistency(times_ps: Floats, anode: Anode, start: Anode | None) -> tuple[float, float]:
    if anode.kind != "hex":
        return math.nan, math.nan
    before = middle_and_width(misfit_mm(times_ps, start))[1] * 1000.0 if start else math.nan
    return before, middle_and_width(misfit_mm(times_ps, anode))[1] * 1000.0


def _notes(found: Findings) -> list[str]:
    notes = []
    if found.dead.problem:
        what = "is the start's" if found.frame.start else "is set to 0"
        notes.append(f"dead_time_ps {what}: {found.dead.problem}")
    hits = int(found.fit.kept.sum())
    if hits < _FEW_HITS:
        notes.append(f"only {hits} hits: walk tables are coarse, and a small walk is not seen")
    for name, layer in zip(found.frame.names, found.fit.layers, strict=True):
        if layer.from_start:
            notes.append(f"the walk of layer {name} is the start's, which these hits confirm")
        if abs(layer.drift) > max(_DRIFT_TOLD * layer.width, 5.0 * layer.mean_error):
            notes.append(
                f"the time sum of layer {name} drifts by {layer.drift:+.0f} ps from the first to the last fifth of the hits: "
                "one calibration does not fit all of this run"
            )
    return notes
