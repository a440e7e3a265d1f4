"""What is written around the columns: processing steps of the hits, plots, and the run's own account."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from evapd.matching.quality import code_table
from evapd.record.finalising.histories import Histories
from evapd.record.hittable import MASS_STEP_DA, VOLTAGE_STEP_V, Flight, HitTable
from evapd.record.journal import JournalReport
from evapd.record.nxapm import (
    COLLECTION,
    ENTRY,
    FRAME,
    PATHS,
    PROBE,
    group,
    program,
    put,
    write_entry,
    write_event,
)
from evapd.record.pulsetable import PulseTable
from evapd.record.runinfo import RunInfo
from evapd.record.slowtable import SlowTable

_DEFAULT_PLOT = "voltage"
_MEANINGS = {
    "pulse": "pulse of each hit, counted from 0 since arming",
    "v_dc_v": f"measured V_dc at the pulse of each hit, in steps of {VOLTAGE_STEP_V} V; NaN: unknown",
    "v_p_v": f"measured V_p at the pulse of each hit, in steps of {VOLTAGE_STEP_V} V; NaN: unknown",
    "tof_ps": "raw time of flight, whole picoseconds, t0 not subtracted",
    "xy_um": "x and y on the detector, from the centre of the active area",
    "quality": "what was missing or assumed: see hit_quality_type",
    "multiplicity": "hits reconstructed in the same pulse, 255: that many or more",
    "mass_to_charge_da": f"by the formula in mass_to_charge_conversion/config, in steps of {MASS_STEP_DA} Da",
}


class Gathered(Protocol):
    """What was read of the journals, beside the columns themselves."""

    flight: Flight | None
    refused: str
    hits: HitTable
    pulses: PulseTable
    histories: Histories
    slow: SlowTable
    acquire: JournalReport
    guard: JournalReport
    undecodable_hits: int


def describe(file: h5py.File, info: RunInfo, gathered: Gathered) -> None:
    """Write the groups into which the columns go, and what NXapm wants beside them."""
    entry = write_entry(file, info)
    write_event(entry, info, gathered.histories.mean("temperature_"), gathered.histories.mean("pressure_"))
    flight = gathered.flight
    probe = group(file, PROBE, "NXroi_process")
    steps = ["raw_data", "hit_finding", "voltage_and_bowl"] + ["mass_to_charge_conversion"] * bool(flight)
    for index, step in enumerate(steps, start=1):
        process = group(probe, step, "NXprocess")
        put(process, "sequence_index", np.uint32(index))
        program(process, info)
    source = group(probe["raw_data"], "source", "NXnote")
    put(source, "type", "evapd journal, version 1")
    put(source, "file_name", "journal/")
    finding = probe["hit_finding"]
    put(finding, "hit_quality_type", code_table())
    put(finding, "total_event_golden", np.uint64(gathered.hits.golden))
    put(finding, "total_event_incomplete", np.uint64(gathered.hits.hits - gathered.hits.golden))
    put(finding, "total_event_multiple", np.uint64(gathered.hits.multiple))
    config = group(probe["voltage_and_bowl"], "config", "NXparameters")
    put(config, "comment", "no correction was applied; raw_tof is what the detector gave")
    if flight is not None:
        _describe_flight(probe, flight)
    own = group(file, COLLECTION, "NXcollection")
    for name in ("pulses", "blocks", "loop", "devices"):
        group(own, name, "NXcollection")


def _describe_flight(probe: h5py.Group, flight: Flight) -> None:
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


def write_record(
    file: h5py.File, info: RunInfo, gathered: Gathered, about: Mapping[str, str], boxes: list[Path]
) -> None:
    """Write what belongs to the columns when they are there: plots, attributes, and the run's own account."""
    file[PATHS["xy_um"]].attrs["depends_on"] = FRAME
    _write_plots(file[ENTRY], gathered.histories.titles)
    own = file[COLLECTION]
    for device, role in gathered.slow.roles.items():
        name = device.replace("/", "_")
        if name in own["devices"]:
            own["devices"][name].attrs["role"] = role
    columns = {PATHS[name]: text for name, text in _MEANINGS.items() if PATHS[name] in file}
    texts: dict[str, Any] = {
        "run_json": info.model_dump_json(indent=1),
        "configuration_source": info.configuration_source,
        "anode": json.dumps(info.anode, indent=1),
        "calibration": info.calibration,
        "devices_identified": json.dumps(info.devices, indent=1),
        "versions": json.dumps(info.versions, indent=1),
        "segments": json.dumps([segment.model_dump() for segment in info.segments]),
        "notes": json.dumps([note.model_dump() for note in info.notes]),
        "states": json.dumps([state.model_dump() for state in info.states]),
        "counters": json.dumps(info.counters),
        "end_reason": info.end_reason,
        "losses": json.dumps(_losses(gathered)),
        "bytes_of_columns": json.dumps(gathered.hits.sizes()),
        "columns": json.dumps(columns, indent=1),
        **about,
    }
    for name, text in texts.items():
        put(own, name, text)
    put(own, "configuration", json.dumps(info.configuration, indent=1), digest=info.configuration_digest)
    put(own, "conditions", [str(flag) for flag in info.conditions])
    live = gathered.pulses.pulses - gathered.pulses.inhibited
    put(own, "live_pulses", np.uint64(max(0, live)), "1")
    if info.recovery is not None:
        put(own, "recovery", json.dumps(info.recovery))
    if "mode" not in (info.configuration.get("pulse") or {}):
        put(own, "assumed", "pulse_mode: the record does not tell it, voltage is the default")
    if gathered.refused:
        put(own, "mass_to_charge_left_out", gathered.refused)
    if boxes:
        kept = group(own, "black_boxes", "NXcollection")
        for box in boxes:
            note = group(kept, box.stem, "NXnote")
            put(note, "type", "application/x-numpy-npz")
            put(note, "file_name", f"{box.parent.name}/{box.name}")
            put(note, "data", np.frombuffer(box.read_bytes(), np.uint8))


def _write_plots(entry: h5py.Group, titles: Mapping[str, str]) -> None:
    measurement = entry["measurement"]
    for name, title in titles.items():
        data = measurement[f"{name}_curve"]
        data.attrs["NX_class"] = "NXdata"
        data.attrs["signal"] = name
        data.attrs["axes"] = "elapsed_time"
        data.attrs["elapsed_time_indices"] = np.uint32(0)
        put(data, "title", title)
    shown = _DEFAULT_PLOT if _DEFAULT_PLOT in titles else next(iter(titles), None)
    if shown is not None:  # what a viewer draws when it opens the file
        entry.attrs["default"] = "measurement"
        measurement.attrs["default"] = f"{shown}_curve"


def _losses(gathered: Gathered) -> dict[str, Any]:
    pulses = gathered.pulses
    return {
        "pulses": pulses.pulses,
        "inhibited_pulses": pulses.inhibited,
        "uncovered_pulses": pulses.uncovered,
        "lossy_blocks": pulses.lossy_blocks,
        "undecodable_hit_frames": gathered.undecodable_hits,
        "hits_without_voltage": gathered.hits.without_voltage,
        "journal_acquire": gathered.acquire.as_dict(),
        "journal_guard": gathered.guard.as_dict(),
    }
