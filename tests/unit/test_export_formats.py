"""Files for other programs, byte by byte as their descriptions say, and the same bytes each time."""

import csv
import json
import struct
import sys

import h5py
import numpy as np
import pytest

from evapd.errors import ConfigError, RecordError, StateError
from evapd.export.projection import Projection, Projector
from evapd.export.raw import RAW
from evapd.export.writing import LACKS, SUFFIXES, export_run
from evapd.record.finalise import finalise
from evapd.record.nxs import open_run
from evapd.spectrometry.masses import MassScale
from support.finished_runs import finished_run, hit_block
from support.recorded_runs import record_run

KINDS = [kind for kind in SUFFIXES if kind != "parquet"]


@pytest.fixture
def run(tmp_path):
    """Three hits: two in pulse 100 of the first block, one in pulse 7 of the third; the second block was inhibited."""
    blocks = [
        hit_block(0, [100, 100], [500_123, 612_456], x_um=[1500, -2500], y_um=[0, 4000]),
        hit_block(1, inhibited=10_000),
        hit_block(2, [7], [733_001], x_um=-12, y_um=34),
    ]
    return finished_run(tmp_path, blocks)


def out(run, kind, name="out", **options):
    return export_run(run, kind, run.parent / f"{name}{SUFFIXES[kind]}", **options).file.read_bytes()


def sidecar(run, kind, **options):
    done = export_run(run, kind, run.parent / f"side{SUFFIXES[kind]}", **options)
    return json.loads(done.sidecar.read_text())


def test_pos_is_four_big_endian_floats_per_ion(run):
    data = out(run, "pos")
    with open_run(run) as nexus:
        masses = nexus.hits().mass_to_charge_da
    assert len(data) == 3 * 16
    assert [struct.unpack_from(">f", data, 16 * k + 12)[0] for k in range(3)] == masses.tolist()
    x_nm, y_nm, z_nm = struct.unpack_from(">3f", data, 0)
    assert x_nm > 0.0
    assert y_nm == 0.0
    assert 0.0 < z_nm < 1.0


def test_epos_is_nine_big_endian_floats_and_two_unsigned_integers_per_ion(run):
    data = out(run, "epos")
    assert len(data) == 3 * 44
    first, second, third = (struct.unpack_from(">9f2I", data, 44 * k) for k in range(3))
    assert first[4] == np.float32(500.123)
    assert first[5] == pytest.approx(3000.0, abs=0.05)
    assert first[6] == pytest.approx(600.0, abs=0.05)
    assert first[7:9] == (1.5, 0.0)
    assert second[7:9] == (-2.5, 4.0)
    assert third[7:9] == (np.float32(-0.012), np.float32(0.034))


def test_a_float_of_the_epos_file_stands_with_its_highest_byte_first(run):
    assert out(run, "epos")[28:32] == b"\x3f\xc0\x00\x00"  # 1.5 mm


def test_multiplicity_is_on_the_first_hit_of_a_pulse_and_zero_on_the_others(run):
    data = out(run, "epos")
    assert [struct.unpack_from(">I", data, 44 * k + 40)[0] for k in range(3)] == [2, 0, 1]


def test_pulses_since_the_last_event_are_live_ones(run):
    # 100 pulses before the first event and itself; 9899 after it, none of the inhibited block, 8 of the third.
    data = out(run, "epos")
    assert [struct.unpack_from(">I", data, 44 * k + 36)[0] for k in range(3)] == [101, 0, 9_899 + 8]


def test_voltages_are_volts_by_default_and_kilovolts_by_name(run):
    volts, kilovolts = out(run, "epos"), out(run, "epos", "kilo", voltage_unit="kV")
    v = struct.unpack_from(">2f", volts, 20)
    assert struct.unpack_from(">2f", kilovolts, 20) == pytest.approx((v[0] / 1000, v[1] / 1000), rel=1e-6)
    assert sidecar(run, "epos", voltage_unit="kV")["voltage_unit"] == "kV"
    with pytest.raises(StateError, match="epos only"):
        out(run, "pos", voltage_unit="kV")


def test_apt_has_its_header_and_sections_where_readers_look(run):
    data = out(run, "apt")
    assert data[:12] == b"APT\x00" + struct.pack("<ii", 540, 2)
    assert data[12 : 12 + 14] == "out.apt".encode("utf-16-le")
    filetime, ions = struct.unpack_from("<QQ", data, 524)
    assert ions == 3
    assert filetime == 116_444_736_000_000_000 + 10 * 1_795_207_200_000_000
    names, at = [], 540
    while at < len(data):
        signature, size, version = struct.unpack_from("<4sii", data, at)
        name = data[at + 12 : at + 76].decode("utf-16-le").rstrip("\0")
        records, nbytes = struct.unpack_from("<qq", data, at + 132)
        assert (signature, version, records) == (b"SEC\0", 2, 3)
        assert size == (172 if name == "Position" else 148)
        names.append(name)
        at += size + nbytes
    assert at == len(data)
    assert names == ["tof", "Voltage", "Mass", "XDet_mm", "YDet_mm", "Multiplicity", "Position"]


