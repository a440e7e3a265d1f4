"""Scale and offset of every layer: from the detector's outline, for hex anodes from u, v and w first."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.calibration import Estimate
from evapd.calibration.consistency import Plane, fit_plane
from evapd.calibration.ellipse import Ellipse
from evapd.calibration.outline import Outline, first_guess, fit_outline
from evapd.errors import StateError
from evapd.matching.anode import Anode

Floats = NDArray[np.float64]

# A scale that changes by more than this is not believed unless the radius was given with the data: an image smaller than
# the detector (an aperture, a short specimen) may have a sharp and round rim of its own.
_BELIEVED = 0.12
# With a larger uncertainty of the rim the start's numbers are kept as long as the data do not contradict them.
_LARGEST_ERROR_MM = 0.15
_CONTRADICTS = 3.0  # standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is known of the geometry before: kind's axes, radius, centre, and the start anode if there is one."""

    names: tuple[str, ...]
    axes: Floats  # (layers, 2)
    radius_mm: float
    centre_mm: tuple[float, float]
    start: Anode | None
    radius_given: bool


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
    outline = fit_outline(difference_ps, guess, blur_ps=sigma_ps * math.sqrt(2.0), bin_ps=bin_ps)
    problem = outline.problem or _not_believed(outline, frame)
    if hexanode and plane is None:
        problem = "the hits fall on too small a part of the detector to compare u, v and w"
    if not problem:
        return _from_outline(outline, frame, plane)
    if frame.start is None:
        raise StateError(
            f"the outline of the detector cannot be used: {problem}. Without it scale and offsets need a start anode: "
            "name one with --anode, or use a run whose hits fill the detector"
        )
    return _from_start(frame.start, frame, plane, replace(outline, problem=problem))


def _not_believed(outline: Outline, frame: Frame) -> str:
    """Why an outline that looks good is not used after all; "" when it is."""
    shift_error = outline.middle_error_ps / outline.reach_ps
    error_mm = frame.radius_mm * float(np.max(np.hypot(shift_error, outline.reach_error)))
    if not np.isfinite(error_mm) or (frame.start is None and error_mm > 10 * _LARGEST_ERROR_MM):
        return "there are too few hits at the rim"
    if frame.start is None:
        return ""
    layers = [frame.start.layers[name] for name in frame.names]
    stretch = (
        np.array([2000.0 * frame.radius_mm / layer.mm_per_ns for layer in layers]) / outline.reach_ps - 1
    )
    along = frame.axes @ np.array(frame.centre_mm)
    middle = np.array(
        [layer.offset_ps + 2000.0 * a / layer.mm_per_ns for layer, a in zip(layers, along, strict=True)]
    )
    shift = (middle - outline.middle_ps) / outline.reach_ps
    contradiction = max(np.max(np.abs(stretch) / outline.reach_error), np.max(np.abs(shift) / shift_error))
    if error_mm > _LARGEST_ERROR_MM and contradiction < _CONTRADICTS:
        return (
            f"the hits at the rim are too few to improve them: they tell it to {error_mm:.2f} mm, and agree"
        )
    worst = float(stretch[np.argmax(np.abs(stretch))])
    if abs(worst) > _BELIEVED and not frame.radius_given:
        return (
            f"the scale would change by {100 * worst:+.0f} %: either the image does not fill the detector, or the start's "
            "radius_mm is wrong; give the radius of what the hits fill with --radius-mm to use the outline all the same"
        )
    return ""


def _from_outline(outline: Outline, frame: Frame, plane: Plane | None) -> Geometry:
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
    return Geometry(mm_per_ns=tuple(scales), offset_ps=tuple(offsets), outline=outline, plane=plane, notes=())


def _from_start(start: Anode, frame: Frame, plane: Plane | None, outline: Outline) -> Geometry:
    """Keep the start's numbers; of a hex anode change them as little as u, v and w ask for."""
    layers = [start.layers[name] for name in frame.names]
    scale = np.array([layer.mm_per_ns for layer in layers])
    offset = np.array([layer.offset_ps for layer in layers])
    scale_error = offset_error = np.full(len(layers), np.nan)
    note = f"scale and offsets are the start's: {outline.problem}"
    if plane is not None:
        common = float(np.mean(scale / plane.scale))
        # Where the centre lies must not move with the scales: what is kept is t1 - t2 of the centre's coordinate.
        along = frame.axes @ np.array(frame.centre_mm)
        middle = _on_plane(offset + 2000.0 * along / scale, plane)
        scale = common * plane.scale
        offset = middle - 2000.0 * along / scale
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


def _on_plane(difference_ps: Floats, plane: Plane) -> Floats:
    """The nearest differences that lie in the plane of a hex anode."""
    away = float(plane.weights @ difference_ps) - plane.constant
    return difference_ps - plane.weights * away / float(plane.weights @ plane.weights)
