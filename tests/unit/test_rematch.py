"""Rematching: the same bytes however the work is divided, and for a run's own anode the hits that were recorded."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import Loss, TdcBlock
from evapd.errors import ConfigError, RecordError
from evapd.matching import Matcher, MatchSettings
from evapd.record.finalise import finalise
from evapd.record.hitsfile import read_hits
from evapd.record.journal.index import frame_places
from evapd.record.journal.segments import segments
from evapd.record.nxs import RunFile
from evapd.rematch import RematchResult, rematch
from support.anodes import quad
from support.recorded_words import frames_of, record_words, save_words
from support.signals import SignalModel, part_of, rows, simulate

STREAM = simulate(SignalModel(detection=0.3), 4000, 7).block
OTHER = quad(x={"time_sum_ps": 110_150})


def again(source: Path, out: Path, **options: object) -> RematchResult:
    anode = options.pop("anode", quad())
    return rematch(source, anode, out, **({"workers": 1, "force": True} | options))  # type: ignore[arg-type]


def hits_of(path: Path) -> list[tuple[int, ...]]:
    return [row for block in read_hits(path) for row in rows(block)]


def matched(block: TdcBlock) -> list[tuple[int, ...]]:
    matcher = Matcher(quad())
    return rows(matcher.match(block)) + rows(matcher.flush())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("unit", [16, 1000, 2**16])
def test_a_words_file_gives_the_hits_of_one_matcher_over_all_of_it(
    tmp_path: Path, compressed: bool, unit: int
) -> None:
    path = save_words(tmp_path / "w.npz", STREAM, compressed=compressed)
    result = again(path, tmp_path / "h.npz", unit_words=unit)
    assert hits_of(tmp_path / "h.npz") == matched(STREAM)
    assert result.hits == len(matched(STREAM))
    assert result.counters.words == STREAM.n == result.counters.used + result.counters.unused


WORDS = st.lists(
    st.tuples(
        st.integers(0, 12) | st.integers(0, 2**64 - 1),
        st.integers(0, 4) | st.integers(0, 255),
        st.integers(0, 40_000) | st.integers(-(2**31), 2**31 - 1),
    ),
    max_size=120,
)


def damaged(words: list[tuple[int, int, int]], keep_order: bool) -> TdcBlock:
    """Sound words with others among them that are unsorted, doubled, impossible, or from pulses far away."""
    sound = zip(
        STREAM.pulse[:150].tolist(), STREAM.channel[:150].tolist(), STREAM.time[:150].tolist(), strict=True
    )
    table = [*sound, *words]
    if keep_order:
        table.sort(key=lambda word: word[0])
    pulse, channel, time = zip(*table, strict=True)
    return TdcBlock(
        first_pulse=0,
        last_pulse=2**33,
        bin_ps=STREAM.bin_ps,
        pulse=np.array(pulse, "<u8"),
        channel=np.array(channel, "u1"),
        time=np.array(time, "<i4"),
    )


@settings(max_examples=30, deadline=None)
@given(
    words=WORDS,
    keep_order=st.booleans(),
    unit=st.integers(8, 100),
    sizes=st.lists(st.integers(30, 400), min_size=2, max_size=2),
)
def test_whatever_the_words_are_the_size_of_a_block_changes_no_byte(
    tmp_path_factory: pytest.TempPathFactory,
    words: list[tuple[int, int, int]],
    keep_order: bool,
    unit: int,
    sizes: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("r")
    block = damaged(words, keep_order)
    plain, packed = (
        save_words(folder / "w.npz", block),
        save_words(folder / "packed.npz", block, compressed=True),
    )
    results = []
    for name, source, size, workers in (
        ("a", plain, sizes[0], 1),
        ("b", plain, sizes[1], 1),
        ("c", packed, sizes[1], 2),
    ):
        results.append(
            again(source, folder / f"{name}.npz", unit_words=unit, block_words=size, workers=workers)
        )
    assert (
        (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes() == (folder / "c.npz").read_bytes()
    )
    assert results[0].counters == results[1].counters == results[2].counters
    counters = results[0].counters
    assert counters.words == block.n == counters.used + counters.unused + counters.damaged
    pulses = [row[0] for row in hits_of(folder / "a.npz")]
    assert pulses == sorted(pulses)


@pytest.mark.parametrize("suffix", [".npz", ".nxs"])
def test_processes_and_blocks_change_no_byte(tmp_path: Path, suffix: str) -> None:
    store, _ = record_words(tmp_path / "runs", frames_of(STREAM, 100), seconds=0.05)
    words = save_words(tmp_path / "w.npz", STREAM)
    for source in (store.folder, words):
        found = set()
        for workers, block_words in ((1, 500), (2, 900)):
            out = tmp_path / f"h{suffix}"
            again(source, out, unit_words=300, workers=workers, block_words=block_words)
            found.add(out.read_bytes())
        assert len(found) == 1


def test_a_run_with_its_own_anode_gives_the_recorded_hits(tmp_path: Path) -> None:
    store, recorded = record_words(tmp_path, frames_of(STREAM, 100))
    result = again(store.folder, tmp_path / "h.npz", anode=None, unit_words=500)
    assert hits_of(tmp_path / "h.npz") == rows(recorded)
    assert result.recorded_hits == result.hits == recorded.n


def test_a_nexus_file_with_the_runs_own_anode_is_what_finalising_writes(tmp_path: Path) -> None:
    lossy = [
        replace(frame, loss=Loss.WORDS_LOST) if k == 3 else frame
        for k, frame in enumerate(frames_of(STREAM, 100))
    ]
    store, _ = record_words(tmp_path, lossy, seconds=0.05)
    finalise(store.folder)
    again(store.folder, tmp_path / "again.nxs", anode=None, unit_words=500)
    with RunFile(store.nexus_path) as old, RunFile(tmp_path / "again.nxs") as new:
        for name in (
            "pulse",
            "tof_ps",
            "x_um",
            "y_um",
            "quality",
            "multiplicity",
            "v_dc_v",
            "v_p_v",
            "mass_to_charge_da",
        ):
            assert np.array_equal(
                getattr(old.hits(), name), getattr(new.hits(), name), equal_nan=name.startswith(("v_", "m"))
            )
        assert np.isfinite(new.hits().v_dc_v).all()
        assert old.losses() == new.losses()
        assert all(
            np.array_equal(a, b) for a, b in zip(old.pulses().values(), new.pulses().values(), strict=True)
        )
        assert old.histories().keys() == new.histories().keys()


def test_a_nexus_file_says_from_what_and_how_it_was_matched(tmp_path: Path) -> None:
    store, recorded = record_words(tmp_path, frames_of(STREAM, 100), seconds=0.05)
    result = again(store.folder, tmp_path / "again.nxs", anode=OTHER, settings=MatchSettings(risky=True))
    with RunFile(tmp_path / "again.nxs") as new:
        told = json.loads(new._text("rematch"))
        assert (new.info.calibration, new.info.anode) == (OTHER.calibration_id, OTHER.model_dump(mode="json"))
        assert new.n_hits == result.hits == told["counters"]["hits"] != recorded.n
    assert told["source"] == store.folder.name
    assert (told["calibration"], told["recorded_calibration"]) == (
        OTHER.calibration_id,
        quad().calibration_id,
    )
    assert (told["settings"]["risky"], told["risky_methods"]) == (True, ["three-signals"])
    assert told["evapd"]


def test_a_run_is_matched_with_its_own_settings_unless_others_are_given(tmp_path: Path) -> None:
    own = {"matching": {"full_sigma": 2.0, "risky": True, "of a later version": 1}}
    store, _ = record_words(tmp_path, frames_of(STREAM, 100), configuration=own)
    recorded = again(store.folder, tmp_path / "a.npz", anode=None)
    given = again(store.folder, tmp_path / "b.npz", settings=MatchSettings(full_sigma=2.0, risky=True))
    safe = again(store.folder, tmp_path / "c.npz", risky=False)
    default = again(store.folder, tmp_path / "d.npz", settings=MatchSettings())
    assert recorded.counters == given.counters
    assert [bool(made.risky_methods) for made in (recorded, safe, default)] == [True, False, False]
    assert safe.counters != default.counters


def test_settings_of_a_run_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    store, _ = record_words(tmp_path, frames_of(STREAM, 100), configuration={"matching": {"loss": 7}})
    with pytest.raises(RecordError, match=r"(?s)settings of the matching.*loss"):
        again(store.folder, tmp_path / "a.npz")


def test_hits_whose_recorded_frames_are_lost_are_kept_and_flagged(tmp_path: Path) -> None:
    store, recorded = record_words(tmp_path, frames_of(STREAM, 100), seconds=0.05)
    _lose_hits(store.journal, 20)
    again(store.folder, tmp_path / "again.nxs", anode=None)
    with RunFile(tmp_path / "again.nxs") as new:
        assert new.n_hits == recorded.n
        assert np.isfinite(new.hits().v_dc_v).all()
        assert np.all(np.diff(new.hits().pulse.astype(np.int64)) >= 0)
        assert new.losses()["lossy_blocks"] == 1


def _lose_hits(journal: Path, number: int) -> None:
    (path,) = segments(journal, "acquire")
    content = bytearray(path.read_bytes())
    lost = [place for place in frame_places(path) if place.kind == 1][number]
    content[lost.end - 1] ^= 1
    path.write_bytes(content)


def test_a_nexus_file_from_bare_words_says_what_words_do_not_know(tmp_path: Path) -> None:
    result = again(save_words(tmp_path / "w.npz", STREAM), tmp_path / "h.nxs", unit_words=1000)
    assert "mass-to-charge ratio" in result.left_out
    with RunFile(tmp_path / "h.nxs") as new:
        found = new.hits()
        assert found.pulse.tolist() == [row[0] for row in matched(STREAM)]
        assert np.isnan(found.v_dc_v).all()
        assert found.mass_to_charge_da is None
        assert new.losses()["pulses"] == 4000
        assert (new.events(), new.loop()) == ([], {})
        assert "start_time" not in new._file["entry1"]


def flood(words: int) -> TdcBlock:
    """A noise burst: one pulse with very many words, sound pulses around it."""
    rng = np.random.default_rng(3)
    before, after = part_of(STREAM, 0, 2000, 0, 0), part_of(STREAM, 2000, STREAM.n, 0, 0)
    at = int(before.pulse[-1])
    pulse = np.concatenate((before.pulse, np.full(words, at, "<u8"), after.pulse[after.pulse > at]))
    channel = np.concatenate((before.channel, rng.integers(0, 5, words), after.channel[after.pulse > at]))
    noise = np.sort(rng.integers(int(before.time[-1]), 10**6, words))
    time = np.concatenate((before.time, noise, after.time[after.pulse > at]))
    return TdcBlock(
        first_pulse=0,
        last_pulse=STREAM.last_pulse,
        bin_ps=STREAM.bin_ps,
        pulse=pulse,
        channel=channel.astype("u1"),
        time=time.astype("<i4"),
    )


@pytest.mark.parametrize("compressed", [False, True])
def test_a_pulse_with_a_million_words_is_matched_as_a_whole(tmp_path: Path, compressed: bool) -> None:
    block = flood(1_000_000)
    path = save_words(tmp_path / "w.npz", block, compressed=compressed)
    result = again(path, tmp_path / "h.npz", workers=2, block_words=5000, unit_words=10_000)
    assert hits_of(tmp_path / "h.npz") == matched(block)
    counters = result.counters
    assert counters.saturated_pulses == 1
    assert counters.words == block.n == counters.used + counters.unused + counters.damaged


def test_damage_is_counted_and_flagged_where_it_is(tmp_path: Path) -> None:
    frames = list(frames_of(STREAM, 100))
    hurt = frames[5].channel.copy()
    hurt[3] = 99
    frames[5] = replace(frames[5], channel=hurt)
    store, _ = record_words(tmp_path, frames, seconds=0.05)
    result = again(store.folder, tmp_path / "h.nxs")
    assert result.counters.damaged == 1
    with RunFile(tmp_path / "h.nxs") as new:
        loss = new._file["entry1/evapd/blocks/loss"][()]
        assert set(np.flatnonzero(loss).tolist()) <= {5, 6}
        assert loss[5] == Loss.DAMAGED


def test_a_damaged_frame_of_words_is_left_out_and_counted(tmp_path: Path) -> None:
    store, recorded = record_words(tmp_path, frames_of(STREAM, 100))
    (path,) = segments(store.journal, "acquire")
    content = bytearray(path.read_bytes())
    content[next(place for place in frame_places(path) if place.kind == 2).payload_offset] ^= 1
    path.write_bytes(content)
    result = again(store.folder, tmp_path / "h.npz")
    assert (result.reading.damaged, result.hits) < (2, recorded.n)
    assert hits_of(tmp_path / "h.npz") == [row for row in rows(recorded) if row[0] >= 100]


@pytest.mark.parametrize("column", ["pulse", "channel", "time"])
def test_a_flipped_bit_in_a_words_file_writes_nothing(tmp_path: Path, column: str) -> None:
    path = save_words(tmp_path / "w.npz", STREAM)
    content = bytearray(path.read_bytes())
    at = content.index(getattr(STREAM, column).tobytes()) + 40
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(RecordError, match=rf"checksum of '{column}' fails"):
        again(path, tmp_path / "h.npz", unit_words=1000, block_words=1)
    assert [found.name for found in tmp_path.iterdir()] == ["w.npz"]


def test_a_words_file_needs_an_anode(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--anode"):
        again(save_words(tmp_path / "w.npz", STREAM), tmp_path / "h.npz", anode=None)


def test_input_is_never_overwritten_not_even_by_force(tmp_path: Path) -> None:
    store, _ = record_words(tmp_path, frames_of(STREAM, 1000))
    words = save_words(tmp_path / "w.npz", STREAM)
    for source, out in (
        (words, words),
        (store.folder, store.nexus_path),
        (store.folder, store.journal / "h.npz"),
    ):
        with pytest.raises(RecordError, match="part of what is being read"):
            again(source, out)


def test_an_existing_file_is_kept_unless_forced_and_its_ending_must_be_known(tmp_path: Path) -> None:
    words = save_words(tmp_path / "w.npz", STREAM)
    (tmp_path / "h.npz").write_text("precious")
    with pytest.raises(RecordError, match="--force"):
        again(words, tmp_path / "h.npz", force=False)
    assert (tmp_path / "h.npz").read_text() == "precious"
    with pytest.raises(RecordError, match=r"\.npz or \.nxs"):
        again(words, tmp_path / "h.csv")


def test_progress_tells_shares_that_ascend_to_the_whole(tmp_path: Path) -> None:
    told: list[tuple[float, int, int]] = []
    words = save_words(tmp_path / "w.npz", STREAM)
    result = again(
        words, tmp_path / "h.npz", unit_words=500, block_words=1, progress=lambda *now: told.append(now)
    )
    assert told == sorted(told)
    assert told[-1] == (1.0, STREAM.n, result.hits)
    assert len(told) > 5


def test_another_bin_width_is_taken_from_the_file(tmp_path: Path) -> None:
    fine = replace(STREAM, bin_ps=Fraction(1), time=np.rint(STREAM.time * (5000 / 384)).astype("<i4"))
    again(save_words(tmp_path / "w.npz", fine), tmp_path / "h.npz")
    made, coarse = len(hits_of(tmp_path / "h.npz")), len(matched(STREAM))
    assert abs(made - coarse) < 0.02 * coarse


def test_a_source_without_words_gives_a_file_without_hits(tmp_path: Path) -> None:
    empty = save_words(tmp_path / "w.npz", part_of(STREAM, 0, 0, 0, 9))
    for name in ("h.npz", "h.nxs"):
        assert again(empty, tmp_path / name).hits == 0
    assert list(read_hits(tmp_path / "h.npz")) == []
