"""The scTDC library without a detector, fed by a twin: raw words, or hits as a detector that matches in hardware gives them."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd_sim.sdk.building import build, opened

BIN_PS, SUM_PS, PIXEL_UM, MIDDLE_PX = 27.432, 6.858, 33.3, (1250.0, 1200.0)
DLD_EVENT = np.dtype(
    [
        ("start_counter", "<u8"), ("time_tag", "<u8"), ("subdevice", "<u4"), ("channel", "<u4"), ("sum", "<u8"), ("dif1", "<u2"),
        ("dif2", "<u2"), ("master_rst_counter", "<u4"), ("adc", "<u2"), ("signal1bit", "<u2"), ("_", "<u4"),
    ]
)  # fmt: skip
TDC_EVENT = np.dtype(
    [
        ("subdevice", "<u4"), ("channel", "<u4"), ("start_counter", "<u8"), ("time_tag", "<u8"), ("time_data", "<u8"),
        ("sign_counter", "<u8"),
    ]
)  # fmt: skip
LINES = np.array([4, 0, 1, 2, 3])  # TDC channel of the MCP and of the four ends of the lines


class FakeScTdc:
    """One device, whose start counter begins at 0 with every measurement.

    Args:
        folder: where the library is built, and an ini file is put.
        capacity: events of each kind that may wait to be decoded.
        counter_bits: width of the start counter.
    """

    def __init__(self, folder: Path, capacity: int = 1 << 20, counter_bits: int = 64) -> None:
        self.path = build("surface_concept/sctdc.c", folder)
        self.ini = folder / "tdc_gpx3.ini"
        self.ini.write_text("[Device]\n", encoding="ascii")
        push = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
        self.library: Any = opened(
            self.path,
            sim_reset=(None, ctypes.c_size_t),
            sim_push_dld=push,
            sim_push_tdc=push,
            sim_drop=(None, ctypes.c_uint),
        )
        self.library.sim_reset(capacity)
        self._mask = np.uint64(2**counter_bits - 1)
        self._measurement = self.pulses = 0
        self.trigger: int | None = None  # TDC channel on which the pulses are recorded, too

    def _runs(self) -> bool:
        measurement = self.library.sim_measurement()
        if measurement and measurement != self._measurement:
            self.pulses = 0
            self._measurement = measurement
        return bool(measurement)

    def _starts(self, pulse_offsets: ArrayLike, pulses: int) -> NDArray[np.uint64]:
        first, self.pulses = self.pulses, self.pulses + pulses
        return (np.asarray(pulse_offsets, np.uint64) + np.uint64(first)) & self._mask

    def deliver(
        self, pulse_offsets: ArrayLike, channels: ArrayLike, times: ArrayLike, *, pulses: int
    ) -> bool:
        """Measure words in the next pulses, times in bins of the TDC; False while nothing is measured."""
        if not self._runs():
            return False
        events = np.zeros(len(np.asarray(times)), TDC_EVENT)
        events["channel"] = LINES[np.asarray(channels, np.int64)]
        events["start_counter"] = self._starts(pulse_offsets, pulses)
        events["time_data"] = np.asarray(times, np.uint64)
        return bool(self.library.sim_push_tdc(events.ctypes.data, len(events)) >= 0)

    def deliver_hits(
        self, pulse_offsets: ArrayLike, tof_ps: ArrayLike, x_mm: ArrayLike, y_mm: ArrayLike, *, pulses: int
    ) -> bool:
        """Measure hits in the next pulses, places from the detector's centre; False while nothing is measured."""
        if not self._runs():
            return False
        events = np.zeros(len(np.asarray(tof_ps)), DLD_EVENT)
        first = self.pulses
        events["start_counter"] = self._starts(pulse_offsets, pulses)
        if self.trigger is not None:
            starts = np.zeros(pulses, TDC_EVENT)
            starts["channel"] = self.trigger
            starts["start_counter"] = np.arange(first, first + pulses, dtype=np.uint64) & self._mask
            self.library.sim_push_tdc(starts.ctypes.data, pulses)
        events["sum"] = np.rint(np.asarray(tof_ps, np.float64) / SUM_PS)
        for column, place_mm, middle in zip(("dif1", "dif2"), (x_mm, y_mm), MIDDLE_PX, strict=True):
            events[column] = np.rint(np.asarray(place_mm, np.float64) * 1000.0 / PIXEL_UM + middle)
        return bool(self.library.sim_push_dld(events.ctypes.data, len(events)) >= 0)

    def refuse(self) -> None:
        """Let it refuse to measure, as without start pulses."""
        self.library.sim_refuse(1)
