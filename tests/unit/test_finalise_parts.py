"""The parts of finalising by themselves: columns that grow, voltages by pulse, masses."""

import json
import shutil
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from evapd.blocks import Anchor, Column, HitBlock
from evapd.mass import mass_to_charge_da
from evapd.record.columns import GrowingColumn
from evapd.record.finalise import finalise
from evapd.record.finalising.assemble import write_columns
from evapd.record.finalising.deflate import chunk
from evapd.record.finalising.histories import Histories
from evapd.record.finalising.spool import Spool
from evapd.record.journal import JournalReport, read_journal, segments
from evapd.record.nxapm import put
from evapd.record.run import RunStore
from evapd.record.runinfo import Note
from evapd.record.slowtable import LoopFrames, LoopTable, SlowTable
from evapd.record.voltage import PulseClock, Readback
from evapd.stream.frame import LOOP, SLOW, Frame, Framer, Message, decode
from support.recorded_runs import blocks, info_of, record_acquire

FLIGHT = {"flight_path_mm": 110.0, "t0_ps": 0.0, "alpha": 1.0, "beta": 0.7}


def message(frame: Frame) -> Message:
    return decode(*[bytes(part) for part in frame.parts()])


def framer() -> Framer:
    return Framer("t", lambda: 1, lambda: 2)


def block_at(first: int, pulses: int, anchor: Anchor) -> HitBlock:
    n = 3
    zeros = np.zeros(n, dtype=np.int32)
    return HitBlock(
        first_pulse=first,
        last_pulse=first + pulses - 1,
        pulse=np.linspace(0, pulses - 1, n).astype(np.uint32),
        tof_ps=zeros,
        x_um=zeros.copy(),
        y_um=zeros.copy(),
        quality=np.zeros(n, dtype=np.uint8),
        multiplicity=np.ones(n, dtype=np.uint8),
        anchor=anchor,
    )


@given(sizes=st.lists(st.integers(0, 25), max_size=20))
def test_a_growing_column_holds_what_it_was_given_and_buffers_less_than_a_chunk(sizes: list[int]) -> None:
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        column = GrowingColumn(file, "c", "<i4", rows=8)
        start = 0
        for size in sizes:
            column.append(np.arange(start, start + size))
            start += size
            assert column._pending_rows < 8
            assert column.rows == start
        column.flush()
        np.testing.assert_array_equal(file["c"][()], np.arange(start))


def test_a_growing_column_keeps_no_view_of_what_it_was_given() -> None:
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        column, values = GrowingColumn(file, "c", "<i4"), np.array([1, 2, 3], dtype="<i4")
        column.append(values)
        values[:] = 9
        column.flush()
        assert file["c"][()].tolist() == [1, 2, 3]


def test_voltage_is_interpolated_between_readings_and_held_for_a_moment_outside() -> None:
    readback = Readback()
    readback.add([1_000_000, 2_000_000], [100.0, 200.0])

    np.testing.assert_allclose(readback.at(np.array([1.5e6, 0.9e6, 2.1e6])), [150.0, 100.0, 200.0])


def test_no_voltage_is_made_up_across_a_long_silence() -> None:
    readback = Readback()
    readback.add([1_000_000, 2_000_000, 60_000_000], [100.0, 200.0, 900.0])

    values = readback.at(np.array([30e6, 8e6, 1.5e6, 70e6]))

    assert np.isnan(values).tolist() == [True, True, False, True]


def test_repeated_unknown_and_late_readings_are_passed_over() -> None:
    readback = Readback()
    readback.add([5, 5, 6, 4, -1], [1.0, 2.0, np.nan, 3.0, 4.0])

    assert readback.t_us.tolist() == [5]
    assert np.isnan(Readback().at(np.array([1.0]))).all()


