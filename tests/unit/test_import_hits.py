"""Hits of other programs become run folders that everything here accepts, and come out again as they went in."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.errors import RecordError, StateError
from evapd.export.importing import import_hits
from evapd.export.raw import RAW
from evapd.export.thinning import Thinner
from evapd.export.writing import export_run
from evapd.record.finalise import finalise
from evapd.record.nxs import open_run
from evapd.record.run import Condition, list_runs
from evapd.report.digest import gather
from evapd.report.summary import summary_of
from support.recorded_runs import T_UTC, record_run


def raw_hits(n=3000, seed=1):
    """Hits as a tomographic atom probe gives them: 1 kHz, steps of 2 V, some in one pulse, two pauses."""
    rng = np.random.default_rng(seed)
    hits = np.zeros(n, RAW)
    hits["pulse"] = 2_252_793 + np.cumsum(rng.random(n) < 0.95)
    hits["epoch"] = -955_393_725 + (hits["pulse"] - hits["pulse"][0]).astype(np.int64)
    hits["u_base_v"] = 14_561.45 + 2.0 * (np.arange(n) // 400)
    hits["x_mm"], hits["y_mm"] = rng.uniform(-70, 70, (2, n))
    hits["tof_ns"] = rng.uniform(100, 4000, n)
    hits["pulse"][n // 2 :] += 9_000
    return hits


def imported(tmp_path, hits, name="tap.raw", **options):
    path = tmp_path / name
    hits.tofile(path)
    return import_hits(path, tmp_path / "runs", made_utc_us=T_UTC, **options)


def test_raw_hits_come_out_again_as_they_went_in(tmp_path):
    hits = raw_hits()
    done = imported(tmp_path, hits)
    again = np.fromfile(export_run(done.folder, "raw").file, RAW)
    assert np.array_equal(again["pulse"], hits["pulse"])
    for name, step in (("x_mm", 0.0006), ("y_mm", 0.0006), ("tof_ns", 0.0006), ("u_base_v", 0.012)):
        assert np.abs(again[name] - hits[name]).max() < step, name


def test_what_was_imported_is_listed_summarised_and_finalised_again(tmp_path):
    done = imported(tmp_path, raw_hits(), flight_path_mm=305.0, elements=("W",))
    (entry,) = list_runs(tmp_path / "runs")
    assert (entry.info.state, entry.info.counters["hits"]) == ("finished", 3000)
    finalise(done.folder)
    with open_run(done.folder) as run:
        assert summary_of(run, gather(run)).hits == 3000
        assert np.isfinite(run.hits().mass_to_charge_da).mean() > 0.95


def test_a_pyccapt_file_gives_the_run_back_that_it_was_made_of(tmp_path):
    store, _ = record_run(tmp_path / "first", 0.5)
    finalise(store.folder)
    file = export_run(store.folder, "pyccapt").file
    done = import_hits(file, tmp_path / "runs", made_utc_us=T_UTC)
    with open_run(store.folder) as old, open_run(done.folder) as new:
        before, after = old.hits(), new.hits()
    for name in ("pulse", "tof_ps", "x_um", "y_um", "multiplicity"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert np.abs(before.v_dc_v - after.v_dc_v).max() < 0.02
    assert np.abs(before.v_p_v - after.v_p_v).max() < 0.02
    assert done.pulse_rate_hz == 200_000.0
    assert done.voltage_mode


def test_a_counter_that_falls_is_counted_on_and_taints_the_run(tmp_path):
    hits = raw_hits(1000)
    hits["pulse"][500:] -= 2_252_000
    done = imported(tmp_path, hits, pulse_rate_hz=1000.0)
    with open_run(done.folder) as run:
        assert (np.diff(run.hits().pulse.astype(np.int64)) >= 0).all()
        assert Condition.TAINTED in run.info.conditions
    assert done.counter_falls == 1


def test_rows_that_are_no_hits_are_left_out_and_counted(tmp_path):
    hits = raw_hits(1000)
    hits["x_mm"][[3, 4]] = np.nan, 1e30
    hits["tof_ns"][5] = np.inf
    done = imported(tmp_path, hits)
    assert (done.hits, done.refused) == (997, 3)


def test_an_unknown_voltage_is_not_a_reason_to_lose_a_hit(tmp_path):
    hits = raw_hits(1000)
    hits["u_base_v"] = np.nan
    done = imported(tmp_path, hits)
    with open_run(done.folder) as run:
        assert np.isnan(run.hits().v_dc_v).all()
    assert done.hits == 1000


def test_a_file_that_is_no_whole_number_of_hits_is_refused(tmp_path):
    path = tmp_path / "x.raw"
    path.write_bytes(b"\0" * 33)
    with pytest.raises(RecordError, match="32 bytes"):
        import_hits(path, tmp_path / "runs", made_utc_us=T_UTC)
    assert not (tmp_path / "runs").exists()


def test_an_import_that_fails_leaves_no_half_of_a_run(tmp_path):
    hits = raw_hits(100)
    hits["x_mm"] = np.nan
    with pytest.raises(RecordError, match="no row of the file is a hit"):
        imported(tmp_path, hits)
    assert not [*(tmp_path / "runs").iterdir()]


def test_a_raw_file_without_a_clock_needs_a_rate(tmp_path):
    hits = raw_hits(100)
    hits["epoch"] = 0
    with pytest.raises(StateError, match="--pulse-rate-hz"):
        imported(tmp_path, hits)
    assert imported(tmp_path, hits, "again.raw", pulse_rate_hz=1e5).pulse_rate_hz == 1e5


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda f: f.create_group("other"), "group dld is missing"),
        (lambda f: f.create_dataset("dld/x", data=[1.0]), "dld lacks y, t, high_voltage, start_counter"),
        (
            lambda f: [f.create_dataset(f"dld/{n}", data=np.ones(3 if n == "t" else 2)) for n in ("x", "y", "t", "high_voltage", "start_counter")],
            "different lengths",
        ),
        (
            lambda f: [f.create_dataset(f"dld/{n}", data=np.ones((2, 2))) for n in ("x", "y", "t", "high_voltage", "start_counter")],
            "no columns of numbers",
        ),
    ],
)  # fmt: skip
def test_an_hdf5_file_of_another_kind_is_refused_with_what_it_lacks(tmp_path, make, what):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        make(file)
    with pytest.raises(RecordError, match=what):
        import_hits(path, tmp_path / "runs", made_utc_us=T_UTC)


def test_an_older_pyccapt_file_calls_the_pulse_voltage_otherwise(tmp_path):
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        columns = {
            "x": [0.1, 0.2],
            "y": [0, 0],
            "t": [500, 600],
            "high_voltage": [3000, 3000],
            "pulse_voltage": [600, 600],
            "start_counter": [1, 2],
        }
        for name, values in columns.items():
            file.create_dataset(f"dld/{name}", data=np.array(values, float))
    done = import_hits(path, tmp_path / "runs", made_utc_us=T_UTC, pulse_rate_hz=1e5)
    with open_run(done.folder) as run:
        assert run.hits().v_p_v == pytest.approx([600.0, 600.0])
        assert run.hits().x_um.tolist() == [1000, 2000]


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.integers(1, 2_000_000), min_size=1, max_size=80),
    values=st.lists(st.floats(0, 100), min_size=80, max_size=80),
    tolerance=st.sampled_from([0.004, 1.0, 30.0]),
)
def test_lines_between_the_readings_kept_stay_within_the_tolerance(steps, values, tolerance):
    t = np.cumsum(np.array(steps, float))
    value = np.array(values[: len(t)])
    kept = Thinner(tolerance, 4e6).choose(t, value)
    assert kept[0] == 0
    assert kept[-1] == len(t) - 1
    assert np.abs(np.interp(t, t[kept], value[kept]) - value).max() <= tolerance * (1 + 1e-9) + 1e-9


def test_a_straight_ramp_needs_few_readings():
    t = np.arange(0.0, 1e6, 10.0)
    assert len(Thinner(0.004, 4e6).choose(t, 3000.0 + 5e-6 * t)) == 2
