"""The detector's outline in the differences t1 - t2: it gives the scale of the layers and their offsets.

The filled disc is an ellipse in the differences. Its rim is found sector by sector, and centre and reach are fitted until
the rim is the unit circle; reach_k = 2000 radius_mm / mm_per_ns_k.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.edge import Edges, find_edges, outer_radii, sector_count
from evapd.calibration.ellipse import Adjustment, Ellipse, adjust

Floats = NDArray[np.float64]

# A semicircle's law (a uniform disc seen from the side) has 0.5 % of its hits beyond this part of its reach.
_QUANTILE, _QUANTILE_AT = 0.005, 0.9589
_LEAST_WIDTH, _MOST_WIDTH = 0.003, 0.06  # of the search for the edge on either side, in radii
_WIDTHS = (_MOST_WIDTH, _MOST_WIDTH, 0.04, 0.03, 0.02)
_HITS_AT_RIM = (20.0, 12.0, 8.0)  # of a sector, between the rim and the lower end of where it is looked for
_BLURS = 3.5  # standard deviations of the position that the search for the edge must cover
_LEAST_EDGES = 8
_LEAST_FOUND = 0.7  # of the sectors
_LEAST_CONTRAST = 0.75
_LARGEST_GAP_RAD = 2.1
_LEAST_ARC_RAD = 2.6  # 150 degrees, of a rim that is seen in part
_SMALL_GAP_RAD = 0.3  # within it
_LEAST_SECTORS_OF_ARC = 24
_OTHER_WIDTHS = (1.6, 2.5)  # with which an arc is looked at again
_LEAST_ROUND = 0.012  # scatter of the rim about the fitted outline, in radii, beyond its uncertainty
_GOLDEN = 0.6180339887498949
_START_ROUNDS, _START_STEP = 4, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The outline in the differences.

    Attributes:
        ellipse: centre and reach of every layer.
        middle_error_ps, reach_error: uncertainty of the centre (ps) and of the reach (relative), by layer.
        edges: rim by sector, in units of the radius; about 1 everywhere for a good fit.
        roundness: scatter of the rim about the outline, in radii.
        problem: why the outline must not be used; "" when it is good.
        partial: an arc was enough.
    """

    ellipse: Ellipse
    middle_error_ps: Floats
    reach_error: Floats
    edges: Edges
    roundness: float
    problem: str
    partial: bool = False

    @property
    def middle_ps(self) -> Floats:
        """Difference t1 - t2 at the detector's centre, by layer."""
        return self.ellipse.middle_ps

    @property
    def reach_ps(self) -> Floats:
        """Difference t1 - t2 from the centre to the rim along the layer's axis, by layer."""
        return self.ellipse.reach_ps


def first_guess(difference_ps: Floats) -> tuple[Floats, Floats]:
    """Middle and reach of every layer from the outermost hits."""
    low, high = np.quantile(difference_ps, (_QUANTILE, 1.0 - _QUANTILE), axis=0)
    return 0.5 * (low + high), np.maximum(0.5 * (high - low) / _QUANTILE_AT, 1.0)