def test_an_apt_section_describes_its_type_and_unit(run):
    data = out(run, "apt")
    at = data.index("Multiplicity".encode("utf-16-le")) - 12
    version, relation, record, kind, bits, size = struct.unpack_from("<iIIIii", data, at + 76)
    assert (version, relation, record, kind, bits, size) == (1, 1, 1, 1, 32, 4)
    assert struct.unpack_from("<3i", data, at + 148) == (2, 0, 1)
    mass = data.index("Mass".encode("utf-16-le")) - 12
    assert struct.unpack_from("<iIIIii", data, mass + 76) == (1, 1, 1, 3, 32, 4)
    assert data[mass + 100 : mass + 104] == "Da".encode("utf-16-le")


def test_apt_positions_lie_within_the_bounds_written_before_them(run):
    data = out(run, "apt")
    at = data.index("Position".encode("utf-16-le")) - 12
    bounds = np.array(struct.unpack_from("<6f", data, at + 148)).reshape(3, 2)
    positions = np.frombuffer(data, "<f4", 9, at + 172).reshape(3, 3)
    assert np.array_equal(positions.min(axis=0), bounds[:, 0])
    assert np.array_equal(positions.max(axis=0), bounds[:, 1])


def test_raw_is_six_little_endian_floats_an_epoch_and_a_pulse_number(run):
    data = out(run, "raw")
    assert len(data) == 3 * 32
    u_base, u_pulse, u_reflectron, x_mm, y_mm, tof_ns, epoch, pulse = struct.unpack_from("<6fiI", data, 64)
    assert (u_reflectron, pulse) == (0.0, 20_007)
    assert tof_ns == np.float32(733.001)
    assert (x_mm, y_mm) == (np.float32(-0.012), np.float32(0.034))
    assert u_base == pytest.approx(3000.5, abs=0.05)
    assert u_pulse == pytest.approx(600.1, abs=0.05)
    assert epoch == 100
    assert data[12:16] == b"\x00\x00\xc0\x3f"  # x of the first hit, 1.5 mm


def test_pyccapt_has_its_groups_columns_types_and_units(run):
    file = export_run(run, "pyccapt").file
    with h5py.File(file) as made:
        assert {*made} == {"apt", "dld", "tdc", "provenance"}
        assert made["dld/x"][()].tolist() == [0.15, -0.25, -0.0012]
        assert made["dld/t"][()].tolist() == [500.123, 612.456, 733.001]
        assert made["dld/start_counter"][()].tolist() == [100, 100, 20_007]
        assert made["dld/start_counter"].dtype == "<u8"
        units = {name: made[f"dld/{name}"].attrs["units"] for name in made["dld"]}
        assert units == {
            "x": "cm", "y": "cm", "t": "ns", "high_voltage": "V", "voltage_pulse": "V", "laser_pulse": "pJ", "start_counter": "1"
        }  # fmt: skip
        assert len(made["apt/timestamps"]) == len(made["apt/temperature"]) > 0
        assert made["apt/temperature"][0] == pytest.approx(50.0, abs=0.1)
        assert made["apt/experiment_chamber_vacuum"][0] == pytest.approx(2e-10)
        assert made["provenance"].attrs["schema_version"] == "2.0"


def test_csv_has_a_line_of_names_and_every_value_in_its_unit(run):
    rows = list(csv.DictReader(out(run, "csv").decode().splitlines()))
    assert [row["pulse"] for row in rows] == ["100", "100", "20007"]
    assert [row["tof_ps"] for row in rows] == ["500123", "612456", "733001"]
    assert float(rows[0]["v_dc_v"]) == pytest.approx(3000.0, abs=0.05)
    assert [row["multiplicity"] for row in rows] == ["2", "2", "1"]


