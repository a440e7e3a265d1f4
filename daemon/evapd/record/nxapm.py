"""The parts of a NeXus NXapm file that do not depend on the number of hits.

NXapm application definition, https://fairmat-nfdi.github.io/nexus_definitions/classes/applications/NXapm.html.
Names that a validator takes literally (`NAMED_reference_frameID`) are written literally. Histories carry names of our
own (`voltage_curve`): under the definition's `*_time` names a validator reports units as absent although they are there.
"""

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from evapd.record.run import utc_text
from evapd.record.runinfo import Condition, RunInfo
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
_NEXUS = "v2024.02"
MEASURED = ("pulse", "tof_ps", "xy_um", "quality", "multiplicity")


def group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """Make or get a group of a NeXus class."""
    made = parent.require_group(name)
    made.attrs["NX_class"] = nx_class
    return made


def put(parent: h5py.Group, name: str, value: Any, units: str = "", **attributes: Any) -> h5py.Dataset:
    """Write one small field; texts as HDF5 can hold them."""
    dataset = parent.create_dataset(name, data=_writable(value) if isinstance(value, str) else value)
    if units:
        dataset.attrs["units"] = units
    for key, content in attributes.items():
        dataset.attrs[key] = _writable(content) if isinstance(content, str) else content
    return dataset


def _writable(text: str) -> str:
    """Give a text without what HDF5 refuses: a note with a NUL must not keep a run from its file.

    NUL becomes its picture, U+2400; halves of surrogate pairs become question marks.
    """
    return text.replace("\0", "\u2400").encode(errors="replace").decode()


def number(value: object) -> float:
    """Give a setting as a number; NaN where it is none."""
    return float(value) if isinstance(value, int | float) else float("nan")


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
    file.attrs["NeXus_version"] = _NEXUS
    file.attrs["HDF5_Version"] = h5py.version.hdf5_version
    file.attrs["h5py_version"] = h5py.version.version
    entry = group(file, ENTRY, "NXentry")
    put(entry, "definition", "NXapm", version=_NEXUS)
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
    user = group(entry, "user1", "NXuser")
    put(user, "name", info.operator.name or "unknown")
    for name in ("affiliation", "email"):
        if getattr(info.operator, name):
            put(user, name, getattr(info.operator, name))
    _write_programs(entry, info)
    _write_specimen(entry, info)
    _write_frame(entry)
    _write_measurement(entry, info)
    return entry


def _write_programs(entry: h5py.Group, info: RunInfo) -> None:
    # Not under `environment`, where one validator takes programs that are there for missing.
    profiling = group(entry, "profiling", "NXcs_profiling")
    program(profiling, info)
    others = ((name, version) for name, version in sorted(info.versions.items()) if name != "evapd")
    for index, (name, version) in enumerate(others, start=2):
        put(group(profiling, f"program{index}", "NXprogram"), "program", name, version=version)


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
        put(specimen, "initial_radius", number(told["initial_radius_nm"]), "nm")
    if told.get("shank_angle_deg") is not None:
        put(specimen, "shank_angle", number(told["shank_angle_deg"]), "deg")


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
        put(instrument, "flight_path", number(settings["flight_path_mm"]) * 1e-3, "m")
    if info.configuration.get("name"):
        made = group(instrument, "fabrication", "NXfabrication")
        put(made, "vendor", "home-built, run by evapd")
        put(made, "model", str(info.configuration["name"]))
    put(
        group(instrument, "reflectron", "NXcomponent"),
        "applied",
        settings.get("flight_path_kind") == "reflectron",
    )
    group(instrument, "ion_detector", "NXdetector")
    group(instrument, "pulser", "NXcomponent")


def write_event(entry: h5py.Group, info: RunInfo, temperature_k: float, pressure_pa: float) -> None:
    """Write the state of the instrument during the run as event 1, with mean readings (NaN where there are none)."""
    event = group(entry, "measurement/event1", "NXapm_event_data")
    if info.t_start_utc:
        put(event, "start_time", utc_text(info.t_start_utc))
    if info.t_end_utc is not None:
        put(event, "end_time", utc_text(info.t_end_utc))
    instrument = group(event, "instrument", "NXapm_instrument")
    pulser, settings = group(instrument, "pulser", "NXcomponent"), _section(info, "pulse")
    # The definition wants one even where nobody told it; `evapd/assumed` then says so.
    put(pulser, "pulse_mode", str(settings.get("mode", "voltage")))
    rate_hz = number(settings.get("rate_hz"))
    put(pulser, "pulse_frequency", rate_hz, "Hz")
    put(pulser, "pulse_fraction", number(settings.get("fraction")))
    if settings.get("energy_pj") is not None:
        source, energy_pj = group(pulser, "source1", "NXsource"), number(settings["energy_pj"])
        put(source, "power", energy_pj * 1e-12 * rate_hz, "W")
        put(source, "pulse_energy", np.array([energy_pj]), "pJ")
        if settings.get("wavelength_nm") is not None:
            put(source, "wavelength", number(settings["wavelength_nm"]), "nm")
    sensor = group(group(instrument, "stage", "NXmanipulator"), "temperature_sensor", "NXsensor")
    put(sensor, "measurement", "temperature")
    put(sensor, "value", temperature_k, "K")
    sensor = group(group(instrument, "analysis_chamber", "NXcomponent"), "pressure_sensor", "NXsensor")
    put(sensor, "measurement", "pressure")
    put(sensor, "value", pressure_pa, "Pa")
    control, law = group(instrument, "control", "NXparameters"), _section(info, "control")
    put(control, "evaporation_control", str(law.get("law", "unknown")))
    put(control, "target_detection_rate", number(law.get("target_rate")))
