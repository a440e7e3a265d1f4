"""From a place on the tip to a place on the detector.

Places on the imaged cap are Lambert (equal-area) coordinates in units of the radius: rho = 2 sin(theta/2), so a uniform
density on the disc is a uniform density on the sphere. The projection centre lies (xi - 1) R behind the centre of
the sphere: tan(theta_seen) = sin(theta) / (cos(theta) + xi - 1).
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def disc_radius(view_angle_deg: float) -> float:
    """Radius of the imaged cap in Lambert coordinates."""
    return 2.0 * math.sin(math.radians(view_angle_deg) / 2.0)


def uniform_on_disc(rng: np.random.Generator, n: int, radius: float) -> tuple[Floats, Floats]:
    """Draw `n` places, uniform over a disc of `radius`."""
    rho = radius * np.sqrt(rng.random(n))
    azimuth = rng.random(n) * (2.0 * math.pi)
    return rho * np.cos(azimuth), rho * np.sin(azimuth)


def project(a: Floats, b: Floats, *, flight_path_mm: float, compression: float) -> tuple[Floats, Floats]:
    """Position on the detector in mm of ions from the Lambert coordinates `a`, `b`."""
    rho2 = a * a + b * b
    scale = flight_path_mm * np.sqrt(1.0 - rho2 / 4.0) / (compression - rho2 / 2.0)
    return a * scale, b * scale
