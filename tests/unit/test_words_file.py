"""Words files: every word comes back, in bounded memory, and every kind of damage is said plainly."""

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import TdcBlock
from evapd.errors import EvapdError, RecordError
from evapd.record.hitsfile import write_words
from evapd.record.words import open_words
from support.recorded_words import save_words
from support.signals import SignalModel, part_of, simulate

STREAM = simulate(SignalModel(detection=0.3), 2000, 7).block
EMPTY = part_of(STREAM, 0, 0, 5, 9)


def words_of(path: Path, max_words: int = 2**20) -> list[np.ndarray]:
    blocks = list(open_words(path, max_words=max_words).blocks())
    assert all(block.n <= max_words for block in blocks)
    return [
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("pulse", "channel", "time")
    ]


def same(found: list[np.ndarray], block: TdcBlock = STREAM) -> bool:
    return all(
        np.array_equal(a, b) for a, b in zip(found, (block.pulse, block.channel, block.time), strict=True)
    )


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("max_words", [1, 2, 7, 1000, 2**20])
def test_every_word_comes_back_whatever_the_size_of_a_block(
    tmp_path: Path, max_words: int, compressed: bool
) -> None:
    path = save_words(tmp_path / "w.npz", STREAM, compressed=compressed)
    assert same(words_of(path, max_words))


def test_a_words_file_says_what_it_covers(tmp_path: Path) -> None:
    words = open_words(save_words(tmp_path / "w.npz", STREAM))
    assert (words.bin_ps, words.first_pulse, words.last_pulse) == (Fraction(5000, 384), 0, 1999)
    assert (words.n_words, words.anode, words.info) == (STREAM.n, None, None)


def test_blocks_end_at_the_end_of_a_pulse_and_cover_the_pulses_without_gap(tmp_path: Path) -> None:
    blocks = list(open_words(save_words(tmp_path / "w.npz", STREAM), max_words=100).blocks())
    ends = [block.last_pulse for block in blocks]
    assert [block.first_pulse for block in blocks] == [0, *(end + 1 for end in ends[:-1])]
    assert ends[-1] == STREAM.last_pulse
    assert all(block.first_pulse <= block.pulse[0] <= block.pulse[-1] <= block.last_pulse for block in blocks)


def test_blocks_can_be_read_again_from_the_beginning(tmp_path: Path) -> None:
    words = open_words(save_words(tmp_path / "w.npz", STREAM), max_words=50)
    assert [b.n for b in words.blocks()] == [b.n for b in words.blocks()]


def test_what_write_words_writes_is_what_numpy_reads_and_what_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    cuts = [0, 10, 10, 500, STREAM.n]
    blocks = [part_of(STREAM, a, b, int(a > 0), 1999) for a, b in pairwise(cuts)]
    assert write_words(path, blocks) == STREAM.n
    with np.load(path) as found:
        assert {name: found[name].dtype.str for name in found.files} == {
            "pulse": "<u8", "channel": "|u1", "time": "<i4", "bin_ps": "<i8", "first_pulse": "<i8", "last_pulse": "<i8"
        }  # fmt: skip
        assert found["bin_ps"].tolist() == [625, 48]
    assert same(words_of(path))


@pytest.mark.parametrize("compressed", [False, True])
def test_columns_of_other_integer_types_are_taken_when_their_values_fit(
    tmp_path: Path, compressed: bool
) -> None:
    others = {
        "pulse": STREAM.pulse.astype(">i8"),
        "channel": STREAM.channel.astype("<i2"),
        "time": STREAM.time.astype(">i8"),
    }
    assert same(words_of(save_words(tmp_path / "w.npz", STREAM, compressed=compressed, **others), 999))


def test_a_range_that_is_not_told_is_taken_from_the_words(tmp_path: Path) -> None:
    words = open_words(save_words(tmp_path / "w.npz", STREAM, first_pulse=None, last_pulse=None))
    assert (words.first_pulse, words.last_pulse) == (STREAM.pulse[0], STREAM.pulse[-1])


