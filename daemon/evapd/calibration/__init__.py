"""Anode constants from the data themselves: time sums, walk, offsets, scales, outline; and their drift."""

from evapd.calibration.calibration import Calibration, Estimate, LayerReport
from evapd.calibration.estimate import calibrate
from evapd.calibration.signals import lone_signals
from evapd.calibration.tracker import SumState, TimeSums, TimeSumTracker

__all__ = [
    "Calibration",
    "Estimate",
    "LayerReport",
    "SumState",
    "TimeSumTracker",
    "TimeSums",
    "calibrate",
    "lone_signals",
]
