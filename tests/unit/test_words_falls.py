"""A pulse counter that falls: words before it keep their pulses, and nothing else passes for a fall."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import Loss, TdcBlock
from evapd.record.hitsfile import read_hits
from evapd.record.nxs import RunFile
from evapd.record.wordcuts import Cut, Pulses, cuts
from evapd.rematch import RematchResult, rematch
from support.anodes import quad
from support.recorded_words import save_words
from support.signals import SignalModel, rows, simulate

STREAM = simulate(SignalModel(detection=0.3), 4000, 7).block


def ascending(first: int, pulses: int, words: int = 5) -> Pulses:
    return np.repeat(np.arange(first, first + pulses, dtype="<u8"), words)


def cut(pulse: Pulses, unit: int = 5000) -> list[Cut]:
    return list(cuts(lambda a, b: pulse[a:b], len(pulse), int(pulse.min()), int(pulse.max()), unit))


def covered(pulse: Pulses, found: list[Cut], words: slice) -> np.ndarray:
    """Which of some words are in the pulses of their piece."""
    sound = np.concatenate([(c.first <= pulse[c.a : c.b]) & (pulse[c.a : c.b] <= c.last) for c in found])
    return sound[words]


@settings(max_examples=60, deadline=None)
@given(before=st.integers(1500, 9000), behind=st.integers(1500, 9000), low=st.integers(0, 1000))
def test_words_before_a_fall_keep_their_pulses_wherever_it_is(before: int, behind: int, low: int) -> None:
    pulse = np.concatenate((ascending(1000, before), ascending(low, behind)))
    found = cut(pulse)
    assert np.count_nonzero(~covered(pulse, found, slice(0, 5 * before))) < 64
    falls = [c for c in found if c.fall is not None]
    assert all(c.a == 5 * before == c.fall.place for c in falls)
    assert all(c.fall.last == 999 + before and low <= c.fall.then < low + 10 for c in falls)


def test_each_of_many_falls_is_found() -> None:
    parts = [ascending(10_000, 3000), ascending(8000, 600), ascending(4000, 600), ascending(0, 3000)]
    pulse = np.concatenate(parts)
    places = [c.fall.place for c in cut(pulse, 20_000) if c.fall]
    assert places == [15_000, 18_000, 21_000]


@pytest.mark.parametrize("wild", [0, 2**40])
def test_damaged_words_around_a_fall_do_not_hide_it(wild: int) -> None:
    pulse = np.concatenate((ascending(5000, 4000), ascending(0, 4000)))
    hurt = np.random.default_rng(1).choice(len(pulse), 4000, replace=False)
    before = np.setdiff1d(np.arange(20_000), hurt)
    pulse[hurt] = wild
    found = cut(pulse)
    assert np.count_nonzero(~covered(pulse, found, slice(0, 20_000))[before]) < 64
    assert len([c for c in found if c.fall]) == 1
    assert found[-1].first <= 9001


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    words=st.integers(0, 8000),
    at=st.integers(0, 4000),
    reach=st.sampled_from((3000, 10**6, 2**63)),
)
def test_garbage_among_sound_words_passes_for_no_fall(seed: int, words: int, at: int, reach: int) -> None:
    garbage = np.random.default_rng(seed).integers(0, reach, words).astype("<u8")
    pulse = np.concatenate((ascending(0, 2000), ascending(2000, at), garbage, ascending(2000 + at, 8000)))
    assert [c for c in cut(pulse) if c.fall] == []


@pytest.mark.parametrize(
    ("burst", "places"), [(100, range(8000, 13_000)), (700, range(8000, 13_000)), (3000, range(6000, 7000))]
)
def test_behind_a_burst_of_later_pulses_the_counter_did_not_fall(burst: int, places: range) -> None:
    late = np.arange(10**12, 10**12 + burst, dtype="<u8")
    for at in places[::101]:
        pulse = np.concatenate((ascending(0, at // 5), late, ascending(at // 5, 4000)))
        assert [c for c in cut(pulse) if c.fall] == []


def test_of_the_first_words_of_a_stream_and_what_follows_the_larger_part_is_believed() -> None:
    stale = np.concatenate((ascending(10**9, 400), ascending(0, 8000)))
    assert covered(stale, cut(stale), slice(2000, None)).all()
    sound = np.concatenate((ascending(10**9, 900), ascending(0, 8000)))
    assert covered(sound, cut(sound), slice(0, 4500)).all()


def fallen(first: int) -> TdcBlock:
    """The stream, and behind it all of it again, with pulses from `first` on."""
    begin = np.uint64(first)
    pulse = np.concatenate((STREAM.pulse + np.uint64(20_000), STREAM.pulse + begin))
    twice = {name: np.tile(getattr(STREAM, name), 2) for name in ("channel", "time")}
    return replace(
        STREAM, first_pulse=min(first, 20_000), last_pulse=max(24_000, first + 4000), pulse=pulse, **twice
    )


def again(folder: Path, block: TdcBlock, name: str = "h.npz", **options: object) -> RematchResult:
    given = {"workers": 1, "unit_words": 1000, "force": True} | options
    path = save_words(folder / "w.npz", block, compressed=bool(given.pop("compressed", False)))
    return rematch(path, quad(), folder / name, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("compressed", [False, True])
def test_hits_before_a_fall_are_those_of_a_stream_without_it(tmp_path: Path, compressed: bool) -> None:
    again(tmp_path, STREAM, "a.npz")
    result = again(tmp_path, fallen(100), "b.npz", compressed=compressed)
    whole, kept = (
        [row for block in read_hits(tmp_path / name) for row in rows(block)] for name in ("a.npz", "b.npz")
    )
    assert [(row[0] - 20_000, *row[1:]) for row in kept] == whole
    assert (result.reading.falls, result.counters.damaged) == (1, STREAM.n)
    assert result.as_dict()["first_fall"] == {"place": STREAM.n, "last": 23_999, "then": ANY}


def test_words_behind_a_fall_are_matched_again_from_where_the_pulses_are_new(tmp_path: Path) -> None:
    result = again(tmp_path, fallen(22_000))
    assert (result.reading.falls, result.counters.damaged) == (1, np.count_nonzero(STREAM.pulse < 2000))


def test_a_nexus_file_flags_the_fall(tmp_path: Path) -> None:
    again(tmp_path, fallen(100), "h.nxs")
    with RunFile(tmp_path / "h.nxs") as made:
        loss = made._file["entry1/evapd/blocks/loss"][()]
        assert '"counter_falls": 1' in made._text("rematch")
    assert np.count_nonzero(loss & Loss.COUNTER_JUMP) == 1