def test_pulses_lie_evenly_between_anchors() -> None:
    clock = PulseClock(1000.0)  # configured wrongly: the anchors say 2000 Hz
    clock.times_us(block_at(0, 100, Anchor(99, 1_000_000)), 0)

    times = clock.times_us(block_at(100, 100, Anchor(199, 1_050_000)), 0)

    np.testing.assert_allclose(times, [1_000_500, 1_025_000, 1_050_000], atol=600)


def test_pulses_behind_a_pause_are_not_spread_over_it() -> None:
    clock = PulseClock(1000.0)
    clock.times_us(block_at(0, 100, Anchor(99, 1_000_000)), 0)
    clock.times_us(block_at(100, 0, Anchor(99, 9_000_000)), 0)

    times = clock.times_us(block_at(100, 100, Anchor(199, 19_099_000)), 0)

    np.testing.assert_allclose(times, [19_000_000, 19_049_000, 19_099_000], atol=1001)


def test_a_frame_without_an_anchor_is_placed_by_the_time_it_was_made() -> None:
    times = PulseClock(1000.0).times_us(block_at(0, 101, Anchor(0, 0)), 700_000)

    np.testing.assert_allclose(times, [600_000, 650_000, 700_000])


@pytest.fixture
def spool(tmp_path: Path):
    with Spool(tmp_path / "work", "key") as made:
        yield made


def written(spool: Spool) -> h5py.File:
    """What the columns of a spool become."""
    for column in spool.columns.values():
        column.finish()
    file = h5py.File("memory", "w", driver="core", backing_store=False)
    write_columns(spool, file, {}, lambda _: None)
    return file


def test_a_loop_column_that_appears_later_is_filled_up(spool: Spool) -> None:
    table, frames = LoopTable(spool, "loop"), framer()
    together = LoopFrames(table.add)
    a, b, c = Column("a", "<f8", "V"), Column("b", "<i8", "us"), Column("c", "<f8", "")
    together.add(message(frames.samples(LOOP, {a: [1.0, 2.0]})))
    together.add(message(frames.samples(LOOP, {b: [7], c: [3.0]})))
    together.flush()

    with written(spool) as file:
        np.testing.assert_array_equal(file["loop/a"][()], [1, 2, np.nan])
        assert file["loop/b"][()].tolist() == [-1, -1, 7]
        assert file["loop/a"].attrs["units"] == "V"


@given(
    values=arrays(st.sampled_from(("<u8", "<i4", "<f8", "<f4", "|u1")), array_shapes(max_dims=2, max_side=40))
)
def test_a_chunk_is_what_the_filters_of_hdf5_make_of_it(values: np.ndarray) -> None:
    rows, shape = len(values) + 3, values.shape[1:]
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        made = file.create_dataset(
            "c", (rows, *shape), values.dtype, chunks=(rows, *shape), shuffle=True, compression="gzip"
        )
        made.id.write_direct_chunk((0,) * values.ndim, chunk(values, rows))

        assert made[: len(values)].tobytes() == values.tobytes()
        assert not made[len(values) :].any()


