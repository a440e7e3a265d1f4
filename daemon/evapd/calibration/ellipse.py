"""The detector's disc as it appears in the differences t1 - t2, and its least-squares fit to edges."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ROUNDS = 8
_TUKEY = 4.7  # standard deviations beyond which an edge has no weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipse:
    """Where the disc's places lie in the differences.

    An ion at the place p, from the centre and in units of the radius, has d_k = middle_k + reach_k p . a_k.

    Attributes:
        middle_ps: t1 - t2 at the centre, by layer.
        reach_ps: t1 - t2 from the centre to the rim along the layer's axis, by layer.
        axes: unit vectors of the layers, shape (layers, 2).
        one_scale: the ratios of the reaches are known, only a common factor is free.
    """

    middle_ps: Floats
    reach_ps: Floats
    axes: Floats
    one_scale: bool

    def places(self, difference_ps: Floats) -> Floats:
        """Places from the centre in units of the radius, shape (n, 2), by least squares over the layers."""
        scaled = (difference_ps - self.middle_ps) / self.reach_ps
        return np.asarray(scaled @ np.linalg.pinv(self.axes).T)

    def polar(self, difference_ps: Floats) -> tuple[Floats, Floats]:
        """Places as radius and angle (rad, from -pi to pi)."""
        places = self.places(difference_ps)
        return np.hypot(places[:, 0], places[:, 1]), np.arctan2(places[:, 1], places[:, 0])

    def moved(self, shift: Floats, stretch: Floats) -> "Ellipse":
        """The ellipse whose centre is `shift` (in radii) further on, and whose reaches are longer by `stretch`."""
        return replace(
            self,
            middle_ps=self.middle_ps + self.reach_ps * (self.axes @ shift),
            reach_ps=self.reach_ps * (1.0 + stretch),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What brings a rim to radius 1.

    Attributes:
        shift: of the centre in radii, shape (2,).
        stretch: of each layer's reach, relative.
        shift_error: uncertainty of the shift along each layer's axis, in radii.
        stretch_error: uncertainty of the stretch.
        scatter: robust standard deviation of the rim about the fit, in radii.
    """

    shift: Floats
    stretch: Floats
    shift_error: Floats
    stretch_error: Floats
    scatter: float


def adjust(ellipse: Ellipse, angle: Floats, radius: Floats, error: Floats) -> Adjustment:
    """Robust least squares (Tukey's biweight) of shift and stretch to edges found at some angles.

    To first order a shift s moves the edge at the angle phi by s . e(phi), and a stretch of layer k by
    (e A+)_k (A e)_k, with A the matrix of the axes.
    """
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    by_layer = (direction @ np.linalg.pinv(ellipse.axes)) * (direction @ ellipse.axes.T)
    stretches = by_layer.sum(axis=1, keepdims=True) if ellipse.one_scale else by_layer
    design = np.concatenate([direction, stretches], axis=1)
    rest = radius - 1.0
    weight = 1.0 / np.maximum(error, 1e-6) ** 2
    trust = np.ones(len(rest))
    for _ in range(_ROUNDS):
        normal = design.T @ ((weight * trust)[:, None] * design)
        free = np.linalg.lstsq(normal, design.T @ (weight * trust * rest), rcond=None)[0]
        away = np.abs(rest - design @ free)
        scale = max(1.4826 * float(np.median(away * np.sqrt(weight))), 0.3)
        ratio = away * np.sqrt(weight) / (_TUKEY * scale)
        trust = np.where(ratio < 1.0, (1.0 - ratio**2) ** 2, 0.0)
    freedom = max(float(trust.sum()) - design.shape[1], 1.0)
    excess = max(1.0, float(np.sum(trust * weight * away**2)) / freedom)
    covariance = np.linalg.pinv(normal) * excess
    layers = len(ellipse.axes)
    along = np.array([axis @ covariance[:2, :2] @ axis for axis in ellipse.axes])
    own = np.diag(covariance)[2:]
    return Adjustment(
        shift=free[:2],
        stretch=np.repeat(free[2:], layers) if ellipse.one_scale else free[2:],
        shift_error=np.sqrt(np.abs(along)),
        stretch_error=np.sqrt(np.abs(np.repeat(own, layers) if ellipse.one_scale else own)),
        scatter=1.4826 * float(np.median(away)),
    )
