"""From words to a calibrated anode."""

import math
from collections.abc import Iterable

import numpy as np
from pydantic import ValidationError

from evapd.blocks import TdcBlock
from evapd.calibration.calibration import Calibration
from evapd.calibration.collect import collect
from evapd.calibration.deadtime import estimate_dead_time
from evapd.calibration.describe import report_of
from evapd.calibration.findings import Findings, anode_of
from evapd.calibration.frame import Frame
from evapd.calibration.geometry import fit_geometry
from evapd.calibration.single import single_ions
from evapd.calibration.sumfit import fit_sums
from evapd.calibration.timesums import differences_of
from evapd.calibration.walk import Curve
from evapd.errors import StateError
from evapd.matching.anode import DEFAULT_ANGLE_DEG, LAYERS, Anode


def calibrate(
    blocks: Iterable[TdcBlock], start: Anode | None = None, *, radius_mm: float | None = None
) -> Calibration:
    """Calibrate an anode from the words of a run.

    Args:
        blocks: consecutive blocks of one TDC; they are read once.
        start: what is known of the anode: kind, angles, radius and centre are taken from it, everything else is measured
            where the data allow. None: quad or hex is told from the channels, angles are the defaults.
        radius_mm: of the area that the hits fill; the start's when None. The anode keeps the start's radius.

    Returns:
        The anode, and a report of each number.

    Raises:
        StateError: when the words do not give what is needed; the message says what is missing and what to do.
        StreamError: when the bin width changes within the words.
    """
    if start is None and radius_mm is None:
        raise StateError(
            "without a start anode the scale needs the detector's radius: give --anode START.yaml, or --radius-mm"
        )
    signals = collect(blocks, start.kind if start else None)
    frame = _frame(signals.kind, start, radius_mm)
    ions = single_ions(signals)
    bin_ps = float(signals.bin_ps)
    fit = fit_sums(ions.times_ps, bin_ps, _start_walks(start, frame.names), in_order=ions.lone)
    found = Findings(
        signals=signals,
        times_ps=ions.times_ps,
        picked=ions.picked,
        frame=frame,
        fit=fit,
        geometry=fit_geometry(
            differences_of(ions.times_ps[fit.kept]), frame, sigma_ps=fit.jitter.rounded, bin_ps=bin_ps
        ),
        dead=estimate_dead_time(signals.gaps, bin_ps),
    )
    try:
        anode = anode_of(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StateError(f"what was found is no anode: {where}: {first['msg']}; look at the words") from error
    return report_of(found, anode)


def _frame(kind: str, start: Anode | None, radius_mm: float | None) -> Frame:
    names = LAYERS[kind]
    if start is not None:
        axes = np.array([start.axis(name) for name in names])
    else:
        angles = np.radians([DEFAULT_ANGLE_DEG[name] for name in names])
        axes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Frame(
        names=names,
        axes=axes,
        radius_mm=radius_mm or (start.radius_mm if start else math.nan),
        centre_mm=start.centre_mm if start else (0.0, 0.0),
        start=start,
        radius_given=radius_mm is not None,
    )


def _start_walks(start: Anode | None, names: tuple[str, ...]) -> tuple[Curve | None, ...]:
    """The start's walk tables over t1 - t2."""
    walks: list[Curve | None] = []
    for name in names:
        layer = start.layers[name] if start else None
        if layer is None or layer.walk is None:
            walks.append(None)
            continue
        at = 2000.0 * np.array(layer.walk.coordinate_mm) / layer.mm_per_ns + layer.offset_ps
        walks.append(Curve(at, np.array(layer.walk.time_sum_ps), np.zeros(len(at))))
    return tuple(walks)
