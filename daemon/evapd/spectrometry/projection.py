"""A simple projection from detector to specimen: a preview of the reconstruction, never more.

Radius of the apex from the voltage, R = V_tot / (k_f F), with k_f the field reduction and F the field of evaporation. The
place on the cap by point projection: rays come from a point (xi - 1) R behind the centre of the sphere (xi is the image
compression), so an ion seen at the angle a, tan(a) = r / L, left at the polar angle theta = a + asin((xi - 1) sin a). The
depth grows with every detected ion by its atomic volume, divided by the detection efficiency, spread over the imaged part
of the cap, pi (R sin theta_max)^2. After Bas, Bostel, Deconihout, Blavette, Appl. Surf. Sci. 87/88 (1995) 298, and Gault,
Haley, de Geuser, Moody, Marquis, Larson, Geiser, Ultramicroscopy 111 (2011) 448, section 2.
"""

import numpy as np
from numpy.typing import NDArray

from evapd.config.live import Projection

__all__ = ["LABEL", "NAME", "Projection", "Projector"]
Floats = NDArray[np.float64]
NAME = "voltage-point-projection"
LABEL = "preview: no calibrated reconstruction"


class Projector:
    """Projects hits in the order of their detection; the depth goes on from call to call."""

    def __init__(self, settings: Projection, *, flight_path_mm: float, radius_mm: float) -> None:
        """Take the geometry.

        Args:
            settings: of the projection.
            flight_path_mm: apex to detector.
            radius_mm: of the imaged area of the detector.
        """
        self._settings = settings
        self._path_mm = flight_path_mm
        seen = np.arctan2(radius_mm, flight_path_mm)
        self._sin_widest = float(np.sin(self._theta(np.asarray(seen))))
        self._depth_nm = 0.0

    def _theta(self, seen: Floats) -> Floats:
        behind = self._settings.image_compression - 1.0
        theta: Floats = np.minimum(seen + np.arcsin(np.minimum(behind * np.sin(seen), 1.0)), 0.5 * np.pi)
        return theta

    def positions_nm(self, x_mm: Floats, y_mm: Floats, v_tot_v: Floats, ions_each: float = 1.0) -> Floats:
        """Give x, y, z in nm, shape (n, 3); z grows into the specimen from the first apex.

        Args:
            x_mm: detector position from the centre of the axis.
            y_mm: the same along y.
            v_tot_v: voltage of each ion; it must be known.
            ions_each: detected ions that each of them stands for, where only a sample of them is projected.
        """
        settings = self._settings
        radius_nm = v_tot_v / (settings.field_factor * settings.field_v_per_nm)
        far_mm = np.hypot(x_mm, y_mm)
        theta = self._theta(np.arctan2(far_mm, self._path_mm))
        across_nm = radius_nm * np.sin(theta)
        with np.errstate(invalid="ignore", divide="ignore"):
            along_x = np.where(far_mm > 0.0, x_mm / far_mm, 0.0)
            along_y = np.where(far_mm > 0.0, y_mm / far_mm, 0.0)
        area_nm2 = np.pi * (radius_nm * self._sin_widest) ** 2
        depth_nm = self._depth_nm + np.cumsum(
            ions_each * settings.atomic_volume_nm3 / settings.efficiency / area_nm2
        )
        if len(depth_nm):
            self._depth_nm = float(depth_nm[-1])
        sag_nm = radius_nm * (1.0 - np.cos(theta))
        return np.column_stack((across_nm * along_x, across_nm * along_y, depth_nm + sag_nm))
