"""Scale and offset of every layer: from the detector's outline, for hex anodes from u, v and w first."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.belief import not_believed, told_of
from evapd.calibration.calibration import Estimate
from evapd.calibration.consistency import Plane, fit_plane
from evapd.calibration.ellipse import Ellipse
from evapd.calibration.frame import Frame
from evapd.calibration.outline import Outline, first_guess, fit_outline
from evapd.errors import StateError
from evapd.matching.anode import Anode

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Scales and offsets by layer, the outline they come from, the hex plane, and what could not be told."""

    mm_per_ns: tuple[Estimate, ...]
    offset_ps: tuple[Estimate, ...]
    outline: Outline
    plane: Plane | None
    notes: tuple[str, ...]


def fit_geometry(difference_ps: Floats, frame: Frame, *, sigma_ps: float, bin_ps: float) -> Geometry:
    """Find scales and offsets.

    Args:
        difference_ps: t1 - t2 of single ions, shape (n, layers).
        frame: what is known before.
        sigma_ps: standard deviation of one signal, rounding included.
        bin_ps: the TDC's bin.

    Raises:
        StateError: when the outline cannot be found and there is no start anode, or a hex anode's layers do not fit together.
    """
    middle, reach = first_guess(difference_ps)
    hexanode = len(frame.names) == 3
    plane = fit_plane(difference_ps, frame.axes) if hexanode else None
    if plane is not None:
        difference_ps = difference_ps[plane.kept]
        reach = float(np.mean(reach * plane.scale)) / plane.scale
        middle = _on_plane(middle, plane)
    guess = Ellipse(middle_ps=middle, reach_ps=reach, axes=frame.axes, one_scale=hexanode)
    blur_ps = sigma_ps * math.sqrt(2.0)
    outline = fit_outline(difference_ps, guess, blur_ps=blur_ps, bin_ps=bin_ps)
    if outline.problem and frame.start is not None:
        # Where half of the detector is dark the outermost hits are not on the rim; the start knows where to look.
        known = _start_ellipse(frame.start, frame, plane)
        arc = fit_outline(difference_ps, known, blur_ps=blur_ps, bin_ps=bin_ps, partial=True)
        outline = outline if arc.problem else arc
    problem = outline.problem or not_believed(outline, frame)
    if hexanode and plane is None:
        problem = "the hits fall on too small a part of the detector to compare u, v and w"
    if not problem:
        return _from_outline(outline, frame, plane, told_of(outline, frame, len(difference_ps)))
    if frame.start is None:
        raise StateError(
            f"the outline of the detector cannot be used: {problem}. Without it scale and offsets need a start anode: "
            "name one with --anode, or use a run whose hits fill the detector"
        )
    return _from_start(frame.start, frame, plane, replace(outline, problem=problem))


def _from_outline(outline: Outline, frame: Frame, plane: Plane | None, notes: tuple[str, ...]) -> Geometry:
    scales, offsets = [], []
    for k, name in enumerate(frame.names):
        layer = frame.start.layers[name] if frame.start else None
        scale = 2000.0 * frame.radius_mm / float(outline.reach_ps[k])
        error = outline.reach_error[k] + (plane.scale_error[k] / plane.scale[k] if plane else 0.0)
        along_mm = float(np.dot(frame.axes[k], frame.centre_mm))
        scales.append(
            Estimate(value=scale, error=float(scale * error), start=layer.mm_per_ns if layer else None)
        )
        offsets.append(
            Estimate(
                value=float(outline.middle_ps[k]) - 2000.0 * along_mm / scale,
                error=float(outline.middle_error_ps[k]),
                start=layer.offset_ps if layer else None,
            )
        )
    return Geometry(
        mm_per_ns=tuple(scales),
        offset_ps=tuple(offsets),
        outline=outline,
        plane=plane,
        notes=notes,
    )


def _from_start(start: Anode, frame: Frame, plane: Plane | None, outline: Outline) -> Geometry:
    """Keep the start's numbers; of a hex anode change them as little as u, v and w ask for."""
    layers = [start.layers[name] for name in frame.names]
    scale = np.array([layer.mm_per_ns for layer in layers])
    offset = np.array([layer.offset_ps for layer in layers])
    ellipse = _start_ellipse(start, frame, plane)
    scale_error = offset_error = np.full(len(layers), np.nan)
    note = f"scale and offsets are the start's: {outline.problem}"
    if plane is not None:
        # Where the centre lies must not move with the scales: what is kept is t1 - t2 of the centre's coordinate.
        scale = 2000.0 * frame.radius_mm / ellipse.reach_ps
        offset = ellipse.middle_ps - 2000.0 * frame.along_mm() / scale
        scale_error = scale * plane.scale_error / plane.scale
        scale_error[0] = np.nan
        offset_error = np.full(3, plane.constant_error / float(np.linalg.norm(plane.weights)))
        note = (
            f"mean scale and centre are the start's: {outline.problem}. The ratios of the scales, and one combination of the "
            "offsets, come from u, v and w"
        )
    return Geometry(
        mm_per_ns=tuple(
            Estimate(value=float(scale[k]), error=float(scale_error[k]), start=layer.mm_per_ns)
            for k, layer in enumerate(layers)
        ),
        offset_ps=tuple(
            Estimate(value=float(offset[k]), error=float(offset_error[k]), start=layer.offset_ps)
            for k, layer in enumerate(layers)
        ),
        outline=outline,
        plane=plane,
        notes=(note,),
    )


def _start_ellipse(start: Anode, frame: Frame, plane: Plane | None) -> Ellipse:
    """The rim as the start has it; of a hex anode changed as little as u, v and w ask for."""
    ellipse = frame.ellipse_of(start)
    if plane is None:
        return ellipse
    scale = plane.scale * float(np.mean(2000.0 * frame.radius_mm / ellipse.reach_ps / plane.scale))
    return replace(
        ellipse, middle_ps=_on_plane(ellipse.middle_ps, plane), reach_ps=2000.0 * frame.radius_mm / scale
    )


def _on_plane(difference_ps: Floats, plane: Plane) -> Floats:
    """The nearest differences that lie in the plane of a hex anode."""
    away = float(plane.weights @ difference_ps) - plane.constant
    return difference_ps - plane.weights * away / float(plane.weights @ plane.weights)
