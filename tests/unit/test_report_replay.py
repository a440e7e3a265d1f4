"""The comparison of a replayed run with its source: one to one, and honest about what is missing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.errors import RecordError
from evapd.report.pairing import Hits, pair
from evapd.report.replay_check import RAW_HIT, check_replay, read_source, recorded_bin_ps, replay_note
from support.finished_runs import BLOCK_PULSES, finished_run, hit_block
from support.recorded_runs import v_dc_v

BIN_PS = 5000 / 384
FIRST_PULSE = 2_252_793
N = 3000


def some_hits(n: int, seed: int = 1, per_pulse: int = 3) -> Hits:
    rng = np.random.default_rng(seed)
    pulse = np.sort(rng.integers(0, max(1, n // per_pulse), n))
    return Hits(pulse, rng.uniform(1e5, 4e6, n), rng.uniform(-7e4, 7e4, n), rng.uniform(-7e4, 7e4, n))


def near(hits: Hits, seed: int = 2) -> Hits:
    rng = np.random.default_rng(seed)
    n = len(hits.pulse)
    return Hits(hits.pulse, *(np.round(c + rng.uniform(-5, 5, n)) for c in hits[1:]))


def write_raw(path: Path, hits: Hits, v_v: np.ndarray | float) -> Path:
    made = np.zeros(len(hits.pulse), RAW_HIT)
    made["pulse"], made["tof_ns"] = FIRST_PULSE + hits.pulse, hits.tof_ps / 1000
    made["x_mm"], made["y_mm"], made["u_base_v"] = hits.x_um / 1000, hits.y_um / 1000, v_v
    made.tofile(path)
    return path


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of 3000 hits in 100 000 pulses, and the file that was played."""
    folder = tmp_path_factory.mktemp("replay")
    hits = some_hits(N)
    hits = hits._replace(pulse=(hits.pulse - hits.pulse[0]) * 97)
    found = near(hits)
    made = []
    for number in range(int(hits.pulse[-1]) // BLOCK_PULSES + 1):
        of_block = found.pulse // BLOCK_PULSES == number
        columns = {name: getattr(found, name)[of_block].astype(int) for name in ("tof_ps", "x_um", "y_um")}
        made.append(hit_block(number, found.pulse[of_block] % BLOCK_PULSES, **columns))
    run = finished_run(folder / "runs", made)
    t_us = 5_000_000_000 + hits.pulse * 5.0
    return run, write_raw(folder / "played.raw", hits, v_dc_v(t_us))


def changed(source: Path, path: Path, change) -> Path:
    change(read_source(source)).tofile(path)
    return path


def test_a_faithful_replay_matches_every_hit(replayed: tuple[Path, Path]) -> None:
    run, source = replayed

    check = check_replay(run, source, bin_ps=BIN_PS)

    assert (check.matched, check.unmatched, check.extra) == (N, 0, 0)
    assert check.tof.largest <= 6.0
    assert check.v_dc.largest < 0.1
    assert check.good, "\n".join(check.lines())


def test_hits_of_the_source_that_were_not_recorded_are_counted(replayed, tmp_path: Path) -> None:
    run, source = replayed

    def add(hits: np.ndarray) -> np.ndarray:
        more = hits[100:110].copy()
        more["x_mm"] += 5.0
        return np.sort(np.concatenate((hits, more)), order="pulse")

    check = check_replay(run, changed(source, tmp_path / "more.raw", add), bin_ps=BIN_PS)

    assert (check.matched, check.unmatched, check.extra, check.not_played) == (N, 10, 0, 0)
    assert not check.good


def test_recorded_hits_that_the_source_does_not_have_are_counted(replayed, tmp_path: Path) -> None:
    run, source = replayed

    check = check_replay(run, changed(source, tmp_path / "less.raw", lambda hits: hits[:-7]), bin_ps=BIN_PS)

    assert (check.matched, check.unmatched, check.extra) == (N - 7, 0, 7)
    assert not check.good


def test_a_run_that_ended_early_says_what_was_not_played(replayed, tmp_path: Path) -> None:
    run, source = replayed

    def add(hits: np.ndarray) -> np.ndarray:
        more = hits[-5:].copy()
        more["pulse"] += 500_000
        return np.concatenate((hits, more))

    check = check_replay(run, changed(source, tmp_path / "longer.raw", add), bin_ps=BIN_PS)

    assert (check.unmatched, check.not_played) == (5, 5)
    assert any("not played" in line for line in check.lines())


def test_a_time_of_flight_off_by_two_bins_does_not_match(replayed, tmp_path: Path) -> None:
    run, source = replayed

    def shift(hits: np.ndarray) -> np.ndarray:
        hits["tof_ns"] += 2.5 * BIN_PS / 1000
        return hits

    check = check_replay(run, changed(source, tmp_path / "late.raw", shift), bin_ps=BIN_PS)

    assert (check.matched, check.good) == (0, False)
    assert any("nothing to compare" in line for line in check.lines())


def test_a_voltage_off_by_more_than_two_volts_is_not_good(replayed, tmp_path: Path) -> None:
    run, source = replayed

    def shift(hits: np.ndarray) -> np.ndarray:
        hits["u_base_v"][50] += 2.5
        return hits

    check = check_replay(run, changed(source, tmp_path / "volts.raw", shift), bin_ps=BIN_PS)

    assert (check.matched, check.good) == (N, False)
    assert check.v_dc.p50 < 0.1 < check.v_dc.largest


def test_a_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.raw").write_bytes(bytes(33))

    with pytest.raises(RecordError, match="whole number of hits"):
        read_source(tmp_path / "odd.raw")


def test_a_run_without_words_asks_for_the_bin_width(replayed: tuple[Path, Path]) -> None:
    with pytest.raises(RecordError, match="must be given"):
        recorded_bin_ps(replayed[0])


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"path": 3, "generated": true}'])
def test_a_note_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "note.json").write_text(text)

    with pytest.raises(RecordError, match="does not say"):
        replay_note(tmp_path / "note.json")


