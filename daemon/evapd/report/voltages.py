"""Measured voltages of a run against time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evapd.record.nxs import History

Floats = NDArray[np.float64]
_EMPTY: Floats = np.empty(0)


@dataclass(frozen=True, slots=True)
class Voltages:
    """Readings of V_dc in V at `t_s` since the start of the run; V_tot = V_dc + V_p, None where V_p was not read."""

    t_s: Floats
    v_dc_v: Floats
    v_tot_v: Floats | None

    @classmethod
    def of(cls, histories: Mapping[str, History]) -> "Voltages":
        """Take the readback; V_p is interpolated between its own readings."""
        standing, pulse = histories.get("voltage"), histories.get("pulse_voltage")
        if standing is None or not len(standing.value):
            return cls(_EMPTY, _EMPTY, None)
        total = None
        if pulse is not None and len(pulse.value):
            total = standing.value + np.interp(
                standing.elapsed_s, pulse.elapsed_s, pulse.value, left=np.nan, right=np.nan
            )
            total = None if np.isnan(total).all() else total
        return cls(standing.elapsed_s, standing.value, total)

    @property
    def v_tot_max_v(self) -> float | None:
        """Highest V_tot."""
        return None if self.v_tot_v is None else float(np.nanmax(self.v_tot_v))

    def range_v(self, begin_s: float, end_s: float) -> tuple[float, float] | None:
        """Lowest and highest V_dc between two times; None without a reading."""
        chosen = self.v_dc_v[(self.t_s >= begin_s) & (self.t_s <= end_s)]
        return (float(chosen.min()), float(chosen.max())) if len(chosen) else None
