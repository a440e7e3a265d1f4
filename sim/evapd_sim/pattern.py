"""The fixed pattern of an anode: where time sums and coordinates depend on the place along a layer.

Walk is what a layer's time sum gains with the coordinate. Non-linearity bends the relation of coordinate and t1 - t2
towards the line's ends. A gap in the middle of a layer, as anodes with a hole have, delays what crosses it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from evapd_sim.anode import AnodeFile, AnodeWalk
from evapd_sim.effects import SignalEffects

Floats = NDArray[np.float64]
_BEND_POWER = 5  # odd: nothing in the middle, all of it near the ends
# One variant per layer, so that no layer's walk stands for another's.
_BOWLS = ((1.0, 0.0), (-1.0, 0.5), (1.0, 0.25))  # sign, tilt
_WAVE_PHASES = (0.0, 1.0 / 3.0, 2.0 / 3.0)
_WAVES_PER_RADIUS = 0.625


class FixedPattern:
    """What is added to the ideal times of both ends of every layer; the same for every ion at a place."""

    def __init__(self, anode: AnodeFile, effects: SignalEffects) -> None:
        self._effects = effects
        self._radius_mm = anode.radius_mm
        lines = anode.lines()
        self._tables = [layer.walk for layer, _ in lines]
        self._ps_per_mm = np.array([2000.0 / layer.mm_per_ns for layer, _ in lines])[:, None]
        angles = [math.radians(angle_deg) for _, angle_deg in lines]
        self._axes = np.array([(math.cos(angle), math.sin(angle)) for angle in angles])
        self._centre = self._axes @ np.array(anode.centre_mm)[:, None]
        self.flat = not (
            any(self._tables)
            or effects.walk_ps
            or effects.nonlinearity_um
            or (effects.gap_mm and effects.gap_delay_ps)
        )

    def along(self, x_mm: Floats, y_mm: Floats) -> Floats:
        """Coordinates in mm along every layer, shape (layers, n), of places from the detector's centre."""
        along_mm: Floats = self._axes[:, :1] * x_mm + self._axes[:, 1:] * y_mm + self._centre
        return along_mm

    def add_to(self, times: Floats, x_mm: Floats, y_mm: Floats) -> None:
        """Shift times of shape (channels, n) in place."""
        effects = self._effects
        along_mm = self.along(x_mm, y_mm)
        bend_mm = effects.nonlinearity_um / 1000.0 * self._reach(along_mm) ** _BEND_POWER
        difference = self._ps_per_mm * bend_mm
        if effects.gap_mm > 0.0:
            difference += effects.gap_delay_ps * np.clip(2.0 * along_mm / effects.gap_mm, -1.0, 1.0)
        # The walk goes by the coordinate that the difference of the ends shows.
        time_sum = self._walk(along_mm + difference / self._ps_per_mm)
        times[1::2] += 0.5 * (time_sum + difference)
        times[2::2] += 0.5 * (time_sum - difference)

    def lost_in_gap(self, rng: np.random.Generator, x_mm: Floats, y_mm: Floats) -> NDArray[np.bool_]:
        """Which signals, shape (channels, n), are not there because the ion struck the gap of their layer."""
        along_mm = self.along(x_mm, y_mm)
        lost = np.abs(along_mm) < 0.5 * self._effects.gap_mm
        lost &= rng.random(lost.shape) < self._effects.gap_loss
        of_mcp = np.zeros((1, lost.shape[1]), np.bool_)
        return np.concatenate((of_mcp, np.repeat(lost, 2, axis=0)))

    def _reach(self, along_mm: Floats) -> Floats:
        reach: Floats = np.clip(along_mm / self._radius_mm, -1.0, 1.0)
        return reach

    def _walk(self, along_mm: Floats) -> Floats:
        walk = np.stack([_of_table(table, c) for table, c in zip(self._tables, along_mm, strict=True)])
        if self._effects.walk_ps > 0.0:
            shape = _bowl if self._effects.walk_shape == "bowl" else _wave
            reach = self._reach(along_mm)
            walk += self._effects.walk_ps * np.stack([shape(k, s) for k, s in enumerate(reach)])
        return walk


def _of_table(walk: AnodeWalk | None, along_mm: Floats) -> Floats:
    if walk is None:
        return np.zeros_like(along_mm)
    return np.interp(along_mm, walk.coordinate_mm, walk.time_sum_ps)


def _bowl(layer: int, reach: Floats) -> Floats:
    """From 0 in the middle to 1 (or -1) at one end."""
    sign, tilt = _BOWLS[layer]
    return sign * ((1.0 - tilt) * reach + tilt) * reach


def _wave(layer: int, reach: Floats) -> Floats:
    """More than one period between the ends."""
    wave: Floats = np.sin(2.0 * math.pi * (_WAVES_PER_RADIUS * reach + _WAVE_PHASES[layer]))
    return wave