def test_every_number_of_the_comparison_is_json_or_null(replayed: tuple[Path, Path]) -> None:
    plain = check_replay(*replayed, bin_ps=BIN_PS).as_dict()

    assert plain["good"] is True
    assert plain["tof"]["unit"] == "ps"


@given(st.integers(0, 200), st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_hits_within_tolerance_are_all_paired_with_themselves(n: int, per_pulse: int, seed: int) -> None:
    a = some_hits(n, seed, per_pulse)
    mixed = np.random.default_rng(seed).permutation(n)
    b = Hits(*(column[mixed] for column in near(a)))

    i, j = pair(a, b, 13.0, 10.0)

    assert len(i) == n
    np.testing.assert_array_equal(mixed[j], i)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 20)), max_size=30),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 20)), max_size=30),
)
@settings(deadline=None)
def test_pairs_keep_to_tolerance_and_pulse_and_use_no_hit_twice(left, right) -> None:
    a, b = (
        Hits(*(np.array([row[k] for row in rows], dtype) for k, dtype in ((0, np.int64), (1, float), (2, float), (2, float))))
        for rows in (left, right)
    )  # fmt: skip

    i, j = pair(a, b, 5.0, 4.0)

    assert len(set(i.tolist())) == len(i)
    assert len(set(j.tolist())) == len(j)
    np.testing.assert_array_equal(a.pulse[i], b.pulse[j])
    assert np.all(np.abs(a.tof_ps[i] - b.tof_ps[j]) <= 5.0)
    rest = [
        (p, q)
        for p in range(len(left))
        if p not in set(i.tolist())
        for q in range(len(right))
        if q not in set(j.tolist())
    ]
    assert not any(
        a.pulse[p] == b.pulse[q] and abs(a.tof_ps[p] - b.tof_ps[q]) <= 5 and abs(a.x_um[p] - b.x_um[q]) <= 4
        for p, q in rest
    ), "a pair that fits was left over"
