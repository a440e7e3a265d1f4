"""Frames: what goes in comes out, and hostile bytes are never read as data."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.blocks import HIT_COLUMNS, TDC_COLUMNS, Column
from evapd.errors import FrameError
from evapd.stream.frame import BEAT, EVENT, HITS, LOOP, WORDS, Frame, Message, decode
from support.stream_parts import make_framer, make_hits, make_words


def read(frame: Frame) -> Message:
    topic, header, payload = (bytes(part) for part in frame.parts())
    return decode(topic, header, payload)


def hits_frame(**changes: Any) -> tuple[bytes, bytes, bytes]:
    """A frame of hits with header fields replaced, or removed where the change is ..."""
    frame = make_framer().hits(make_hits(5))
    header = json.loads(frame.header) | changes
    header = {key: value for key, value in header.items() if value is not ...}
    return b"hits.", json.dumps(header).encode(), bytes(frame.payload)


@given(st.integers(0, 3000), st.integers(0, 2**32))
def test_hits_come_back_as_they_went(n, seed):
    block = make_hits(n, seed)
    back = read(make_framer().hits(block)).hit_block()
    for column in HIT_COLUMNS:
        np.testing.assert_array_equal(getattr(back, column.name), getattr(block, column.name))
    assert (back.first_pulse, back.last_pulse, back.anchor, back.loss, back.calibration, back.inhibited_pulses) == (
        block.first_pulse, block.last_pulse, block.anchor, block.loss, block.calibration, block.inhibited_pulses
    )  # fmt: skip


@given(st.integers(0, 3000), st.integers(0, 2**32))
def test_words_come_back_as_they_went(n, seed):
    block = make_words(n, seed)
    back = read(make_framer().words(block)).tdc_block()
    for column in TDC_COLUMNS:
        np.testing.assert_array_equal(getattr(back, column.name), getattr(block, column.name))
    assert (back.first_pulse, back.last_pulse, back.bin_ps) == (
        block.first_pulse,
        block.last_pulse,
        block.bin_ps,
    )


@pytest.mark.parametrize("n", [0, 1, 3, 7, 8, 1001])
def test_every_column_begins_at_a_multiple_of_eight(n):
    header = json.loads(make_framer().hits(make_hits(n)).header)
    assert [entry["offset"] % 8 for entry in header["columns"]] == [0] * 6


def test_ten_thousand_hits_fit_the_largest_frame_of_the_high_water_marks():
    assert make_framer().hits(make_hits(10_000)).nbytes < 256 * 1024


def test_sequence_numbers_count_per_topic_from_zero():
    framer = make_framer()
    frames = [framer.hits(make_hits(1)), framer.document(EVENT, {}), framer.hits(make_hits(1))]
    assert [frame.seq for frame in frames] == [0, 0, 1]
    assert framer.next_seq()[HITS] == 2


def test_a_beat_tells_the_last_numbers_and_minus_one_before_the_first():
    framer = make_framer()
    framer.hits(make_hits(1))
    last = read(framer.beat()).document["last_seq"]
    assert (last[HITS], last[WORDS]) == (0, -1)
    assert BEAT not in last


def test_samples_carry_named_columns_with_units():
    message = read(make_framer().samples(LOOP, {Column("v_dc_v", "<f8", "V"): [4000.5, np.nan]}))
    np.testing.assert_array_equal(message.columns["v_dc_v"], [4000.5, np.nan])


def test_columns_of_different_lengths_are_refused_before_they_are_sent():
    with pytest.raises(FrameError, match="lengths"):
        make_framer().samples(LOOP, {Column("a", "<f8", ""): [1.0], Column("b", "<f8", ""): [1.0, 2.0]})


def test_nan_in_a_document_becomes_null():
    assert read(make_framer().document(EVENT, {"x": float("nan"), "n": np.int64(5)})).document == {
        "x": None,
        "n": 5,
    }


def test_a_frame_of_the_guard_keeps_where_it_came_from():
    original = read(make_framer("guard").document(EVENT, {"what": "x"}))
    framer = make_framer("acquire")
    framer.document(EVENT, {})
    again = read(framer.restamp(original))
    assert (again.instance, again.seq) == ("acquire", 1)
    assert again.header["origin"] == {"instance": "guard", "seq": 0}
    assert again.header["t_mono_us"] == original.header["t_mono_us"]


def test_columns_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        read(make_framer().hits(make_hits(1))).columns["x_um"][0] = 1


COLUMN = {"name": "pulse", "dtype": "<u4", "offset": 0, "unit": ""}


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2}, {"v": ...}, {"seq": -1}, {"seq": 1.0}, {"seq": True}, {"seq": 2**53}, {"seq": "0"}, {"seq": ...},
        {"n": -1}, {"n": 9}, {"n": 2**52}, {"n": None}, {"instance": 5}, {"instance": ...}, {"columns": 5},
        {"columns": [5]}, {"columns": [COLUMN | {"offset": -4}]}, {"columns": [COLUMN | {"offset": 2**52}]},
        {"columns": [COLUMN | {"dtype": "O"}]}, {"columns": [COLUMN | {"dtype": "i4,i4"}]},
        {"columns": [COLUMN | {"dtype": "V0"}]}, {"columns": [COLUMN | {"dtype": {"names": ["a"], "formats": ["O"]}}]},
        {"columns": [COLUMN | {"dtype": ">u4"}]}, {"columns": [COLUMN | {"dtype": 5}]}, {"columns": [{"name": "x"}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_does_not_fit_is_not_a_frame(changes):
    with pytest.raises(FrameError):
        decode(*hits_frame(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"anchor": ...}, {"anchor": 5}, {"anchor": [1]}, {"loss": "x"}, {"first_pulse": ...}, {"last_pulse": []},
     {"columns": []}, {"columns": [COLUMN]}, {"columns": [COLUMN | {"dtype": "<f4"}]}],
    ids=str,
)  # fmt: skip
def test_a_frame_without_a_blocks_header_does_not_become_a_block(changes):
    with pytest.raises(FrameError):
        decode(*hits_frame(**changes)).hit_block()


@pytest.mark.parametrize("bin_ps", [[1, 0], [1], "x", None, [1.5, 2]])
def test_words_with_an_impossible_bin_do_not_become_a_block(bin_ps):
    frame = make_framer().words(make_words(3))
    header = json.dumps(json.loads(frame.header) | {"bin_ps": bin_ps}).encode()
    with pytest.raises(FrameError):
        decode(b"words.", header, bytes(frame.payload)).tdc_block()


@given(st.binary(), st.binary(), st.binary())
def test_random_bytes_are_a_frame_error_and_nothing_else(topic, header, payload):
    with pytest.raises(FrameError):
        decode(topic, header, payload)


@given(st.data())
def test_a_damaged_header_is_a_frame_error_or_still_a_frame(data):
    topic, header, payload = hits_frame()
    damaged = bytearray(header)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(header) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(topic, bytes(damaged), payload).hit_block()
    except FrameError:
        return  # that is the law; any other exception fails the test