@pytest.mark.parametrize("kind", ["noise", "skewed", "runs", "constant", "rising"])
def test_every_kind_of_plane_comes_back(kind: str) -> None:
    rng, n = np.random.default_rng(1), 70_001
    values = {
        "noise": rng.integers(0, 2**32, n),
        "skewed": rng.geometric(0.3, n),
        "runs": np.repeat(rng.integers(0, 2**20, n // 50 + 1), 50)[:n],
        "constant": np.full(n, 77),
        "rising": np.cumsum(rng.integers(0, 200, n)),
    }[kind].astype("<u8")

    planes = np.frombuffer(zlib.decompress(chunk(values, n)), np.uint8).reshape(8, n)

    np.testing.assert_array_equal(planes.T.copy().view("<u8").ravel(), values)


@pytest.mark.parametrize(
    "content", [None, [], {}, {"devices": 3}, {"devices": {"x": None}}, {"devices": {"x": {"reading": "?"}}}]
)
def test_slow_frames_of_another_shape_are_passed_over(spool: Spool, content) -> None:
    table = SlowTable(spool, "devices", Histories(spool, "plots", 0))

    table.add(message(framer().document(SLOW, content)))

    assert spool.columns == {}


def test_a_stale_reading_is_taken_once(spool: Spool) -> None:
    table, frames = SlowTable(spool, "devices", Histories(spool, "plots", 0)), framer()
    for _ in range(3):
        entry = {"role": "vacuum", "reading": {"t_mono_s": 4.0, "pressure_pa": {"a": 1e-8}}}
        table.add(message(frames.document(SLOW, {"devices": {"v": entry}})))

    table.close()
    with written(spool) as file:
        assert file["devices/v/pressure_pa_a/value"][()].tolist() == [1e-8]
        assert file["devices/v/pressure_pa_a/value"].attrs["units"] == "Pa"
        assert file["plots/pressure_a_curve/elapsed_time"][()].tolist() == [4.0]


def test_mass_to_charge_of_a_known_flight() -> None:
    # 27 Da, one charge, 5 kV: v = sqrt(2 e U / m) = 189.04 km/s, 581.9 ns over 110 mm.
    mass = mass_to_charge_da(581_893.6, 0, 0, 5000.0, 0.0, voltage_mode=True, **FLIGHT)

    assert mass == pytest.approx(27.0, rel=1e-5)


def test_mass_to_charge_counts_the_pulse_in_voltage_mode_only() -> None:
    flight = {"tof_ps": 6e5, "x_um": 0, "y_um": 0, "v_dc_v": 5000.0, "v_p_v": 1000.0, **FLIGHT}

    assert mass_to_charge_da(**flight, voltage_mode=True) == pytest.approx(
        1.14 * mass_to_charge_da(**flight, voltage_mode=False)
    )


def test_mass_to_charge_is_unknown_before_t0_and_without_a_voltage() -> None:
    flight = FLIGHT | {"t0_ps": 38_000.0}

    mass = mass_to_charge_da(
        [30_000, 600_000, 600_000], 0, 0, [5e3, np.nan, 5e3], [1, 1, np.nan], voltage_mode=True, **flight
    )

    assert np.isnan(mass).all()


def test_the_generated_run_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = (np.concatenate([block.tof_ps for block in blocks(1.0)]) for _ in range(2))

    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("told", "kept"), [("a\0b", "a␀b"), ("half \ud800", "half ?"), ("Müller ☃", "Müller ☃")]
)
def test_no_text_of_a_person_keeps_a_run_from_its_file(tmp_path: Path, told: str, kept: str) -> None:
    with h5py.File(tmp_path / "one.h5", "w") as file:
        put(file, "note", told, by=told)
        assert (file["note"].asstr()[()], file["note"].attrs["by"]) == (kept, kept)


def test_a_run_finalises_whatever_its_notes_hold(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "20261120T204000Z-tip")
    store.create(info_of(store.folder, name="t\0p", end_reason="b\0d", notes=(Note(t_utc=0, text="a\0b"),)))

    finalise(store.folder)

    with h5py.File(store.nexus_path) as file:
        assert file["entry1/evapd/end_reason"].asstr()[()] == "b␀d"
        assert json.loads(file["entry1/evapd/notes"].asstr()[()])[0]["text"] == "a\0b"


def test_a_segment_that_lies_there_twice_counts_once(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "20261120T204000Z-tip")
    store.create(info_of(store.folder))
    record_acquire(store, 1.0)
    [segment] = segments(store.journal, "acquire")
    report = JournalReport()
    once = sum(1 for _ in read_journal(store.journal, "acquire"))

    shutil.copy(segment, segment.with_name("acquire-000002.evj"))

    assert sum(1 for _ in read_journal(store.journal, "acquire", report)) == once
    assert report.duplicates == once
