"""The columns with one row per hit, where NXapm wants them, and nothing per hit twice."""

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from evapd.blocks import HitBlock
from evapd.config.model import Instrument
from evapd.mass import mass_to_charge_da
from evapd.matching.quality import Quality, code_table
from evapd.record.columns import GrowingColumn
from evapd.record.nxapm import FRAME, PATHS, PROBE, PULSER, group, program, put
from evapd.record.runinfo import RunInfo

# Steps far below what an instrument resolves; without them the noise of the last bits would fill the disk.
VOLTAGE_STEP_V = 1 / 128
MASS_STEP_DA = 1 / 16384


@dataclass(frozen=True, slots=True)
class Flight:
    """What turns a time of flight into m/q; None where the configuration cannot say or the path is not straight."""

    instrument: Instrument
    voltage_mode: bool

    def mass_da(
        self, block: HitBlock, v_dc_v: NDArray[np.float64], v_p_v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Give m/q of every hit in Da."""
        return mass_to_charge_da(
            block.tof_ps,
            block.x_um,
            block.y_um,
            v_dc_v,
            v_p_v,
            flight_path_mm=self.instrument.flight_path_mm,
            t0_ps=self.instrument.t0_ps,
            alpha=self.instrument.alpha,
            beta=self.instrument.beta,
            voltage_mode=self.voltage_mode,
        )


def _stepped(values: NDArray[np.float64], step: float) -> NDArray[np.float32]:
    return (np.round(values / step) * step).astype(np.float32)


class HitTable:
    """Appends hits to the file, block by block."""

    def __init__(self, file: h5py.File, info: RunInfo, flight: Flight | None) -> None:
        self.hits = 0
        self.golden = 0
        self.multiple = 0
        self.without_voltage = 0
        self._flight = flight
        for path in (PULSER.rsplit("/", 2)[0], PULSER.rsplit("/", 1)[0], PULSER):
            file.require_group(path)
        probe = group(file, PROBE, "NXroi_process")
        steps = ["raw_data", "hit_finding", "voltage_and_bowl"] + ["mass_to_charge_conversion"] * bool(flight)
        for index, step in enumerate(steps, start=1):
            process = group(probe, step, "NXprocess")
            put(process, "sequence_index", np.uint32(index))
            program(process, info)
        source = group(probe["raw_data"], "source", "NXnote")
        put(source, "type", "evapd journal, version 1")
        put(source, "file_name", "journal/")

        def column(name: str, dtype: str, **about: Any) -> GrowingColumn:
            parent, field = PATHS[name].rsplit("/", 1)
            return GrowingColumn(file[parent], field, dtype, **about)

        self._columns = {
            "pulse": column("pulse", "<u8", long_name="pulse of each hit, counted from 0 since arming"),
            "v_dc_v": column("v_dc_v", "<f4", units="V", long_name="measured V_dc at the pulse of each hit"),
            "v_p_v": column("v_p_v", "<f4", units="V", long_name="measured V_p at the pulse of each hit"),
            "tof_ps": column("tof_ps", "<f8", units="ps", long_name="raw time of flight, t0 not subtracted"),
            "xy_um": column("xy_um", "<i4", width=2, units="um"),
            "quality": column("quality", "|u1"),
            "multiplicity": column("multiplicity", "|u1"),
        }
        self._columns["xy_um"].dataset.attrs["depends_on"] = FRAME
        self._columns["quality"].dataset.attrs["codes"] = code_table()
        put(probe["hit_finding"], "hit_quality_type", code_table())
        config = group(probe["voltage_and_bowl"], "config", "NXparameters")
        put(config, "comment", "no correction was applied; raw_tof is what the detector gave")
        if flight is not None:
            self._columns["mass_to_charge_da"] = column("mass_to_charge_da", "<f4", units="Da")
            self._describe_flight(probe, flight)

    def _describe_flight(self, probe: h5py.Group, flight: Flight) -> None:
        instrument = flight.instrument
        put(probe["voltage_and_bowl"], "tof_zero_estimate", instrument.t0_ps, "ps")
        config = group(probe["mass_to_charge_conversion"], "config", "NXparameters")
        term = "(V_dc + beta V_p)" if flight.voltage_mode else "V_dc"
        put(config, "formula", f"m/q = 2 e alpha {term} (t - t0)^2 / (L^2 + x^2 + y^2)")
        put(config, "flight_path", instrument.flight_path_mm, "mm")
        put(config, "t0", instrument.t0_ps, "ps")
        put(config, "alpha", instrument.alpha)
        put(config, "beta", instrument.beta)
        put(config, "step", MASS_STEP_DA, "Da")

    def append(self, block: HitBlock, v_dc_v: NDArray[np.float64], v_p_v: NDArray[np.float64]) -> None:
        """Add the hits of a block with the voltages at their pulses, V (NaN where unknown)."""
        columns = self._columns
        columns["pulse"].append(block.pulse.astype(np.uint64) + np.uint64(block.first_pulse))
        columns["v_dc_v"].append(_stepped(v_dc_v, VOLTAGE_STEP_V))
        columns["v_p_v"].append(_stepped(v_p_v, VOLTAGE_STEP_V))
        columns["tof_ps"].append(block.tof_ps)
        columns["xy_um"].append(np.column_stack((block.x_um, block.y_um)))
        columns["quality"].append(block.quality)
        columns["multiplicity"].append(block.multiplicity)
        if self._flight is not None:
            mass_da = self._flight.mass_da(block, v_dc_v, v_p_v)
            columns["mass_to_charge_da"].append(_stepped(mass_da, MASS_STEP_DA))
        self.hits += block.n
        self.golden += int(np.count_nonzero(block.quality == Quality.FULL))
        self.multiple += int(np.count_nonzero(block.multiplicity > 1))
        self.without_voltage += int(np.count_nonzero(np.isnan(v_dc_v)))

    def close(self, file: h5py.File) -> dict[str, int]:
        """Write what is buffered and the totals; gives the bytes on disk by column."""
        for column in self._columns.values():
            column.flush()
        finding = file[f"{PROBE}/hit_finding"]
        put(finding, "total_event_golden", np.uint64(self.golden))
        put(finding, "total_event_incomplete", np.uint64(self.hits - self.golden))
        put(finding, "total_event_multiple", np.uint64(self.multiple))
        return {name: int(column.dataset.id.get_storage_size()) for name, column in self._columns.items()}
