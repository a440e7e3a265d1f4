"""Hex anodes: three coordinates of two unknowns tell the relative scales of the layers and one offset by themselves.

With the layers' axes a_k, the numbers n_u = a_v x a_w, n_v = a_w x a_u, n_w = a_u x a_v give sum n_k a_k = 0, and so
sum n_k c_k = 0 for the coordinates of every ion (u - v + w = 0 for 0, 60 and 120 degrees). In the differences d_k that is a
plane, sum n_k f_k d_k = const. All d_k have the same jitter, so the plane is the one of total least squares: its normal is
the direction in which the differences scatter least.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.timesums import coordinate_mm, differences_of
from evapd.errors import StateError
from evapd.matching.anode import Anode

Floats = NDArray[np.float64]
_ROUNDS = 8
_CLIP = 4.0
_LARGEST_TILT = 0.002  # rad: with a larger uncertainty the start's ratios are better


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """The plane in which the differences of a hex anode lie.

    Attributes:
        scale: mm_per_ns of each layer relative to the first.
        scale_error: their uncertainties, 0 for the first.
        weights: n_k scale_k.
        constant: sum weights_k d_k in ps.
        constant_error: its uncertainty.
        width: standard deviation of sum weights_k d_k in ps.
        kept: which ions lie in it.
    """

    scale: Floats
    scale_error: Floats
    weights: Floats
    constant: float
    constant_error: float
    width: float
    kept: NDArray[np.bool_]


def closing_numbers(axes: Floats) -> Floats:
    """The numbers n_k with sum n_k a_k = 0 for three axes, shape (3, 2)."""
    u, v, w = axes
    return np.array([v[0] * w[1] - v[1] * w[0], w[0] * u[1] - w[1] * u[0], u[0] * v[1] - u[1] * v[0]])


def fit_plane(difference_ps: Floats, axes: Floats) -> Plane | None:
    """Find the plane; None when the hits spread too little to tell it.

    Args:
        difference_ps: t1 - t2 of the three layers, shape (n, 3).
        axes: unit vectors of the layers, shape (3, 2).

    Raises:
        StateError: when the differences lie in no plane that has the right signs.
    """
    closing = closing_numbers(axes)
    kept = np.ones(len(difference_ps), np.bool_)
    for _ in range(_ROUNDS):
        middle = difference_ps[kept].mean(axis=0)
        spread, directions = np.linalg.eigh(np.cov(difference_ps[kept].T))
        normal = directions[:, 0] * np.sign(directions[0, 0] * closing[0])
        away = (difference_ps - middle) @ normal
        width = 1.4826 * float(np.median(np.abs(away[kept])))
        now = np.abs(away) < _CLIP * max(width, 1.0)
        if np.array_equal(now, kept):
            break
        kept = now
    # Of the normal's direction: width / (spread along the plane sqrt n); near enough isotropic in the plane.
    n = int(kept.sum())
    tilt = width / float(np.sqrt(max(spread[1] * n, 1e-9)))
    if tilt > _LARGEST_TILT:
        return None
    scale = normal / closing
    if not (scale > 0).all():
        raise StateError(
            "u, v and w of the hits do not fit together with the layers' angles of the anode file: look at the "
            "angles, and whether the ends of a layer, or two layers, are exchanged"
        )
    scale = scale / scale[0]
    weights = closing * scale
    along = difference_ps[kept] @ weights
    width_weighted = float(along.std())
    return Plane(
        scale=scale,
        scale_error=np.array([0.0, *(tilt * np.linalg.norm(normal) / np.abs(normal[1:]) * scale[1:])]),
        weights=weights,
        constant=float(along.mean()),
        constant_error=width_weighted / np.sqrt(n),
        width=width_weighted,
        kept=kept,
    )


def misfit_mm(times_ps: Floats, anode: Anode) -> Floats:
    """By how much three coordinates of each ion contradict each other: u - v + w for axes at 0, 60 and 120 degrees.

    Args:
        times_ps: shape (n, 7).
        anode: a hex anode.

    Returns:
        Shape (n,), mm; 0 is perfect.
    """
    differences = differences_of(times_ps)
    closing = closing_numbers(np.array([anode.axis(name) for name in anode.layer_names]))
    coordinates = [
        coordinate_mm(anode.layers[name], differences[:, k]) for k, name in enumerate(anode.layer_names)
    ]
    return np.asarray((closing / closing[0]) @ np.stack(coordinates))
