"""Pulse heights: what a discriminator sees of a signal, and when.

The gain of a micro-channel plate is broad, so an ion has one height that all its signals share: a small one loses
several of them at once. A leading-edge discriminator finds a small signal later than a large one.
"""

import numpy as np
from numpy.typing import NDArray

from evapd_sim.effects import SignalEffects

Floats = NDArray[np.float64]
_END_OF_LAYER = 0.5  # spread between the ends of one layer, relative to that between layers


def draw_heights(rng: np.random.Generator, effects: SignalEffects, channels: int, n: int) -> Floats:
    """Heights of the signals of `n` ions, shape (channels, n), in mean heights.

    An ion's height is gamma distributed with mean 1. Its charge divides unevenly between MCP and layers, and a little
    unevenly between the ends of a layer: shares are log-normal with median 1.
    """
    layers = rng.standard_normal((1 + channels // 2, n))
    shares = np.repeat(layers, 2, axis=0)[1:] + _END_OF_LAYER * rng.standard_normal((channels, n))
    heights: Floats = rng.gamma(effects.height_shape, 1.0 / effects.height_shape, n) * np.exp(
        effects.height_spread * shares
    )
    return heights


def found_late_ps(effects: SignalEffects, heights: Floats) -> Floats:
    """How much later than a very high signal those above the threshold are found, on an edge that rises linearly."""
    late: Floats = effects.slew_ps * np.minimum(effects.threshold / heights, 1.0)
    return late
