"""The parts of a NeXus NXapm file that do not depend on the number of hits.

NXapm application definition, https://fairmat-nfdi.github.io/nexus_definitions/classes/applications/NXapm.html.
Names that a validator takes literally (`NAMED_reference_frameID`) are written literally. Histories carry names of our
own (`voltage_curve`): under the definition's `*_time` names a validator reports units as absent although they are there.
"""

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from evapd.record.run import utc_text
from evapd.record.runinfo import Condition, RunInfo
from evapd.record.voltage import Readback
from evapd.units import US_PER_S

ENTRY = "entry1"
FRAME = f"/{ENTRY}/NAMED_reference_frameID"
PULSER = f"{ENTRY}/measurement/event1/instrument/pulser"
PROBE = f"{ENTRY}/atom_probe1"
COLLECTION = f"{ENTRY}/evapd"
# Where the columns with one row per hit lie.
PATHS = {
    "pulse": f"{PULSER}/pulse_number",
    "v_dc_v": f"{PULSER}/standing_voltage",
    "v_p_v": f"{PULSER}/pulse_voltage",
    "tof_ps": f"{PROBE}/voltage_and_bowl/raw_tof",
    "xy_um": f"{PROBE}/hit_finding/hit_positions",
    "quality": f"{PROBE}/hit_finding/hit_quality",
    "multiplicity": f"{PROBE}/hit_finding/hit_multiplicity",
    "mass_to_charge_da": f"{PROBE}/mass_to_charge_conversion/mass_to_charge",
}
MEASURED = ("pulse", "tof_ps", "xy_um", "quality", "multiplicity")


def group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """Make or get a group of a NeXus class."""
    made = parent.require_group(name)
    made.attrs["NX_class"] = nx_class
    return made


def put(parent: h5py.Group, name: str, value: Any, units: str = "", **attributes: Any) -> h5py.Dataset:
    """Write one small field."""
    dataset = parent.create_dataset(name, data=value)
    if units:
        dataset.attrs["units"] = units
    for key, content in attributes.items():
        dataset.attrs[key] = content
    return dataset


def program(parent: h5py.Group, info: RunInfo) -> None:
    """Say which program made a processing step."""
    made = group(parent, "program1", "NXprogram")
    put(made, "program", "evapd", version=info.versions.get("evapd", "unknown"))


def _section(info: RunInfo, name: str) -> Mapping[str, Any]:
    section = info.configuration.get(name)
    return section if isinstance(section, Mapping) else {}


def write_entry(file: h5py.File, info: RunInfo) -> h5py.Group:
    """Write root, entry, user, specimen, coordinate system and measurement; gives the entry."""
    file.attrs["NX_class"] = "NXroot"
    file.attrs["default"] = ENTRY
    file.attrs["creator"] = f"evapd {info.versions.get('evapd', '')}".strip()
    entry = group(file, ENTRY, "NXentry")
    put(entry, "definition", "NXapm", version="v2024.02")
    put(entry, "operation_mode", "apt")
    put(entry, "experiment_alias", info.id)
    if info.t_start_utc:  # hits from bare words have no date
        put(entry, "start_time", utc_text(info.t_start_utc))
    if info.t_end_utc is not None:
        put(entry, "end_time", utc_text(info.t_end_utc))
    if info.t_end_mono_us is not None:
        put(entry, "elapsed_time", (info.t_end_mono_us - info.t_start_mono_us) / US_PER_S, "s")
    notes = "\n".join(note.text for note in info.notes)
    if notes:
        put(entry, "experiment_description", notes)
    put(group(entry, "user1", "NXuser"), "name", info.operator.name or "unknown")
    _write_specimen(entry, info)
    _write_frame(entry)
    _write_measurement(entry, info)
    return entry


def _write_specimen(entry: h5py.Group, info: RunInfo) -> None:
    specimen = group(entry, "specimen", "NXsample")
    told = info.specimen
    elements = told.get("elements") or ()
    put(specimen, "is_simulation", info.is_simulation)
    put(specimen, "atom_types", ", ".join(map(str, elements)) or "unknown")
    put(specimen, "alias", str(told.get("name") or info.name))
    if told.get("preparation"):
        put(specimen, "description", str(told["preparation"]))
    if told.get("initial_radius_nm") is not None:
        put(specimen, "initial_radius", float(told["initial_radius_nm"]), "nm")
    if told.get("shank_angle_deg") is not None:
        put(specimen, "shank_angle", float(told["shank_angle_deg"]), "deg")


