"""What is known of the geometry before a calibration, and where the start anode says that the rim is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.calibration.ellipse import Ellipse
from evapd.matching.anode import Anode

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Kind's axes, radius of what the hits fill, centre, and the start anode if there is one."""

    names: tuple[str, ...]
    axes: Floats  # (layers, 2)
    radius_mm: float
    centre_mm: tuple[float, float]
    start: Anode | None
    radius_given: bool

    def along_mm(self) -> Floats:
        """Coordinate of the detector's centre, by layer."""
        return np.asarray(self.axes @ np.array(self.centre_mm))

    def ellipse_of(self, start: Anode) -> Ellipse:
        """The rim as an anode has it."""
        layers = [start.layers[name] for name in self.names]
        scale = np.array([layer.mm_per_ns for layer in layers])
        return Ellipse(
            middle_ps=np.array([layer.offset_ps for layer in layers]) + 2000.0 * self.along_mm() / scale,
            reach_ps=2000.0 * self.radius_mm / scale,
            axes=self.axes,
            one_scale=len(layers) == 3,
        )