def fit_outline(
    difference_ps: Floats, guess: Ellipse, *, blur_ps: float, bin_ps: float, partial: bool = False
) -> Outline:
    """Fit the outline.

    Args:
        difference_ps: t1 - t2, shape (n, layers).
        guess: where to begin; with `one_scale` its ratios of the reaches are kept.
        blur_ps: standard deviation of a difference.
        partial: the guess is good, and an arc of the rim is enough; without it the outermost hits lead to the rim.
        bin_ps: the TDC's bin; rounding is spread evenly again, or the edge would come in steps.
    """
    n, layers = difference_ps.shape
    even = ((np.arange(n)[:, None] * _GOLDEN + np.arange(layers) / layers) % 1.0 - 0.5) * bin_ps
    points = difference_ps + even
    sectors = max(sector_count(n), _LEAST_SECTORS_OF_ARC if partial else 0)
    ellipse = guess if partial else _from_outermost(points, guess, sectors)
    blur = _BLURS * float(np.hypot(blur_ps, 0.5 * bin_ps) / ellipse.reach_ps.min())
    least = [min(max(_LEAST_WIDTH, blur, hits * sectors / (2.0 * n)), _MOST_WIDTH) for hits in _HITS_AT_RIM]
    step: Adjustment | None = None
    for width in [*(max(width, least[0]) for width in _WIDTHS), *least, least[-1]]:
        edges = find_edges(*ellipse.polar(points), sectors, width)
        found = edges.found
        if found.sum() < max(_LEAST_EDGES, sectors // 3):
            step = None
            break
        step = adjust(ellipse, edges.angle[found], edges.radius[found], edges.error[found])
        ellipse = ellipse.moved(step.shift, step.stretch)
    if step is not None:
        edges = find_edges(*ellipse.polar(points), sectors, width)  # as they are after the last step
        step = _with_other_widths(step, ellipse, points, sectors, width) if partial else step
    unknown = np.full(layers, np.nan)
    return Outline(
        ellipse=ellipse,
        middle_error_ps=unknown if step is None else ellipse.reach_ps * step.shift_error,
        reach_error=unknown if step is None else step.stretch_error,
        edges=edges,
        roundness=np.nan if step is None else step.scatter,
        problem=_problem(edges, 1.0 if step is None else step.scatter, partial=partial),
        partial=partial,
    )


def _with_other_widths(
    step: Adjustment, ellipse: Ellipse, points: Floats, sectors: int, width: float
) -> Adjustment:
    """The step, less sure by what the rim moves when it is looked for over other widths.

    A structure of the image at the rim moves an arc, as nothing opposite holds it; how far depends on the width.
    """
    shift_error, stretch_error = step.shift_error, step.stretch_error
    for other in _OTHER_WIDTHS:
        edges = find_edges(*ellipse.polar(points), sectors, min(other * width, _MOST_WIDTH))
        if edges.found.sum() < _LEAST_EDGES:
            continue
        found = edges.found
        moved = adjust(ellipse, edges.angle[found], edges.radius[found], edges.error[found])
        shift_error = np.hypot(shift_error, np.abs(ellipse.axes @ moved.shift))
        stretch_error = np.hypot(stretch_error, np.abs(moved.stretch))
    return replace(step, shift_error=shift_error, stretch_error=stretch_error)


def _from_outermost(points: Floats, ellipse: Ellipse, sectors: int) -> Ellipse:
    """Bring the outermost hits of all sectors to the unit circle."""
    for _ in range(_START_ROUNDS):
        angle, radius = outer_radii(*ellipse.polar(points), sectors)
        good = np.isfinite(radius) & (radius > 0.3) & (radius < 3.0)
        if good.sum() < _LEAST_EDGES:
            break
        step = adjust(ellipse, angle[good], radius[good], np.full(good.sum(), 0.01))
        ellipse = ellipse.moved(
            np.clip(step.shift, -_START_STEP, _START_STEP), np.clip(step.stretch, -_START_STEP, _START_STEP)
        )
    return ellipse


def _problem(edges: Edges, scatter: float, *, partial: bool) -> str:
    found = edges.found
    if edges.contrast < _LEAST_CONTRAST:
        left = f"beyond it still {100 * (1 - edges.contrast):.0f} % of the density of hits inside"
        return f"the image has no sharp rim: {left}"
    arc = _longest_arc(edges) if partial else 2.0 * np.pi
    if arc < _LEAST_ARC_RAD:
        return f"the image has a rim over {np.degrees(arc):.0f} degrees in one piece only"
    if not partial and found.mean() < _LEAST_FOUND:
        return f"a sharp rim in {found.sum()} of {len(found)} directions only: the hits do not fill the detector, or are too few"
    gaps = _gaps(edges)
    if not partial and gaps.max() > _LARGEST_GAP_RAD:
        return f"the image has no rim over {np.degrees(gaps.max()):.0f} degrees in one piece"
    if scatter > _LEAST_ROUND + 2.0 * float(np.median(edges.error[found])):
        return f"the image is not round: its rim scatters by {100 * scatter:.1f} % of its radius about the best ellipse"
    return ""


def _gaps(edges: Edges) -> Floats:
    """From each sector with an edge to the next one, in rad."""
    at = edges.angle[edges.found]
    return np.diff(np.concatenate([at, at[:1] + 2.0 * np.pi]))


def _longest_arc(edges: Edges) -> float:
    """The longest stretch of sectors with an edge, small gaps included, in rad."""
    if not edges.found.any():
        return 0.0
    gaps, sector = _gaps(edges), 2.0 * np.pi / len(edges.angle)
    ends = np.flatnonzero(gaps > max(_SMALL_GAP_RAD, 1.5 * sector))
    if not len(ends):
        return 2.0 * np.pi
    runs = np.split(np.roll(gaps, -(ends[-1] + 1)), (ends[:-1] - ends[-1]) % len(gaps))
    return max(float(run[:-1].sum()) for run in runs if len(run)) + sector