def _write_frame(entry: h5py.Group) -> None:
    frame = group(entry, "NAMED_reference_frameID", "NXcoordinate_system")
    put(frame, "alias", "detector")
    put(frame, "type", "cartesian")
    put(frame, "origin", "centre of the detector's active area, as the anode file says")
    directions = {
        "x": "in the detector plane, along layer x of the anode",
        "y": "in the detector plane, from x towards layer y",
        "z": "from the detector to the specimen",
    }
    for axis, (name, words) in enumerate(directions.items()):
        put(frame, name, np.eye(3)[axis], "m")
        put(frame, f"{name}_direction", words)


def _write_measurement(entry: h5py.Group, info: RunInfo) -> None:
    measurement = group(entry, "measurement", "NXapm_measurement")
    aborted = {Condition.ABORTED, Condition.INTERRUPTED} & set(info.conditions)
    put(measurement, "status", "aborted" if aborted else "success")
    put(measurement, "quality", " ".join(info.conditions))
    instrument = group(measurement, "instrument", "NXapm_instrument")
    settings = _section(info, "instrument")
    if "flight_path_mm" in settings:
        put(instrument, "flight_path", float(settings["flight_path_mm"]) * 1e-3, "m")
    put(
        group(instrument, "reflectron", "NXcomponent"),
        "applied",
        settings.get("flight_path_kind") == "reflectron",
    )
    group(instrument, "ion_detector", "NXdetector")
    group(instrument, "pulser", "NXcomponent")


def write_event(
    entry: h5py.Group, info: RunInfo, temperature_k: Readback | None, pressure_pa: Readback | None
) -> None:
    """Write the state of the instrument during the run as event 1; `event1/instrument/pulser` may exist already."""
    event = group(entry, "measurement/event1", "NXapm_event_data")
    if info.t_start_utc:
        put(event, "start_time", utc_text(info.t_start_utc))
    if info.t_end_utc is not None:
        put(event, "end_time", utc_text(info.t_end_utc))
    instrument = group(event, "instrument", "NXapm_instrument")
    pulser, settings = group(instrument, "pulser", "NXcomponent"), _section(info, "pulse")
    if settings:
        put(pulser, "pulse_mode", str(settings.get("mode", "voltage")))
    put(pulser, "pulse_frequency", float(settings.get("rate_hz", np.nan)), "Hz")
    put(pulser, "pulse_fraction", float(settings.get("fraction", np.nan)))
    if settings.get("energy_pj") is not None:
        source = group(pulser, "source1", "NXsource")
        put(
            source,
            "power",
            float(settings["energy_pj"]) * 1e-12 * float(settings.get("rate_hz", np.nan)),
            "W",
        )
        put(source, "pulse_energy", np.array([float(settings["energy_pj"])]), "pJ")
    sensor = group(group(instrument, "stage", "NXmanipulator"), "temperature_sensor", "NXsensor")
    put(sensor, "measurement", "temperature")
    put(sensor, "value", _mean(temperature_k), "K")
    sensor = group(group(instrument, "analysis_chamber", "NXcomponent"), "pressure_sensor", "NXsensor")
    put(sensor, "measurement", "pressure")
    put(sensor, "value", _mean(pressure_pa), "Pa")
    control, law = group(instrument, "control", "NXparameters"), _section(info, "control")
    put(control, "evaporation_control", str(law.get("law", "unknown")))
    put(control, "target_detection_rate", float(law.get("target_rate", np.nan)))


def _mean(series: Readback | None) -> float:
    return float(np.mean(series.value)) if series is not None and len(series) else float("nan")


def write_history(
    entry: h5py.Group,
    name: str,
    *,
    title: str,
    t_us: NDArray[np.int64],
    value: NDArray[np.float64],
    units: str,
    info: RunInfo,
) -> None:
    """Write one quantity against the time since the start of the run, as a plot of its own."""
    data = group(entry, f"measurement/{name}", "NXdata")
    signal = name.removesuffix("_curve")
    data.attrs["signal"] = signal
    data.attrs["axes"] = "elapsed_time"
    data.attrs["elapsed_time_indices"] = np.uint32(0)
    put(data, "title", title)
    elapsed_s = (t_us - info.t_start_mono_us) / US_PER_S
    options: dict[str, Any] = {"compression": "gzip", "shuffle": True} if len(t_us) else {}
    for field, content, unit, words in (
        ("elapsed_time", elapsed_s, "s", "time since the start of the run"),
        (signal, value, units, title),
    ):
        dataset = data.create_dataset(field, data=content, **options)
        dataset.attrs["units"] = unit
        dataset.attrs["long_name"] = f"{words} ({unit})" if unit else words
