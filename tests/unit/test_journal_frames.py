"""What is on disk is read back whole, or not at all."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import Column
from evapd.errors import FrameError, RecordError
from evapd.record.journal import JournalReport, read_journal, read_segment, segment_path
from evapd.record.journal.layout import HEAD, KIND_OF_TOPIC, MAGIC, RawFrame, pack_head, pack_next
from evapd.stream.frame import EVENT, SLOW, Frame, Framer

FRAMER = Framer("test", lambda: 1, lambda: 2)
COUNT = 6


def on_disk(frame: Frame) -> bytes:
    return b"".join(
        (
            pack_head(KIND_OF_TOPIC[frame.topic], frame.header, frame.payload),
            frame.header,
            bytes(frame.payload),
        )
    )


def some_frames(count: int = COUNT) -> list[bytes]:
    framer = Framer("one", lambda: 5, lambda: 6)
    return [
        on_disk(framer.document(EVENT, {"what": f"event {i}", "filler": "x" * (7 * i)})) for i in range(count)
    ]


FRAMES = some_frames()
ENDS = np.cumsum([len(frame) for frame in FRAMES])
WHOLE = b"".join(FRAMES)


def read(folder: Path, data: bytes) -> tuple[list[str], JournalReport]:
    path = segment_path(folder, "t", 1)
    path.write_bytes(data)
    report = JournalReport()
    return [message.document["what"] for message in read_segment(path, report)], report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal")


@given(cut=st.integers(0, len(WHOLE)))
def test_any_truncation_gives_every_whole_frame_and_nothing_else(folder: Path, cut: int) -> None:
    whole = int(np.searchsorted(ENDS, cut, side="right"))

    events, report = read(folder, WHOLE[:cut])

    assert events == [f"event {i}" for i in range(whole)]
    assert report.torn_bytes == cut - (ENDS[whole - 1] if whole else 0)
    assert report.damaged_bytes == 0


@given(at=st.integers(0, len(WHOLE) - 1), flip=st.integers(1, 255))
@settings(max_examples=300)
def test_a_flipped_byte_costs_its_own_frame_and_no_other(folder: Path, at: int, flip: int) -> None:
    data = bytearray(WHOLE)
    data[at] ^= flip
    hit = int(np.searchsorted(ENDS, at, side="right"))

    events, report = read(folder, bytes(data))

    assert events == [f"event {i}" for i in range(COUNT) if i != hit]
    assert report.damaged_bytes + report.torn_bytes == len(FRAMES[hit])


@given(start=st.integers(0, len(WHOLE) - 1), garbage=st.binary(max_size=400))
def test_garbage_written_over_a_stretch_never_becomes_data(folder: Path, start: int, garbage: bytes) -> None:
    data = WHOLE[:start] + garbage + WHOLE[start + len(garbage) :]

    events, _ = read(folder, data)

    assert set(events) <= {f"event {i}" for i in range(COUNT)}
    assert events == sorted(events)


@given(data=st.binary(max_size=600))
def test_garbage_alone_holds_no_frame(folder: Path, data: bytes) -> None:
    events, report = read(folder, MAGIC + data)

    assert events == []
    assert report.torn_bytes == len(data) + 4


def test_a_damaged_frame_shows_as_a_gap_of_its_topic(folder: Path) -> None:
    _, report = read(folder, FRAMES[0] + b"?" * len(FRAMES[1]) + FRAMES[2])

    assert report.gaps == {EVENT: 1}
    assert not report.whole
    assert "damaged" in report.problems[0]


def test_sequence_numbers_out_of_order_are_no_gap(folder: Path) -> None:
    events, report = read(folder, FRAMES[1] + FRAMES[0] + FRAMES[2])

    assert len(events) == 3
    assert report.whole


def test_a_length_beyond_the_file_does_not_hide_what_follows(folder: Path) -> None:
    lying = (
        MAGIC + bytes([1, 6, 0, 0]) + (100).to_bytes(4, "little") + (2**28).to_bytes(4, "little") + b"\0" * 4
    )

    events, report = read(folder, lying + WHOLE)

    assert len(events) == COUNT
    assert report.damaged_bytes == len(lying)


def test_a_whole_frame_of_another_version_is_counted_and_left_out(folder: Path) -> None:
    header = b'{"v":99,"seq":0,"columns":[]}'
    stranger = pack_head(6, header, b"") + header

    events, report = read(folder, stranger + WHOLE)

    assert len(events) == COUNT
    assert report.undecodable == 1


def test_links_between_segments_are_not_messages(folder: Path) -> None:
    events, report = read(folder, WHOLE + pack_next(Path("/elsewhere/t-000002.evj"), folder / "t-000001.evj"))

    assert len(events) == COUNT
    assert report.frames == COUNT + 1
    assert report.whole


def test_a_journal_is_read_in_order_of_its_numbers_and_a_missing_one_is_told(tmp_path: Path) -> None:
    for number, frame in zip((1, 2, 10), FRAMES, strict=False):
        segment_path(tmp_path, "t", number).write_bytes(frame)
    report = JournalReport()

    events = [message.document["what"] for message in read_journal(tmp_path, report=report)]

    assert events == ["event 0", "event 1", "event 2"]
    assert report.missing_segments == 7


def test_an_absent_or_empty_journal_is_empty(tmp_path: Path) -> None:
    segment_path(tmp_path, "t", 1).touch()

    assert list(read_journal(tmp_path)) == []
    assert list(read_journal(tmp_path / "absent")) == []


def test_columns_come_back_as_they_went_in(tmp_path: Path) -> None:
    frame = FRAMER.samples(
        "loop.", {Column("t", "<i8", "us"): [1, 2, 3], Column("v", "<f8", "V"): [0.5, 1, np.nan]}
    )
    segment_path(tmp_path, "t", 1).write_bytes(on_disk(frame))

    (message,) = read_journal(tmp_path)

    np.testing.assert_array_equal(message.columns["t"], [1, 2, 3])
    np.testing.assert_array_equal(message.columns["v"], [0.5, 1, np.nan])


def test_a_frame_whose_payload_contains_frames_is_one_frame(folder: Path) -> None:
    inner = WHOLE.decode("latin-1")
    outer = on_disk(Framer("o", lambda: 0, lambda: 0).document(SLOW, {"what": inner}))

    events, _ = read(folder, outer)

    assert events == [inner]


def test_the_head_is_as_the_protocol_page_says() -> None:
    head = pack_head(1, b"ab", b"c")

    assert HEAD.size == 20
    assert head[:16] == b"EVJ1" + bytes([1, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0])
    assert int.from_bytes(head[16:], "little") == zlib.crc32(head[4:16] + b"abc")


def test_a_next_frame_without_a_path_is_refused() -> None:
    with pytest.raises(FrameError):
        RawFrame(0, 255, b"", b"{}").next_path(Path("/x/t-000001.evj"))


def test_reading_says_which_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "t-000001.evj").mkdir()

    with pytest.raises(RecordError, match="t-000001"):
        list(read_journal(tmp_path))
