"""A decimated sample of projected hits for the 3-D preview: a few hundred per frame, evenly over what was analysed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import HitBlock
from evapd.config.live import Projection
from evapd.live.arrays import packed
from evapd.mass import mass_to_charge_da
from evapd.spectrometry.projection import LABEL, NAME, Projector
from evapd.units import UM_PER_MM

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Flown:
    """A block with its voltages: at the first pulse, and by how much they rise from pulse to pulse, V."""

    block: HitBlock
    v_dc_v: float
    v_dc_per_pulse: float
    v_p_v: float
    v_p_per_pulse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """What masses and places need of the instrument."""

    flight_path_mm: float
    t0_ps: float
    alpha: float
    beta: float
    voltage_mode: bool
    radius_mm: float


class PointSampler:
    """Takes every n-th hit, so that at most so many are given per frame; the depth goes on with all hits detected."""

    def __init__(
        self, settings: Projection, optics: Optics, table: NDArray[np.uint8], bins_per_root: float
    ) -> None:
        self._settings, self._optics, self._table, self._per_root = settings, optics, table, bins_per_root
        self._projector = Projector(
            settings, flight_path_mm=optics.flight_path_mm, radius_mm=optics.radius_mm
        )
        self._phase = 0

    def take(self, flown: list[Flown], most: int, detected: int) -> dict[str, Any]:
        """Project a sample of the blocks that were analysed since the last frame.

        Args:
            flown: these blocks.
            most: points that may be given.
            detected: hits detected meanwhile, also those that were not analysed; each point stands for its share of them.
        """
        every = max(1, -(-sum(each.block.n for each in flown) // max(most, 1)))
        columns = [self._picked(each, every) for each in flown] if most else []
        tof, x, y, v_dc, v_p = np.concatenate(columns, axis=1) if columns else np.empty((5, 0))
        v_tot = v_dc + v_p if self._optics.voltage_mode else v_dc
        known = np.isfinite(v_tot) & (v_tot > 0.0)
        tof, x, y, v_dc, v_p, v_tot = (column[known] for column in (tof, x, y, v_dc, v_p, v_tot))
        n = len(tof)
        each_ions = max(detected / n, 1.0) if n else 1.0
        xyz = self._projector.positions_nm(x / UM_PER_MM, y / UM_PER_MM, v_tot, each_ions)
        o = self._optics
        mass = mass_to_charge_da(
            tof, x, y, v_dc, v_p, flight_path_mm=o.flight_path_mm, t0_ps=o.t0_ps, alpha=o.alpha, beta=o.beta,
            voltage_mode=o.voltage_mode,
        )  # fmt: skip
        place = np.sqrt(np.nan_to_num(mass, nan=1e9)) * self._per_root
        inside = place < len(self._table)
        ion = np.where(inside, self._table[np.where(inside, place, 0).astype(np.int64)], 0)
        return {
            "label": LABEL,
            "projection": {"name": NAME, **self._settings.model_dump()},
            "n": n,
            "ions_each": each_ions,
            "xyz_nm": packed(xyz.astype(np.float32)),
            "mass_da": packed(mass.astype(np.float32)),
            "ion": packed(ion.astype(np.uint8)),
        }

    def _picked(self, flown: Flown, every: int) -> Floats:
        block = flown.block
        rows = slice(self._phase % every, None, every)
        self._phase = (self._phase - block.n) % every
        pulse = block.pulse[rows].astype(np.float64)
        return np.stack(
            (
                block.tof_ps[rows].astype(np.float64),
                block.x_um[rows].astype(np.float64),
                block.y_um[rows].astype(np.float64),
                flown.v_dc_v + flown.v_dc_per_pulse * pulse,
                flown.v_p_v + flown.v_p_per_pulse * pulse,
            )
        )
