"""Frames that have left the ring are read again from the journals: the same bytes, or missing, never others."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.blocks import Column
from evapd.record.journal import catalogue as catalogue_module
from evapd.record.journal import segments
from evapd.record.journal.catalogue import BLOCK_ROW_BYTES
from evapd.record.journal.origins import Origins
from evapd.stream.frame import BEAT, EVENT, HITS, LOOP, STATE, Frame, Stamp
from support.stream_journal import Scribe, older_parts, parts
from support.stream_parts import make_hits

V_DC = Column("v_dc_v", "<f8", "V")


@pytest.fixture
def scribe(tmp_path: Path) -> Iterator[Scribe]:
    made = Scribe(tmp_path)
    yield made
    made.close()


def emit_hits(scribe: Scribe, count: int, n: int = 100) -> list[Frame]:
    return [scribe.emit(scribe.framer.hits(make_hits(n, seed))) for seed in range(count)]


def loop(scribe: Scribe, value: float = 4000.0) -> Frame:
    return scribe.guard_framer.samples(LOOP, {V_DC: [value]})


def test_frames_of_a_run_are_read_again_byte_for_byte(scribe):
    scribe.begin_run()
    frames = emit_hits(scribe, 100)
    scribe.settle()
    assert len(segments(scribe.journal.segment.parent, "acquire")) > 3
    assert parts(list(scribe.older(HITS, 0, 99))) == parts(frames)
    assert parts(list(scribe.older(HITS, 40, 42))) == parts(frames[40:43])


def test_they_are_read_again_after_the_run_and_beside_the_next_one(scribe):
    for _ in range(3):
        scribe.begin_run()
        emit_hits(scribe, 20)
        scribe.end_run()
    scribe.begin_run()
    emit_hits(scribe, 20)
    scribe.settle()
    assert older_parts(scribe.older, scribe.framer, HITS) == parts(scribe.published.frames[HITS])


def test_what_the_guard_said_is_stamped_again_to_the_same_bytes(scribe):
    scribe.guard_says(*[loop(scribe, v) for v in range(20)])
    scribe.begin_run()
    scribe.guard_says(*[loop(scribe, v) for v in range(20)])
    scribe.framer.segment = 3
    scribe.guard_says(*[loop(scribe, v) for v in range(20)])
    scribe.end_run()
    scribe.guard_says(*[loop(scribe, v) for v in range(20)])
    assert older_parts(scribe.older, scribe.framer, LOOP) == parts(scribe.published.frames[LOOP])


def test_events_of_both_processes_come_back_in_their_order(scribe):
    scribe.begin_run()
    for number in range(30):
        scribe.bus.event("test", "info", f"ours {number}")
        said = {"kind": "x", "what": f"theirs {number}"}
        scribe.guard_says(*[scribe.guard_framer.document(EVENT, said) for _ in range(number % 3)])
    scribe.settle()
    assert older_parts(scribe.older, scribe.framer, EVENT) == parts(scribe.published.frames[EVENT])


def test_between_runs_only_what_the_guard_wrote_can_be_read_again(scribe):
    scribe.bus.state({"run_state": "idle"})
    scribe.bus.event("test", "info", "ours")
    scribe.guard_says(scribe.guard_framer.document(EVENT, {"kind": "x", "what": "theirs"}))
    assert list(scribe.older(STATE, 0, 0)) == []
    assert [json.loads(frame.payload)["what"] for frame in scribe.older(EVENT, 0, 1)] == ["theirs"]


def test_a_beat_and_an_unknown_topic_are_nowhere(scribe):
    scribe.begin_run()
    scribe.bus.beat()
    assert list(scribe.older(BEAT, 0, 9)) == []
    assert list(scribe.older("nonsense", 0, 9)) == []


def test_a_growing_journal_is_read_up_to_what_is_whole(scribe):
    scribe.begin_run()
    frames = emit_hits(scribe, 5)
    scribe.settle()
    with scribe.journal.segment.open("ab") as file:  # a frame that is still being written
        file.write(b"EVJ1\x01\x01\x00\x00" + b"\x10\x00\x00\x00" * 3)
    assert parts(list(scribe.older(HITS, 0, 9))) == parts(frames)
    assert parts(list(scribe.older(HITS, 0, 9))) == parts(frames)


def test_frames_that_come_later_are_found_without_reading_the_rest_again(scribe, monkeypatch):
    scribe.begin_run(10_000_000)
    emit_hits(scribe, 200)
    scribe.settle()
    assert len(list(scribe.older(HITS, 0, 199))) == 200
    last = emit_hits(scribe, 1)
    scribe.settle()
    starts = []
    walk = catalogue_module.frame_places
    monkeypatch.setattr(
        catalogue_module, "frame_places", lambda path, start: starts.append(start) or walk(path, start)
    )
    assert parts(list(scribe.older(HITS, 200, 200))) == parts(last)
    assert starts[0] > 200_000


@given(where=st.floats(0, 1, exclude_max=True), cut=st.integers(1, 400), bits=st.integers(1, 255))
def test_a_damaged_place_is_missing_and_everything_else_is_right(tmp_path_factory, where, cut, bits):
    scribe = Scribe(tmp_path_factory.mktemp("damaged"))
    scribe.begin_run(10_000_000)
    frames = emit_hits(scribe, 12, n=30)
    path = scribe.journal.segment
    scribe.close()
    data = bytearray(path.read_bytes())
    at = int(where * len(data))
    data[at : at + cut] = bytes(byte ^ bits for byte in data[at : at + cut])
    path.write_bytes(data)
    found = parts(list(scribe.older(HITS, 0, 20)))
    assert all(one in parts(frames) for one in found)
    assert found == sorted(found, key=lambda one: json.loads(one[1])["seq"])
    assert len(found) >= 12 - 2 - cut // 700


def test_a_removed_segment_is_missing_also_in_the_middle_of_reading(scribe):
    scribe.begin_run()
    frames = emit_hits(scribe, 100)
    scribe.settle()
    reading = scribe.older(HITS, 0, 99)
    first = next(reading)
    for path in segments(scribe.journal.segment.parent, "acquire")[:-1]:
        path.unlink()
    rest = [first, *reading]
    assert 1 < len(rest) < 100
    assert all(one in parts(frames) for one in parts(rest))
    assert list(scribe.older(HITS, 0, 9)) == []


def test_a_file_that_cannot_be_read_is_told_and_only_its_frames_are_missing(scribe, caplog):
    scribe.begin_run()
    emit_hits(scribe, 50)
    scribe.settle()
    older = scribe.older
    assert len(list(older(HITS, 0, 49))) == 50
    path = segments(scribe.journal.segment.parent, "acquire")[0]
    path.unlink()
    path.mkdir()  # reading fails, whoever asks
    for _ in range(2):
        assert 0 < len(list(older(HITS, 0, 49))) < 50
    assert caplog.text.count(f"{path.name}: Is a directory") == 1


def test_frames_of_another_start_are_never_given(scribe, tmp_path):
    scribe.begin_run()
    emit_hits(scribe, 5)
    scribe.settle()
    scribe.end_run()
    other = Scribe(tmp_path / "other")
    other.framer.instance = "second-start"
    other.older._instance = "second-start"
    other.older.follow(scribe.folder / "runs" / "run-0" / "journal", "acquire")
    assert list(other.older(HITS, 0, 4)) == []
    other.close()


def test_the_account_stays_within_its_bound_and_still_finds_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue_module, "BLOCK_BYTES", 5_000)
    scribe = Scribe(tmp_path, max_blocks=40)
    scribe.begin_run()
    frames = emit_hits(scribe, 600)  # in more than 20 segments of 10 blocks
    scribe.settle()
    assert parts(list(scribe.older(HITS, 0, 599))) == parts(frames)
    assert scribe.older.blocks <= 40
    assert BLOCK_ROW_BYTES == 120
    scribe.close()


def test_an_account_that_is_full_of_segments_forgets_the_oldest(tmp_path):
    scribe = Scribe(tmp_path, max_blocks=3)
    scribe.begin_run()
    frames = emit_hits(scribe, 200)
    scribe.settle()
    found = parts(list(scribe.older(HITS, 0, 199)))
    assert 0 < len(found) < 200
    assert found == parts(frames)[-len(found) :]
    known = dict(scribe.older._catalogue._segments)
    scribe.older.tend()
    assert scribe.older._catalogue._segments == known, "what was forgotten is not read again and again"
    scribe.close()


def test_the_account_is_kept_up_to_date_without_being_asked(scribe):
    scribe.older.start()
    scribe.begin_run()
    emit_hits(scribe, 5)
    scribe.settle()
    scribe.older.stop()
    scribe.older.tend()
    assert scribe.older.blocks == 1


def test_what_is_still_on_its_way_to_the_disk_is_not_called_missing(scribe):
    folder = scribe.begin_run()
    frames = emit_hits(scribe, 5)
    scribe.settle()
    scribe.older.follow(folder, "acquire", waiting=lambda: True)
    *found, last = scribe.older(HITS, 0, 9)
    assert parts(found) == parts(frames)
    assert last is None
    scribe.older.follow(folder, "acquire", waiting=lambda: False)
    assert len(list(scribe.older(HITS, 0, 9))) == 5


def test_stretches_are_few_where_numbers_run_side_by_side():
    origins = Origins()
    for step in range(1000):
        origins.add(LOOP, Stamp("us", "run", 0, 5 + step), "them", 70 + step)
    assert len(origins) == 1
    [stretch] = origins.within(LOOP, 100, 109)
    assert (stretch.first, stretch.count, stretch.origin_first) == (100, 10, 165)


def test_the_oldest_stretches_are_forgotten_first():
    origins = Origins(max_stretches=10)
    for step in range(100):
        origins.add(EVENT, Stamp("us", "", 0, 2 * step), "them", step)
    assert len(origins) == 10
    assert [stretch.first for stretch in origins.within(EVENT, 0, 1000)] == list(range(180, 200, 2))


@given(st.lists(st.sampled_from(["next", "skip ours", "skip theirs", "run", "restart"]), max_size=60))
def test_every_number_is_led_back_to_its_origin(steps):
    origins, ours, theirs, run, guard, expected = Origins(), 0, 0, 0, 0, {}
    for step in steps:
        ours += step == "skip ours"
        theirs += step == "skip theirs"
        run += step == "run"
        guard, theirs = (guard + 1, 0) if step == "restart" else (guard, theirs)
        origins.add(LOOP, Stamp("us", f"run {run}", 0, ours), f"guard {guard}", theirs)
        expected[ours] = (f"guard {guard}", theirs, f"run {run}")
        ours, theirs = ours + 1, theirs + 1
    found = {
        stretch.first + k: (stretch.origin, stretch.origin_first + k, stretch.run)
        for stretch in origins.within(LOOP, 0, ours)
        for k in range(stretch.count)
    }
    assert found == expected


def test_no_file_stays_open(scribe):
    scribe.begin_run()
    emit_hits(scribe, 50)
    scribe.settle()
    before = len(list(Path("/proc/self/fd").iterdir()))
    reading = scribe.older(HITS, 0, 49)
    next(reading)
    reading.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
