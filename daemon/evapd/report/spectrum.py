"""Mass-to-charge ratios from times of flight, and their histogram in bounded memory."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd.config.model import Instrument
from evapd.units import DALTON_KG, ELEMENTARY_CHARGE_C, UM_PER_MM

CHUNK = 65_536  # hits per step: the temporaries of one step stay in the processor's cache

# (2 e / Da) with times in ps and lengths in um, both to the power of two.
_DA_PER_V_PS2_UM2 = 2.0 * ELEMENTARY_CHARGE_C / DALTON_KG * 1e-12


def mass_to_charge_da(  # noqa: PLR0917 - the columns of a hit block in their order
    tof_ps: ArrayLike,
    x_um: ArrayLike,
    y_um: ArrayLike,
    v_dc_v: ArrayLike,
    v_p_v: ArrayLike | None,
    instrument: Instrument,
) -> NDArray[np.float64]:
    """Mass-to-charge ratio of hits.

    m/n = 2 e alpha (V_dc + beta V_p) (t - t0)^2 / l^2 with l^2 = L^2 + x^2 + y^2 on a straight path. Through a
    reflectron the path does not depend on the position in first order, there l = L.

    Args:
        tof_ps: raw times of flight in ps, shape (n,); `instrument.t0_ps` is subtracted here.
        x_um: positions from the detector's centre in um, shape (n,).
        y_um: as `x_um`.
        v_dc_v: standing voltage at each hit in V, shape (n,) or a number.
        v_p_v: pulse amplitude at each hit in V, shape (n,) or a number; None in laser mode.
        instrument: flight path, t0, alpha, beta.

    Returns:
        Da per elementary charge, float64, shape (n,); NaN for a hit before t0, which has no mass.
    """
    tof, x, y = np.asarray(tof_ps), np.asarray(x_um), np.asarray(y_um)
    volts, pulses = (
        np.broadcast_to(v_dc_v, tof.shape),
        np.broadcast_to(0.0 if v_p_v is None else v_p_v, tof.shape),
    )
    mass_da = np.empty(len(tof))
    path2_um2 = (instrument.flight_path_mm * UM_PER_MM) ** 2
    for a in range(0, len(tof), CHUNK):
        here = slice(a, a + CHUNK)
        t_ps = tof[here] - instrument.t0_ps
        l2_um2: Any = path2_um2
        if instrument.flight_path_kind == "straight":
            l2_um2 = path2_um2 + x[here].astype(np.float64) ** 2 + y[here].astype(np.float64) ** 2
        v = instrument.alpha * (volts[here] + instrument.beta * pulses[here])
        mass_da[here] = np.where(t_ps > 0, _DA_PER_V_PS2_UM2 * v * t_ps * t_ps / l2_um2, np.nan)
    return mass_da


@dataclass(slots=True, kw_only=True)
class Spectrum:
    """A histogram of mass-to-charge ratios with bins of equal width; hits are added block by block."""

    edges: NDArray[np.float64]  # Da, shape (bins + 1,)
    counts: NDArray[np.int64]  # shape (bins,)
    outside: int = field(default=0)  # hits below, above, or without a mass

    @classmethod
    def empty(cls, low_da: float = 0.0, high_da: float = 200.0, bin_da: float = 0.01) -> "Spectrum":
        """A spectrum without hits.

        Raises:
            ValueError: no bins in the range.
        """
        bins = round((high_da - low_da) / bin_da)
        if bins < 1:
            raise ValueError(f"a spectrum from {low_da:g} to {high_da:g} Da has no bins of {bin_da:g} Da")
        edges = np.linspace(low_da, low_da + bins * bin_da, bins + 1, dtype=np.float64)
        return cls(edges=edges, counts=np.zeros(bins, np.int64))

    @property
    def bin_da(self) -> float:
        """Width of a bin in Da."""
        return float(self.edges[-1] - self.edges[0]) / len(self.counts)

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middle of each bin in Da."""
        return 0.5 * (self.edges[:-1] + self.edges[1:])

    @property
    def n(self) -> int:
        """Hits in the histogram."""
        return int(self.counts.sum())

    def add(self, mass_da: ArrayLike) -> None:
        """Count hits by their mass-to-charge ratios in Da; NaN counts as outside."""
        mass = np.asarray(mass_da, np.float64)
        bins = len(self.counts)
        for a in range(0, len(mass), CHUNK):
            here = mass[a : a + CHUNK]
            inside = here[(here >= self.edges[0]) & (here < self.edges[-1])]
            self.outside += len(here) - len(inside)
            place = ((inside - self.edges[0]) / self.bin_da).astype(np.int64)
            # Rounding may put a mass just below the upper edge beyond the last bin.
            self.counts += np.bincount(np.minimum(place, bins - 1), minlength=bins)
