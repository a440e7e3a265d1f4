"""Finalising: everything that was journalled is in the file, where NXapm wants it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from evapd.blocks import HitBlock
from evapd.record.finalise import finalise
from evapd.record.finalising.histories import Histories
from evapd.record.finalising.spool import Spool
from evapd.record.nxs import RunFile, open_run
from evapd.record.run import RunStore
from support.recorded_runs import (
    MASSES_DA,
    RATE_HZ,
    T_MONO,
    record_run,
    v_dc_v,
)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, list[HitBlock]]:
    """A run of about 200 000 hits, finalised."""
    store, made = record_run(tmp_path_factory.mktemp("runs"), 100.0)
    finalise(store.folder)
    return store, made


@pytest.fixture
def run(big: tuple[RunStore, list[HitBlock]]):
    with open_run(big[0].folder) as file:
        yield file


def column(made: list[HitBlock], name: str) -> np.ndarray:
    return np.concatenate([getattr(block, name) for block in made])


def test_every_hit_is_in_the_file_bit_by_bit(run: RunFile, big) -> None:
    hits, made = run.hits(), big[1]

    assert run.n_hits > 190_000
    for name in ("tof_ps", "x_um", "y_um", "quality", "multiplicity"):
        np.testing.assert_array_equal(getattr(hits, name), column(made, name))
    pulses = np.concatenate([block.first_pulse + block.pulse.astype(np.uint64) for block in made])
    np.testing.assert_array_equal(hits.pulse, pulses)


def test_a_hit_takes_at_most_14_bytes_with_all_that_is_computed_for_it(run: RunFile) -> None:
    sizes = run.bytes_of_columns()
    measured = sum(sizes[name] for name in ("pulse", "tof_ps", "xy_um", "quality", "multiplicity"))

    assert measured / run.n_hits < 10
    assert sum(sizes.values()) / run.n_hits < 14
    assert run.path.stat().st_size / run.n_hits < 14


def test_each_hit_gets_the_voltage_measured_around_its_own_pulse(run: RunFile) -> None:
    hits = run.hits()
    t_us = T_MONO + hits.pulse * 1e6 / RATE_HZ

    assert np.abs(hits.v_dc_v - v_dc_v(t_us)).max() < 0.02
    assert np.abs(hits.v_p_v - 0.2 * v_dc_v(t_us)).max() < 0.02


def test_mass_to_charge_brings_the_masses_back(run: RunFile) -> None:
    mass = run.hits().mass_to_charge_da

    assert mass is not None
    nearest = MASSES_DA[np.abs(mass[:, None] - MASSES_DA).argmin(axis=1)]
    assert np.mean(np.abs(mass / nearest - 1) < 0.005) > 0.98


def test_hits_can_be_read_in_pieces(run: RunFile) -> None:
    pieces = [chunk.tof_ps for chunk in run.iter_hits(30_001)]

    assert len(pieces) == -(-run.n_hits // 30_001)
    np.testing.assert_array_equal(np.concatenate(pieces), run.hits().tof_ps)


def test_histories_carry_units_and_begin_with_the_run(run: RunFile) -> None:
    histories = run.histories()

    voltage = histories["voltage"]
    assert (voltage.units, histories["pressure_analysis"].units) == ("V", "Pa")
    assert histories["temperature_tip"].units == "K"
    assert histories["stage_x"].units == "mm"
    np.testing.assert_allclose(histories["stage_x"].value, 1.25, atol=1e-5)
    assert "pressure_buffer" not in histories  # never a valid reading
    np.testing.assert_allclose(voltage.value, 3000 + 5 * voltage.elapsed_s, atol=1e-6)


def test_the_loop_and_the_events_are_kept(run: RunFile) -> None:
    loop = run.loop()

    assert {len(values) for values in loop.values()} == {2009}
    assert loop["energy_state"].dtype == np.uint8
    assert np.isnan(loop["sensitivity"]).all()
    assert {event["topic"] for event in run.events()} == {"event", "state"}
    assert run.events()[0]["what"] == "safe"


def test_pulses_are_run_length_coded(run: RunFile) -> None:
    pulses = run.pulses()

    assert pulses["first_pulse"].tolist() == [0, 20_000, 30_000]
    assert pulses["kind"].tolist() == [0, 1, 0]
    assert run.losses()["uncovered_pulses"] == 0
    assert run.losses()["inhibited_pulses"] == 10_000


def test_run_json_knows_its_file(run: RunFile, big) -> None:
    nexus = big[0].load().nexus

    assert nexus is not None
    assert (nexus.hits, nexus.bytes) == (run.n_hits, run.path.stat().st_size)
    assert nexus.bytes_per_hit is not None
    assert nexus.bytes_per_hit < 10
    assert run.info.id == big[0].folder.name


# What NXapm asks for: a path, and the attributes that must be there.
REQUIRED = {
    "entry1/definition": ["version"],
    "entry1/start_time": [],
    "entry1/operation_mode": [],
    "entry1/specimen/is_simulation": [],
    "entry1/specimen/atom_types": [],
    "entry1/NAMED_reference_frameID/type": [],
    "entry1/NAMED_reference_frameID/x": ["units"],
    "entry1/NAMED_reference_frameID/y": ["units"],
    "entry1/NAMED_reference_frameID/z": ["units"],
    "entry1/measurement/instrument/flight_path": ["units"],
    "entry1/measurement/event1/instrument/pulser/pulse_mode": [],
    "entry1/measurement/event1/instrument/pulser/pulse_frequency": ["units"],
    "entry1/measurement/event1/instrument/pulser/pulse_fraction": [],
    "entry1/measurement/event1/instrument/stage/temperature_sensor/measurement": [],
    "entry1/measurement/event1/instrument/stage/temperature_sensor/value": ["units"],
    "entry1/measurement/event1/instrument/analysis_chamber/pressure_sensor/measurement": [],
    "entry1/measurement/event1/instrument/analysis_chamber/pressure_sensor/value": ["units"],
    "entry1/measurement/event1/instrument/control/evaporation_control": [],
    "entry1/measurement/event1/instrument/control/target_detection_rate": [],
    "entry1/atom_probe1/hit_finding/program1/program": ["version"],
    "entry1/atom_probe1/hit_finding/hit_positions": ["units", "depends_on"],
    "entry1/atom_probe1/voltage_and_bowl/program1/program": ["version"],
    "entry1/atom_probe1/voltage_and_bowl/config": ["NX_class"],
    "entry1/atom_probe1/mass_to_charge_conversion/program1/program": ["version"],
    "entry1/atom_probe1/mass_to_charge_conversion/mass_to_charge": ["units"],
}


CLASSES = {
    "/": "NXroot",
    "entry1": "NXentry",
    "entry1/specimen": "NXsample",
    "entry1/user1": "NXuser",
    "entry1/NAMED_reference_frameID": "NXcoordinate_system",
    "entry1/measurement": "NXapm_measurement",
    "entry1/measurement/instrument": "NXapm_instrument",
    "entry1/measurement/event1": "NXapm_event_data",
    "entry1/measurement/event1/instrument": "NXapm_instrument",
    "entry1/measurement/event1/instrument/pulser": "NXcomponent",
    "entry1/atom_probe1": "NXroi_process",
    "entry1/atom_probe1/hit_finding": "NXprocess",
    "entry1/evapd": "NXcollection",
}


@pytest.mark.parametrize("path", REQUIRED)
def test_what_nxapm_requires_is_there(big, path: str) -> None:
    with h5py.File(big[0].nexus_path) as file:
        assert path in file
        assert set(REQUIRED[path]) <= set(file[path].attrs)


@pytest.mark.parametrize("path", CLASSES)
def test_groups_have_their_nexus_class(big, path: str) -> None:
    with h5py.File(big[0].nexus_path) as file:
        assert file[path].attrs["NX_class"] == CLASSES[path]


def test_every_group_has_a_class_and_every_history_its_axes(big) -> None:
    with h5py.File(big[0].nexus_path) as file:
        found: list[h5py.Group] = []
        file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Group) else None)
        assert [item.name for item in found if "NX_class" not in item.attrs] == []
        plots = [item for item in found if item.attrs["NX_class"] == "NXdata"]
        assert len(plots) == 7
        for data in plots:
            assert data.attrs["axes"] == "elapsed_time"
            assert data.attrs["elapsed_time_indices"].dtype.kind == "u"
            assert {"title", "elapsed_time", data.attrs["signal"]} == set(data)
            assert all("units" in data[field].attrs for field in ("elapsed_time", data.attrs["signal"]))


def test_types_are_those_of_the_definition(big) -> None:
    with h5py.File(big[0].nexus_path) as file:
        probe = file["entry1/atom_probe1"]
        kinds = {
            "hit_finding/hit_positions": "i",
            "hit_finding/hit_quality": "u",
            "hit_finding/hit_multiplicity": "u",
            "voltage_and_bowl/raw_tof": "f",
            "mass_to_charge_conversion/mass_to_charge": "f",
        }
        assert {path: probe[path].dtype.kind for path in kinds} == kinds
        assert file["entry1/measurement/event1/instrument/pulser/pulse_number"].dtype.kind == "u"
        assert file["entry1/specimen/is_simulation"].dtype == np.bool_
        filters = {probe[path].compression for path in kinds}
        assert filters == {"gzip"}  # no plugin is needed at the reader


def test_fields_of_the_definition_carry_no_attribute_that_it_does_not_know(big) -> None:
    # One of the validators calls a file that has others not valid.
    with h5py.File(big[0].nexus_path) as file:
        found: list[str] = []

        def look(name: str, item: h5py.Group | h5py.Dataset) -> None:
            plotted = item.parent.attrs.get("NX_class") == "NXdata"
            if isinstance(item, h5py.Dataset) and not name.startswith("entry1/evapd") and not plotted:
                found.extend(f"{name}@{key}" for key in set(item.attrs) - {"units", "version", "depends_on"})

        file.visititems(look)
        assert found == []


def test_a_viewer_is_led_to_the_voltage(big) -> None:
    with h5py.File(big[0].nexus_path) as file:
        place: h5py.Group = file
        while "default" in place.attrs:
            place = place[place.attrs["default"]]
        assert place.attrs["NX_class"] == "NXdata"
        assert place[place.attrs["signal"]].attrs["units"] == "V"


def test_everything_measured_by_the_guard_has_units(big) -> None:
    with h5py.File(big[0].nexus_path) as file:
        without: list[str] = []
        for part in ("loop", "devices", "pulses", "blocks"):
            file[f"entry1/evapd/{part}"].visititems(
                lambda name, item: (
                    without.append(name)
                    if isinstance(item, h5py.Dataset) and "units" not in item.attrs
                    else None
                )
            )
        assert without == []
        assert file["entry1/evapd/devices/vacuum/pressure_pa_analysis/value"].attrs["units"] == "Pa"


def test_what_the_run_says_about_itself_is_in_the_file(big) -> None:
    with h5py.File(big[0].nexus_path) as file:
        own = file["entry1/evapd"]
        expected = {
            "run_json", "configuration", "configuration_source", "anode", "calibration", "devices_identified", "versions",
            "segments", "notes", "states", "counters", "end_reason", "losses", "conditions", "live_pulses", "columns",
        }  # fmt: skip
        assert expected <= set(own)
        assert own["live_pulses"][()] == 20_000_000 - 10_000


def test_names_that_nexus_keeps_for_itself_are_not_given_to_plots(tmp_path: Path) -> None:
    with Spool(tmp_path / "work", "key") as spool:
        histories = Histories(spool, "plots", 0)
        histories.series("temperature_heater_set", "a sensor", "K")
        histories.series("pressure_ch 1/a", "a gauge", "Pa")

        assert set(histories.titles) == {"temperature_heater_set_reading", "pressure_ch_1_a"}


def test_black_boxes_are_kept_with_the_run(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 0.2, state="finished")
    (store.folder / "blackbox").mkdir()
    (store.folder / "blackbox" / "trip-1.npz").write_bytes(b"a box")

    finalise(store.folder)

    with h5py.File(store.nexus_path) as file:
        note = file["entry1/evapd/black_boxes/trip-1"]
        assert note["data"][()].tobytes() == b"a box"
        assert note["file_name"].asstr()[()] == "blackbox/trip-1.npz"
