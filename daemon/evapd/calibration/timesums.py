"""Time sums, differences and their joint deviation: plain arithmetic on times of shape (n, channels)."""

import numpy as np
from numpy.typing import NDArray

from evapd.matching.anode import Anode, Layer

Floats = NDArray[np.float64]


def sums_of(times_ps: Floats) -> Floats:
    """Time sums t1 + t2 - 2 t_mcp of every layer in ps, shape (n, layers)."""
    return times_ps[:, 1::2] + times_ps[:, 2::2] - 2.0 * times_ps[:, :1]


def differences_of(times_ps: Floats) -> Floats:
    """Differences t1 - t2 of every layer in ps, shape (n, layers)."""
    return times_ps[:, 1::2] - times_ps[:, 2::2]


def coordinate_mm(layer: Layer, difference_ps: Floats) -> Floats:
    """Coordinate along a layer's axis, before the detector's centre is subtracted."""
    return layer.mm_per_ns * (difference_ps - layer.offset_ps) / 2000.0


def walk_ps(layer: Layer, difference_ps: Floats) -> Floats:
    """What the layer's walk table adds to its time sum; 0 without one."""
    if layer.walk is None:
        return np.zeros_like(difference_ps)
    return np.interp(coordinate_mm(layer, difference_ps), layer.walk.coordinate_mm, layer.walk.time_sum_ps)


def deviations(times_ps: Floats, anode: Anode) -> Floats:
    """How far each layer's time sum is from the anode's, walk included, in ps, shape (n, layers)."""
    sums, differences = sums_of(times_ps), differences_of(times_ps)
    for k, name in enumerate(anode.layer_names):
        layer = anode.layers[name]
        sums[:, k] -= layer.time_sum_ps + walk_ps(layer, differences[:, k])
    return sums


def joint_deviation(deviations_ps: Floats) -> Floats:
    """Chi-squared of all layers' deviations for signals of 1 ps jitter, shape (n,); one degree of freedom per layer.

    A time sum has the variance 2 + 4 = 6 (two ends, twice the MCP signal), two of them the covariance 4, so with
    L layers chi2 = sum r^2 / 2 - (sum r)^2 / (1 + 2 L); for two layers that is (3 r^2 + 3 s^2 - 4 r s) / 10.
    """
    layers = deviations_ps.shape[1]
    squares = np.square(deviations_ps).sum(axis=1)
    return np.asarray(squares / 2.0 - np.square(deviations_ps.sum(axis=1)) / (1.0 + 2.0 * layers))


def positions_mm(times_ps: Floats, anode: Anode) -> Floats:
    """Positions relative to the detector's centre by least squares over all layers, in mm, shape (n, 2)."""
    differences = differences_of(times_ps)
    names = anode.layer_names
    coordinates = np.stack(
        [coordinate_mm(anode.layers[name], differences[:, k]) for k, name in enumerate(names)]
    )
    axes = np.array([anode.axis(name) for name in names])
    return np.asarray((np.linalg.pinv(axes) @ coordinates).T - np.array(anode.centre_mm))


def fitting_share(times_ps: Floats, anode: Anode, bin_ps: float, sigma: float) -> float:
    """Part of the signals whose time sums agree with the anode within `sigma` of their joint deviation."""
    if not len(times_ps):
        return 0.0
    variance = anode.jitter_ps**2 + bin_ps**2 / 12.0
    return float(np.mean(joint_deviation(deviations(times_ps, anode)) < sigma**2 * variance))