def test_parquet_without_its_library_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StateError, match=r"evapd\[parquet\]"):
        export_run(run, "parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_run_gives_the_same_bytes(run, kind):
    assert out(run, kind) == out(run, kind, force=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_is_not_finalised_gives_the_bytes_of_the_finalised_one(tmp_path, kind):
    store, _ = record_run(tmp_path / "runs", 0.3)
    from_journal = export_run(store.folder, kind, tmp_path / f"out{SUFFIXES[kind]}").file.read_bytes()
    assert not store.nexus_path.exists()
    finalise(store.folder)
    assert (
        export_run(store.folder, kind, tmp_path / f"out{SUFFIXES[kind]}", force=True).file.read_bytes()
        == from_journal
    )
    assert not [*tmp_path.glob(".*"), *tmp_path.glob("*.part")]


def test_pulses_that_chunks_divide_keep_their_multiplicity(tmp_path, monkeypatch):
    monkeypatch.setattr("evapd.record.nxs.CHUNK_ROWS", 2)
    run = finished_run(tmp_path, [hit_block(0, [1, 5, 5, 5, 5, 5, 9])])
    monkeypatch.setattr("evapd.record.nxs.RunFile.iter_hits.__defaults__", (2,))
    data = out(run, "epos")
    assert [struct.unpack_from(">I", data, 44 * k + 40)[0] for k in range(7)] == [1, 5, 0, 0, 0, 0, 1]


def test_a_file_that_is_there_is_kept_unless_told(run):
    out(run, "pos")
    with pytest.raises(RecordError, match="--force"):
        out(run, "pos")


def test_positions_are_labelled_a_preview_with_all_settings(run):
    told = sidecar(run, "pos", projection=Projection(efficiency=0.4))
    assert "preview" in told["projection"]["label"]
    assert told["projection"]["name"] == "voltage-point-projection"
    assert told["projection"]["efficiency"] == 0.4
    assert told["lacks"] == LACKS["pos"]


def test_hits_without_voltage_are_left_out_of_positions_and_kept_in_raw(tmp_path):
    run = finished_run(tmp_path, [hit_block(0, [1, 2])], guard=False)
    assert sidecar(run, "pos")["left_out_without_mass_or_voltage"] == 2
    assert np.isnan(np.frombuffer(out(run, "raw"), RAW)["u_base_v"]).all()


def test_a_run_without_masses_is_refused_where_masses_are_needed(tmp_path):
    configuration = {"instrument": {"flight_path_mm": 300.0, "flight_path_kind": "reflectron"}}
    run = finished_run(tmp_path, [hit_block(0, [1, 2])], configuration=configuration)
    with pytest.raises(StateError, match="raw, pyccapt, parquet or csv"):
        out(run, "epos")
    assert len(out(run, "raw")) == 64


def test_a_run_without_hits_gives_an_empty_raw_file(tmp_path):
    run = finished_run(tmp_path, [hit_block(0)])
    assert out(run, "raw") == b""


def test_a_wrong_mass_file_is_refused_before_anything_is_written(run):
    wrong = run.parent / "mass.yaml"
    wrong.write_text("a: 1\n")
    with pytest.raises(ConfigError, match="no mass calibration"):
        out(run, "pos", mass=wrong)
    assert not (run.parent / "out.pos").exists()


def test_a_mass_calibration_takes_the_place_of_the_recorded_masses(run):
    recorded = np.frombuffer(out(run, "pos"), ">f4").reshape(-1, 4)[:, 3]
    path = run.parent / "mass.yaml"
    scale = MassScale(flight_path_mm=110.0, t0_ps=38_000.0, alpha=2 * 1.015, beta=0.7, voltage_mode=True)
    path.write_text(scale.text())
    doubled = np.frombuffer(out(run, "pos", "again", mass=path), ">f4").reshape(-1, 4)[:, 3]
    assert doubled == pytest.approx(2 * recorded, abs=2e-4)
    assert sidecar(run, "pos", mass=path)["mass_calibration"]["alpha"] == 2 * 1.015


def test_projected_ions_lie_on_a_cap_whose_radius_is_the_voltage_over_the_field():
    settings = Projection(field_v_per_nm=30.0, field_factor=3.0, image_compression=1.0)
    projector = Projector(settings, flight_path_mm=100.0, radius_mm=40.0)
    x_mm = np.array([0.0, 30.0, -30.0])
    x, y, z = projector.positions_nm(x_mm, np.zeros(3), np.full(3, 4500.0)).T
    theta = np.arctan(0.3)
    assert x == pytest.approx([0.0, 50.0 * np.sin(theta), -50.0 * np.sin(theta)])
    assert not y.any()
    step = 0.0118 / 0.5 / (np.pi * (50.0 * np.sin(np.arctan(0.4))) ** 2)
    assert z == pytest.approx(
        [step, 2 * step + 50 * (1 - np.cos(theta)), 3 * step + 50 * (1 - np.cos(theta))]
    )


def test_image_compression_is_that_of_rays_from_a_point_behind_the_centre():
    projector = Projector(Projection(image_compression=1.65), flight_path_mm=110.0, radius_mm=40.0)
    theta = np.array([0.1, 0.3, 0.5])
    seen = np.sin(theta) / (np.cos(theta) + 0.65)
    x = projector.positions_nm(110.0 * seen, np.zeros(3), np.full(3, 3.3 * 33.0)).T[0]
    assert x == pytest.approx(np.sin(theta))