@pytest.mark.parametrize(
    "told", [{}, {"first_pulse": None}, {"last_pulse": None}, {"first_pulse": 5, "last_pulse": 4}]
)
def test_a_file_without_words_gives_none(tmp_path: Path, told: dict[str, Any]) -> None:
    words = open_words(save_words(tmp_path / "w.npz", EMPTY, **told))
    assert (words.n_words, list(words.blocks())) == (0, [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pulse": None}, "no array 'pulse'"),
        ({"bin_ps": None}, "no array 'bin_ps'"),
        ({"channel": STREAM.channel[:-1]}, "different lengths"),
        ({"time": STREAM.time.astype(float)}, "float64"),
        ({"time": STREAM.time.reshape(1, -1)}, "shape"),
        ({"time": np.array(["1"] * STREAM.n)}, "column of whole numbers"),
        ({"bin_ps": [0, 384]}, "above zero"),
        ({"bin_ps": [-5000, 384]}, "above zero"),
        ({"bin_ps": [5000, 0]}, "above zero"),
        ({"bin_ps": [5000]}, "above zero"),
        ({"bin_ps": 13.02}, "whole numbers"),
        ({"first_pulse": 2000}, "lies behind"),
        ({"first_pulse": -1}, "first_pulse"),
        ({"last_pulse": [1, 2]}, "last_pulse"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_words_file_says_why(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        open_words(save_words(tmp_path / "w.npz", STREAM, **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channel": STREAM.channel.astype("<i4") + 300}, "'channel' holds 3.. in row 0"),
        ({"pulse": STREAM.pulse.astype("<i8") - 10**6}, "'pulse' holds -"),
        ({"time": STREAM.time.astype("<i8") + 2**31}, "'time' holds"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_row(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    words = open_words(save_words(tmp_path / "w.npz", STREAM, **changes))
    with pytest.raises(RecordError, match=said):
        list(words.blocks())


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    objects = np.array([{"evil": 1}] * STREAM.n, dtype=object)
    with pytest.raises(RecordError, match="column of whole numbers"):
        open_words(save_words(tmp_path / "w.npz", STREAM, pulse=objects))


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"PK\3\4" + bytes(100)])
def test_what_is_no_archive_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(RecordError, match=r"damaged or cut off"):
        open_words(tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("name", "said"),
    [("absent.npz", "does not exist"), ("run.nxs", "run folder"), ("folder", "run.json does not exist")],
)
def test_what_is_no_source_says_what_to_give_instead(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecordError, match=said):
        open_words(tmp_path / name)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), compressed=st.booleans())
def test_a_damaged_file_gives_an_error_of_ours_or_the_very_same_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, compressed: bool
) -> None:
    path = save_words(
        tmp_path_factory.mktemp("d") / "w.npz", part_of(STREAM, 0, 300, 0, 1999), compressed=compressed
    )
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        words = open_words(path)
        found = [
            np.concatenate(column)
            for column in zip(*((b.pulse, b.channel, b.time) for b in words.blocks()), strict=True)
        ]
        told = (words.bin_ps, words.first_pulse, words.last_pulse)
    except EvapdError:
        return
    # Bytes that carry nothing (times, attributes) may change unseen; words may not.
    assert same(found, part_of(STREAM, 0, 300, 0, 1999))
    assert told == (Fraction(5000, 384), 0, 1999)


@pytest.mark.parametrize("compressed", [False, True])
def test_memory_is_bounded_by_the_block_not_by_the_file(tmp_path: Path, compressed: bool) -> None:
    n = 1_000_000
    long = replace(
        STREAM,
        last_pulse=n,
        pulse=np.arange(n, dtype="<u8"),
        channel=np.zeros(n, "u1"),
        time=np.zeros(n, "<i4"),
    )
    path = save_words(tmp_path / "w.npz", long, compressed=compressed)
    tracemalloc.start()
    count = sum(block.n for block in open_words(path, max_words=10_000).blocks())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == n
    assert peak < 5_000_000  # the file's columns are 13 MB
