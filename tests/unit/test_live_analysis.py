"""What displays are shown of the hits is what is in the hits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.config.live import Live, Projection
from evapd.live.arrays import packed_counts, unpacked
from evapd.live.legend import from_ranges
from evapd.mass import mass_to_charge_da
from evapd.spectrometry.projection import Projector
from evapd.spectrometry.ranges import Range
from evapd.stream.jsontext import from_json, to_json
from support.flown_hits import AL, FE2, flown
from support.kernels import warm_kernels
from support.live_bench import LiveBench, counts, hit_block

FLOWN = flown(30_000)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    warm_kernels()


def steady(v_dc_v: float = 3000.0, v_p_v: float = 600.0, **more: object) -> LiveBench:
    bench = LiveBench(**more)  # type: ignore[arg-type]
    bench.read(v_dc_v, v_p_v)
    return bench


@pytest.mark.parametrize("laser", [False, True], ids=["voltage", "laser"])
def test_peaks_stand_where_the_specimens_elements_are(laser: bool) -> None:
    bench = LiveBench(laser=laser)
    found = {peak["label"]: peak for peak in bench.fly(flown(20_000, laser=laser))["spectrum"]["peaks"]}
    for label, ion in (("27Al+ / 54Fe2+", AL), ("56Fe2+", FE2)):
        assert found[label]["mass_da"] == pytest.approx(ion.mass_da, abs=0.1)
        assert 200 < found[label]["m_dm50"] < 1500
        assert found[label]["m_dm10"] < found[label]["m_dm50"]


def test_every_analysed_hit_is_in_the_spectrum_or_told_to_be_outside() -> None:
    document = LiveBench().fly(FLOWN)
    spectrum = document["spectrum"]
    assert document["analysis"]["hits"] == document["analysis"]["analysed_hits"] == FLOWN.n
    assert counts(spectrum["run"]).sum() + spectrum["beyond"] + spectrum["without_mass"] == FLOWN.n


def test_masses_are_those_of_the_one_formula() -> None:
    bench, tof = steady(), np.linspace(60_000, 2_000_000, 500)
    x, y = np.linspace(-39_000, 39_000, 500).astype(int), np.linspace(0, 30_000, 500).astype(int)
    bench.offer(hit_block(tof, x, y))
    spectrum = bench.take()["spectrum"]
    mass = mass_to_charge_da(
        tof.astype(np.int32), x, y, 3000.0, 600.0, flight_path_mm=110.0, t0_ps=38_000.0, alpha=1.015, beta=0.7, voltage_mode=True
    )  # fmt: skip
    edges = (np.arange(4097) / 4096) ** 2 * 200.0
    assert (counts(spectrum["run"]) == np.histogram(mass, edges)[0]).all()


hits = st.lists(
    st.tuples(
        st.integers(-(2**31), 2**31 - 1), st.integers(-200_000, 200_000), st.integers(-200_000, 200_000),
        st.integers(0, 255), st.integers(0, 255), st.integers(0, 5),
    ),
    max_size=60,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(rows=hits, known=st.booleans())
def test_whatever_hits_come_all_sums_agree(rows: list[tuple[int, ...]], known: bool) -> None:
    bench = steady() if known else LiveBench()
    table = np.array(rows or np.empty((0, 6)), np.int64).reshape(-1, 6)
    tof, x, y, quality, multiplicity, step = table.T
    pulse = np.cumsum(step)
    last = int(pulse[-1]) if len(pulse) else 0
    bench.offer(
        hit_block(tof, x, y, quality=quality, multiplicity=multiplicity, pulse=pulse, last_pulse=last)
    )
    document, n = bench.take(), len(rows)
    spectrum, detector = document["spectrum"], document["map"]
    for which in ("recent", "run"):
        assert sum(document["multiplicity"][which]["hits"]) == n
        assert sum(document["multiplicity"][which]["pulses"]) == len(np.unique(pulse))
        assert sum(document["quality"][which].values()) == n
    assert counts(spectrum["run"]).sum() + spectrum["beyond"] + spectrum["without_mass"] == n
    assert counts(detector["run"]).sum() + detector["outside"] == n
    assert from_json(to_json(document))["analysis"]["hits"] == n


def test_the_map_shows_hits_where_they_are() -> None:
    bench = steady()
    bench.offer(hit_block(np.full(7, 500_000), 10_200, -30_100))
    detector = bench.take()["map"]
    row, column = np.argwhere(counts(detector["run"]) == 7)[0]
    cell_mm = 80.0 / 128
    assert abs((column + 0.5) * cell_mm - 40.0 - 10.2) <= cell_mm / 2
    assert abs((row + 0.5) * cell_mm - 40.0 + 30.1) <= cell_mm / 2
    assert detector["hot_spot"]["run"]["share"] == 1.0
    assert (detector["hot_spot"]["run"]["x_mm"], detector["hot_spot"]["run"]["y_mm"]) == pytest.approx(
        (10.2, -30.1), abs=cell_mm
    )


def test_what_is_recent_is_forgotten_and_the_run_is_not() -> None:
    bench = steady()
    bench.offer(hit_block(np.full(50, 500_000)))
    bench.take()
    for _ in range(60):
        bench.go(0.2)
        document = bench.take()
    assert document["analysis"]["recent_hits"] == 0
    assert counts(document["map"]["recent"]).sum() == 0
    assert counts(document["map"]["run"]).sum() == 50
    assert 9.0 <= document["analysis"]["recent_s"] <= 10.0


def test_a_new_run_begins_afresh() -> None:
    bench = steady()
    bench.offer(hit_block(np.full(50, 500_000)))
    bench.take()
    bench.tap.begin("run-2")
    bench.offer(hit_block(np.full(3, 500_000)))
    document = bench.take()
    assert (document["analysis"]["run"], document["analysis"]["analysed_hits"]) == ("run-2", 3)
    assert counts(document["map"]["run"]).sum() == counts(document["map"]["recent"]).sum() == 3


def test_a_change_of_voltage_within_a_block_moves_the_later_hits() -> None:
    bench = LiveBench()
    bench.v_dc.take([bench.now_s * 1e6 - 50_000, bench.now_s * 1e6], [3000.0, 3300.0])
    bench.v_p.take(bench.now_s * 1e6, 0.0)
    bench.offer(hit_block(np.full(2, 600_000), pulse=np.array([0, 9999]), last_pulse=9999))
    places = np.flatnonzero(counts(bench.take()["spectrum"]["run"]))
    assert (places[1] / places[0]) ** 2 == pytest.approx(3300 / 3000, rel=0.005)


def test_without_a_voltage_there_is_no_mass_and_no_point_but_a_map() -> None:
    bench = LiveBench()
    bench.offer(hit_block(np.full(5, 500_000)))
    document = bench.take()
    assert document["spectrum"]["without_mass"] == 5
    assert document["points"]["n"] == 0
    assert counts(document["map"]["run"]).sum() == 5


def test_a_flight_path_that_is_not_straight_has_a_map_and_no_masses() -> None:
    bench = steady(instrument=LiveBench().instrument.model_copy(update={"flight_path_kind": "reflectron"}))
    bench.offer(hit_block(np.full(5, 500_000)))
    document = bench.take()
    assert document["spectrum"] is document["points"] is None
    assert "not straight" in document["analysis"]["problem"]
    assert document["multiplicity"]["run"]["hits"][0] == 5


def test_points_stand_for_all_that_was_detected_and_go_as_deep_as_all_hits_would() -> None:
    bench, depths = steady(live=Live(points_per_s=500.0)), []
    for k in range(20):
        bench.read(3000.0, 600.0)
        bench.offer(hit_block(np.full(2000, 700_000), first_pulse=k * 40_000, last_pulse=k * 40_000 + 39_999))
        points = bench.take()["points"]
        assert points["n"] == 100
        assert points["n"] * points["ions_each"] == 2000
        depths += unpacked(points["xyz_nm"])[:, 2].tolist()
        bench.go(0.2)
    whole = Projector(Projection(), flight_path_mm=110.0, radius_mm=40.0)
    nothing = np.zeros(40_000)
    assert (np.diff(depths) > 0).all()
    assert depths[-1] == pytest.approx(
        whole.positions_nm(nothing, nothing, nothing + 3600.0)[-1, 2], rel=1e-4
    )


def test_points_are_labelled_as_a_preview_with_the_name_of_their_projection() -> None:
    bench = steady()
    bench.offer(hit_block(np.full(5, 700_000), 1000, 2000))
    points = bench.take()["points"]
    assert points["label"].startswith("preview")
    assert points["projection"] == {"name": "voltage-point-projection", **Projection().model_dump()}
    assert unpacked(points["xyz_nm"]).shape == (5, 3)


def test_charge_states_are_compared_with_counting_errors() -> None:
    document = LiveBench().fly(FLOWN)
    ratio = next(
        one for one in document["charge_states"]["run"] if one["ion"] == "Fe" and one["charges"] == [2, 1]
    )
    assert ratio["ratio"] == pytest.approx(4.0, abs=5 * ratio["error"])
    assert 0.02 < ratio["error"] / ratio["ratio"] < 0.1


def test_a_range_file_gives_names_colours_and_a_composition() -> None:
    ranges = (
        Range(26.8, 27.4, (("Al", 1),), "", "#123456"), Range(27.8, 28.4, (("Fe", 1),)), Range(55.6, 56.8, (("Fe", 1),)),
    )  # fmt: skip
    document = LiveBench(legend=from_ranges(ranges)).fly(FLOWN)
    assert document["ions"]["names"] == ["", "Al", "Fe"]
    assert document["ions"]["colours"][1] == "#123456"
    assert [each["label"] for each in document["ions"]["ranges"]] == ["Al+", "Fe2+", "Fe+"]
    shares = {one["element"]: one for one in document["composition"]["run"]["composition"]}
    assert shares["Al"]["fraction"] == pytest.approx(0.46 / 0.96, abs=5 * shares["Al"]["error"])
    assert {"Al+", "Fe2+", "Fe+"} <= {peak["label"] for peak in document["spectrum"]["peaks"]}


@pytest.mark.parametrize("window", [(2500, 4000), None], ids=["background window", "flat part"])
def test_the_uncorrelated_part_is_found_within_its_error(window: tuple[int, int] | None) -> None:
    instrument = LiveBench().instrument.model_copy(update={"background_window_ns": window})
    rng, bench = np.random.default_rng(2), steady(instrument=instrument)
    tof = np.concatenate((rng.normal(700_000, 2000, 9000), rng.uniform(60_000, 4_000_000, 2736)))
    bench.offer(hit_block(tof))
    told = bench.take()["uncorrelated"]["run"]
    seen = np.count_nonzero((tof >= 60e3) & (tof < 1500e3))
    true = np.count_nonzero((tof[9000:] >= 60e3) & (tof[9000:] < 1500e3)) / seen
    assert told["method"] == ("flat part" if window is None else "background window")
    assert told["fraction"] == pytest.approx(true, abs=4 * told["error"])
    assert 0.001 < told["error"] < 0.02


def test_a_document_keeps_within_its_bounds_when_counts_are_large() -> None:
    bench, rng = steady(live=Live(points_per_s=2500.0, hits_per_s=1e7)), np.random.default_rng(3)
    for k in range(8):
        tof, (x, y) = rng.integers(60_000, 2_000_000, 400_000), rng.integers(-40_000, 40_000, (2, 400_000))
        bench.offer(hit_block(tof, x, y))
        bench.offer(hit_block(np.full(80_000, 700_000), 0, 0))
        document = bench.take()
        bench.go(1.0 + k)
        bench.read(3000.0, 600.0)
    assert unpacked(document["map"]["run"]).dtype == np.uint32
    assert len(to_json(document)) < 250_000


@given(st.lists(st.integers(0, 2**40), max_size=20))
def test_counts_survive_the_way_into_json(values: list[int]) -> None:
    back = unpacked(from_json(to_json(packed_counts(np.array(values, np.int64)))))
    assert back.tolist() == [min(value, 2**32 - 1) for value in values]
    assert back.dtype.itemsize == (1 if max(values, default=0) < 256 else 2 if max(values) < 65536 else 4)


@pytest.mark.parametrize(
    "wrong", [{}, {"dtype": "|O8", "shape": [1], "data": "AAAAAAAAAAA="}, {"dtype": "<u4", "shape": [2], "data": "AAAAAA=="}]
)  # fmt: skip
def test_what_is_no_array_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpacked(wrong)
