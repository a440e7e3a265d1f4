"""Finalising: everything that was journalled is in the file, where NXapm wants it."""

import contextlib
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from evapd.blocks import NO_ANCHOR, HitBlock, Loss
from evapd.errors import RecordError
from evapd.record.finalise import finalise
from evapd.record.finalising.histories import Histories
from evapd.record.finalising.spool import Spool
from evapd.record.hdf5file import GuardedFile
from evapd.record.journal import segments
from evapd.record.nxs import RunFile, open_run
from evapd.record.run import RunStore
from support.recorded_runs import (
    MASSES_DA,
    RATE_HZ,
    T_MONO,
    Recorder,
    blocks,
    info_of,
    record_acquire,
    record_guard,
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


def test_finalising_again_gives_the_same_data_and_leaves_no_part(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 2.0)
    store.nexus_path.with_suffix(".nxs.part").write_bytes(b"left by a kill")
    finalise(store.folder)
    with open_run(store.folder) as file:
        before = file.hits().tof_ps

    finalise(store.folder)

    with open_run(store.folder) as file:
        np.testing.assert_array_equal(file.hits().tof_ps, before)
    assert not list(store.folder.glob("*.part"))


def empty_store(tmp_path: Path, **changes) -> RunStore:
    store = RunStore(tmp_path / "20261120T204000Z-tip")
    store.create(info_of(store.folder, **changes))
    return store


def test_a_run_without_anything_finalises(tmp_path: Path) -> None:
    store = empty_store(tmp_path, configuration={}, specimen={}, segments=())

    finalise(store.folder)

    with open_run(store.folder) as file:
        assert file.n_hits == 0
        assert file.hits().n == 0
        assert file.histories() == {}
        assert file.loop() == {}
        assert file.hits().mass_to_charge_da is None
    assert store.load().nexus.bytes_per_hit is None


def test_without_the_guards_journal_voltages_are_unknown_and_never_guessed(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    record_acquire(store, 1.0)

    finalise(store.folder)

    with open_run(store.folder) as file:
        hits = file.hits()
        assert hits.n > 1000
        assert np.isnan(hits.v_dc_v).all()
        assert np.isnan(hits.mass_to_charge_da).all()
        assert file.losses()["hits_without_voltage"] == hits.n


def test_without_hits_the_histories_are_kept(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    record_guard(store, 1.0)

    finalise(store.folder)

    with open_run(store.folder) as file:
        assert file.n_hits == 0
        assert len(file.histories()["voltage"].value) > 20


@pytest.mark.parametrize(
    ("pulse", "known"),
    [
        ({"mode": "laser", "rate_hz": 2e5}, True),
        ({"mode": "voltage", "rate_hz": 2e5, "fraction": 0.0}, True),
        ({"mode": "voltage", "rate_hz": 2e5, "fraction": 0.2}, False),
    ],
)
def test_an_amplitude_that_nobody_measured_is_zero_only_where_there_is_none(
    tmp_path: Path, pulse, known
) -> None:
    store = empty_store(tmp_path)
    configuration = {**store.load().configuration, "pulse": pulse}
    store.update(configuration=configuration)
    record_guard(store, 1.0, v_p=False)
    record_acquire(store, 1.0)

    finalise(store.folder)

    with open_run(store.folder) as file:
        assert np.isfinite(file.hits().mass_to_charge_da).all() == known


def test_a_reflectron_gets_no_straight_path_masses(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    configuration = dict(store.load().configuration)
    configuration["instrument"] = {**configuration["instrument"], "flight_path_kind": "reflectron"}
    store.update(configuration=configuration)
    record_acquire(store, 0.5)

    with h5py.File(finalise(store.folder)) as file:
        assert "mass_to_charge_conversion" not in file["entry1/atom_probe1"]
        assert b"reflectron" in file["entry1/evapd/mass_to_charge_left_out"][()]
        assert file["entry1/measurement/instrument/reflectron/applied"][()]


def test_lost_pulses_show_and_the_rest_is_kept(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    made = list(blocks(1.0))
    made[5] = dataclasses.replace(made[5], loss=Loss.WORDS_LOST, anchor=NO_ANCHOR)
    acquire = Recorder.at(store.journal, "acquire", store.folder.name)
    for number, block in enumerate(made):
        frame = acquire.framer.hits(block)
        if number != 3:
            acquire.journal.append(frame)
    acquire.journal.close()

    finalise(store.folder)

    with open_run(store.folder) as file:
        losses = file.losses()
        assert losses["uncovered_pulses"] == 10_000
        assert losses["lossy_blocks"] == 1
        assert losses["journal_acquire"]["gaps"] == {"hits.": 1}
        assert 3 in file.pulses()["kind"]
        assert file.n_hits == sum(block.n for number, block in enumerate(made) if number != 3)


def test_a_damaged_journal_finalises_with_what_is_whole(tmp_path: Path) -> None:
    store, made = record_run(tmp_path, 2.0)
    for path in (*segments(store.journal), *segments(store.guard_journal)):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x40
        path.write_bytes(data[:-7])

    finalise(store.folder)

    with open_run(store.folder) as file:
        assert 0 < file.n_hits < sum(block.n for block in made)
        assert file.losses()["journal_acquire"]["torn_bytes"] > 0
        assert len({len(values) for values in file.loop().values()}) == 1


def test_a_full_disk_says_so_and_leaves_no_broken_file(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 5.0)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from evapd.record.finalise import main; sys.exit(main(sys.argv[1:]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, store.folder], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert "make room" in done.stderr.splitlines()[-1]
    assert not list(store.folder.glob("*.nxs*"))


def test_the_command_tells_its_progress_line_by_line(tmp_path: Path) -> None:
    store, made = record_run(tmp_path, 2.0)
    command = [sys.executable, "-m", "evapd.record.finalise", "--json", store.folder]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    progress = [line["progress"] for line in lines]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert lines[-1]["hits"] == sum(block.n for block in made)
    assert Path(lines[-1]["path"]) == store.nexus_path


def test_the_command_fails_with_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evapd.record.finalise", tmp_path]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "run.json" in done.stderr


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_a_file_that_is_no_run_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.nxs"
    if content is None:
        with h5py.File(path, "w") as file:
            file["entry1/a"] = 1
    else:
        path.write_bytes(content)

    with pytest.raises(RecordError, match=r"x\.nxs"):
        open_run(path)
    with pytest.raises(RecordError, match="not finalised"):
        open_run(tmp_path)


def test_a_run_that_another_process_finalises_is_left_to_it(tmp_path: Path) -> None:
    store, _ = record_run(tmp_path, 0.2)
    part = store.nexus_path.with_suffix(".nxs.part")
    with contextlib.closing(GuardedFile(part)) as other:
        other.write(b"the other one's bytes")
        with pytest.raises(RecordError, match="is being finalised by another process"):
            finalise(store.folder)
        assert part.read_bytes() == b"the other one's bytes"
    assert finalise(store.folder).exists()
