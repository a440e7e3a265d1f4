"""The words of a run come from its journal: all that can be read, none that cannot, and the rest counted."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.blocks import Loss, TdcBlock
from evapd.errors import RecordError, StateError
from evapd.matching import Matcher
from evapd.record.journal.index import frame_places
from evapd.record.journal.reader import JournalReport, scan
from evapd.record.journal.segments import segments
from evapd.record.run import RunStore
from evapd.record.runwords import RunWords
from evapd.record.words import Reading, open_words
from support.anodes import quad
from support.recorded_runs import Recorder
from support.recorded_words import frames_of, record_words
from support.signals import SignalModel, part_of, rows, simulate

STREAM = simulate(SignalModel(detection=0.3), 2000, 7).block
FRAMES = list(frames_of(STREAM, 100))


def opened(folder: Path, max_words: int = 2**20) -> RunWords:
    words = open_words(folder, max_words=max_words)
    assert isinstance(words, RunWords)
    return words


def pulses_of(blocks: list[TdcBlock]) -> list[int]:
    return [int(pulse) for block in blocks for pulse in block.pulse]


def segment_of(store: RunStore) -> Path:
    (path,) = segments(store.journal, "acquire")
    return path


@pytest.mark.parametrize("max_words", [1, 9, 100, 2**20])
def test_every_recorded_word_comes_back_whatever_the_size_of_a_block(tmp_path: Path, max_words: int) -> None:
    store, _ = record_words(tmp_path, FRAMES)
    blocks = list(opened(store.folder, max_words).blocks())
    assert pulses_of(blocks) == STREAM.pulse.tolist()
    assert max(block.n for block in blocks) <= max_words


def test_a_run_says_what_it_was_recorded_with(tmp_path: Path) -> None:
    store, hits = record_words(tmp_path, FRAMES)
    words = opened(store.folder)
    assert (words.bin_ps, words.first_pulse, words.anode) == (Fraction(5000, 384), 0, quad())
    list(words.blocks())
    assert words.recorded_hits == hits.n


def test_a_run_that_does_not_say_its_anode_needs_one(tmp_path: Path) -> None:
    store, _ = record_words(tmp_path, FRAMES)
    store.update(anode={})
    with pytest.raises(RecordError, match="--anode"):
        _ = opened(store.folder).anode


def test_a_run_without_words_says_so_and_what_to_do(tmp_path: Path) -> None:
    store, _ = record_words(tmp_path, [], configuration={"record": {"raw_words": False}})
    with pytest.raises(StateError, match=r"recorded without words.*raw_words: true"):
        open_words(store.folder)


@pytest.mark.parametrize("state", ["running", "recovered"])
def test_a_run_under_way_and_a_recovered_one_can_be_read(tmp_path: Path, state: str) -> None:
    store, _ = record_words(tmp_path, FRAMES, state=state)
    assert pulses_of(list(opened(store.folder).blocks())) == STREAM.pulse.tolist()


def test_a_torn_tail_and_a_damaged_frame_are_left_out_and_counted(tmp_path: Path) -> None:
    store, _ = record_words(tmp_path, FRAMES)
    path = segment_of(store)
    places = [place for place in frame_places(path) if place.kind == 2]
    content = bytearray(path.read_bytes())
    content[places[3].payload_offset + 5] ^= 1
    path.write_bytes(content[: places[-1].end - 1])
    words = opened(store.folder)
    kept = [frame for frame in FRAMES if frame.n]
    assert pulses_of(list(words.blocks())) == pulses_of(kept[:3] + kept[4:-1])
    assert words.reading.damaged == 1


def test_frames_of_another_bin_width_are_refused(tmp_path: Path) -> None:
    store, _ = record_words(tmp_path, FRAMES)
    other = replace(FRAMES[0], bin_ps=Fraction(27), first_pulse=0)
    again = Recorder.at(store.journal, "acquire", store.folder.name)
    again.journal.append(again.framer.words(other))
    again.journal.close()
    with pytest.raises(RecordError, match="bin width changes"):
        list(opened(store.folder).blocks())


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_the_index_finds_the_frames_that_reading_finds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    store, _ = record_words(tmp_path_factory.mktemp("r"), FRAMES[:8])
    path = segment_of(store)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    whole = [frame.offset for frame in scan(path, JournalReport())]
    found = list(frame_places(path))
    assert set(whole) <= {place.offset for place in found}
    assert all(a.end <= b.offset for a, b in pairwise(found))


@pytest.mark.parametrize("unit", [1, 200, 1000, 2**20])
def test_pieces_matched_by_themselves_give_the_recorded_hits(tmp_path: Path, unit: int) -> None:
    store, recorded = record_words(tmp_path, FRAMES)
    made = []
    for piece in opened(store.folder).pieces(unit):
        matcher = Matcher(quad())
        blocks = [matcher.match(block) for block in piece.blocks(Reading())] + [matcher.flush()]
        assert not any(block.loss for block in blocks)
        made += [row for block in blocks for row in rows(block)]
        assert not piece.continues
    assert made == rows(recorded)


def test_frames_that_end_in_the_midst_of_a_pulse_are_cut_where_their_words_allow_it(tmp_path: Path) -> None:
    cuts = [0, 7, 8, 500, 502, 503, 900, STREAM.n]
    frames = []
    for a, b in pairwise(cuts):
        first = int(STREAM.pulse[a - 1]) if a else 0
        last = int(STREAM.pulse[b - 1]) if b < STREAM.n else STREAM.last_pulse
        frames.append(replace(part_of(STREAM, a, b, first, last), loss=Loss.NONE))
    store, recorded = record_words(tmp_path, frames)
    pieces = list(opened(store.folder).pieces(1))
    made, matcher = [], Matcher(quad())
    for piece in pieces:
        made += [row for block in piece.blocks(Reading()) for row in rows(matcher.match(block))]
        if not piece.continues:
            made += rows(matcher.flush())
    assert made == rows(recorded)
    assert any(not piece.continues for piece in pieces[:-1])


@settings(max_examples=40, deadline=None)
@given(
    ranges=st.lists(
        st.tuples(st.integers(0, 2**40) | st.integers(0, 50), st.integers(-3, 50)), min_size=1, max_size=12
    ),
    unit=st.integers(1, 30),
)
def test_frames_whose_counter_jumps_are_read_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, ranges: list[tuple[int, int]], unit: int
) -> None:
    part = part_of(STREAM, 0, 10, 0, 9)
    frames = [
        replace(part, first_pulse=a, last_pulse=max(0, a + n), pulse=part.pulse + np.uint64(a))
        for a, n in ranges
    ]
    store, _ = record_words(tmp_path_factory.mktemp("r"), frames)
    made, matcher = [], Matcher(quad())
    pieces = list(opened(store.folder).pieces(unit))
    for piece in pieces:
        made += [row for block in piece.blocks(Reading()) for row in rows(matcher.match(block))]
        if not piece.continues:
            made += rows(matcher.flush())
    pulses = [row[0] for row in made]
    assert pulses == sorted(pulses)
    assert sum(piece.words for piece in pieces) == 10 * len(frames)
