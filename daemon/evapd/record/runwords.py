"""The words of a run, from its journal: frames are found by their heads, and read where they are needed."""

import os
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from evapd.blocks import TDC_COLUMNS, TdcBlock
from evapd.errors import FrameError, RecordError, StateError
from evapd.record.journal.index import FramePlace, frame_places, read_place
from evapd.record.journal.layout import KIND_OF_TOPIC
from evapd.record.journal.segments import segments
from evapd.record.run import ACQUIRE_PREFIX, RunInfo, RunStore
from evapd.record.wordcuts import MAX_SPAN, Pulses, cuts
from evapd.record.words import Reading, WordSource
from evapd.stream.frame import HITS, WORDS, decode
from evapd.stream.jsontext import from_json

_WORDS, _HITS = KIND_OF_TOPIC[WORDS], KIND_OF_TOPIC[HITS]
_N = re.compile(rb'"n":(\d{1,15})[,}]')
_MAX_JUMP = (
    2**32 - 1
)  # pulses by which a counter may go on between two frames; beyond, the matcher discards the words


@dataclass(frozen=True, slots=True)
class WordFrame:
    """A frame of words by its header."""

    place: FramePlace
    n: int
    first_pulse: int
    last_pulse: int
    bin_ps: Fraction

    def pulse_of_word(self, index: int) -> int | None:
        """Read the pulse of the first word (0) or the last one (-1); None without words. The checksum is not compared."""
        if self.n == 0:
            return None
        try:
            described = {entry["name"]: entry for entry in from_json(self.place.header)["columns"]}
            offset = int(described["pulse"]["offset"]) + 8 * (index % self.n)
        except (KeyError, TypeError, ValueError):
            return None
        with self.place.path.open("rb") as file:
            data = os.pread(file.fileno(), 8, self.place.payload_offset + offset)
        return int.from_bytes(data, "little")

    def read(self, file: BinaryIO, reading: Reading) -> TdcBlock | None:
        """Read the words; None, and counted, when they are damaged."""
        payload = read_place(file, self.place)
        if payload is None:
            reading.damaged += 1
            return None
        try:
            return decode(WORDS.encode("ascii"), self.place.header, payload).tdc_block()
        except FrameError:
            reading.undecodable += 1
            return None


@dataclass(frozen=True, slots=True)
class FramesPiece:
    """Consecutive frames of words; `begin` is the first pulse that no piece before covers."""

    frames: tuple[WordFrame, ...]
    begin: int
    continues: bool

    @property
    def words(self) -> int:
        """Number of words, damaged frames included."""
        return sum(frame.n for frame in self.frames)

    def blocks(self, reading: Reading) -> Iterator[TdcBlock]:
        """Give the words; pulses between two frames had none, and are covered by blocks without words."""
        begin = self.begin
        for block in read_frames(self.frames, reading):
            sane = begin - 1 <= block.last_pulse < begin + _MAX_JUMP
            if sane and begin < block.first_pulse:
                yield _silence(begin, block.first_pulse - 1, block.bin_ps)
            elif begin == self.begin and begin != block.first_pulse:
                yield _silence(begin, begin - 1, block.bin_ps)  # the matcher learns where it begins
            yield block
            if sane:
                begin = block.last_pulse + 1


def read_frames(frames: Iterable[WordFrame], reading: Reading) -> Iterator[TdcBlock]:
    """Read frames in order, each segment opened once; unusable ones are counted.

    Raises:
        RecordError: when a segment cannot be read.
    """
    path: Path | None = None
    with ExitStack() as stack:
        try:
            for frame in frames:
                if frame.place.path != path:
                    stack.close()
                    path = frame.place.path
                    file = stack.enter_context(path.open("rb", buffering=0))
                block = frame.read(file, reading)
                if block is not None:
                    yield block
        except OSError as error:
            raise RecordError(
                f"journal {path}: {error.strerror}; check the disk and the file's permissions"
            ) from error


class RunWords(WordSource):
    """The words of a run folder.

    Attributes:
        recorded_hits: hits in the frames found so far, complete when `pieces` or `blocks` has ended.
        bytes_total: bytes of the journal when it was opened.
    """

    info: RunInfo

    def __init__(self, path: Path, max_words: int) -> None:
        """Look for the first words; use `open_words`.

        Raises:
            RecordError: when the folder is no run folder or cannot be read.
            StateError: when the run was recorded without words.
        """
        self.path, self._max_words, self.portable = path, max_words, True
        self.store = RunStore(path)
        self.info = self.store.load()
        self.recorded_hits, self.read_share = 0, 0.0
        found = segments(self.store.journal, ACQUIRE_PREFIX)
        self.bytes_total = sum(segment.stat().st_size for segment in found)
        self.reading = Reading()
        with closing(self._frames()) as frames:
            first = next(frames, None)
        if first is None:
            record = self.info.configuration.get("record")
            off = isinstance(record, dict) and record.get("raw_words") is False
            raise StateError(
                f"run {self.info.id} was recorded without words"
                + (" (record: raw_words: false)" if off else "")
                + ": its hits cannot be matched again. Set `record: {raw_words: true}` in the rig file for runs to come"
            )
        self.bin_ps, self.first_pulse = first.bin_ps, first.first_pulse
        self.last_pulse = self.n_words = None

    def blocks(self) -> Iterator[TdcBlock]:
        """Give the words in order; see `WordSource.blocks`."""
        self.reading = Reading()
        for block in read_frames(self._frames(), self.reading):
            if block.n <= self._max_words:
                yield block
                continue
            pulse, unit = block.pulse, max(1, self._max_words // 2)

            for cut in cuts(partial(_part, pulse), block.n, block.first_pulse, block.last_pulse, unit):
                rows = slice(cut.a, cut.b)
                yield replace(
                    block,
                    first_pulse=cut.first,
                    last_pulse=cut.last,
                    pulse=pulse[rows],
                    channel=block.channel[rows],
                    time=block.time[rows],
                    inhibited_pulses=block.inhibited_pulses if cut.b == block.n else 0,
                )

    def pieces(self, unit: int) -> Iterator[FramesPiece]:
        """Give the words in pieces of whole frames, of `unit` words or a little more; see `WordSource.pieces`."""
        self.reading = Reading()
        held: list[WordFrame] = []
        begin = covered = self.first_pulse  # first pulse of the piece, and the first that nobody covers
        words = 0
        for frame in self._frames():
            sane = covered - 1 <= frame.last_pulse < covered + _MAX_JUMP
            if held and (words >= unit or (sane and frame.last_pulse - begin >= MAX_SPAN)):
                fresh = _begins(held[-1], frame, covered) if sane else None
                if fresh is not None or words >= 2 * unit:
                    yield FramesPiece(tuple(held), begin, continues=fresh is None)
                    held, words, begin = [], 0, covered - 1 if fresh is None else fresh
            held.append(frame)
            words += frame.n
            if sane:
                covered = frame.last_pulse + 1
        if held:
            yield FramesPiece(tuple(held), begin, continues=False)

    def check(self, reading: Reading) -> None:
        """Nothing to compare: every frame has its own checksum, and those that fail are counted."""

    def _frames(self) -> Generator[WordFrame, None, None]:
        self.recorded_hits = before = 0
        for path in segments(self.store.journal, ACQUIRE_PREFIX):
            end = 0
            for place in frame_places(path):
                end = place.end
                self.read_share = min(1.0, (before + end) / self.bytes_total)
                if place.kind == _HITS:
                    self.recorded_hits += _hits_of(place)
                elif place.kind == _WORDS:
                    frame = _word_frame(place)
                    if frame is None:
                        self.reading.undecodable += 1
                    else:
                        self._check_bin(frame)
                        yield frame
            before += end

    def _check_bin(self, frame: WordFrame) -> None:
        bin_ps = getattr(self, "bin_ps", frame.bin_ps)
        if frame.bin_ps != bin_ps:
            raise RecordError(
                f"{frame.place.path}: the bin width changes from {bin_ps} to {frame.bin_ps} ps at pulse "
                f"{frame.first_pulse}: these words are of two TDCs, and cannot be matched together"
            )


def _word_frame(place: FramePlace) -> WordFrame | None:
    try:
        header = from_json(place.header)
        numerator, denominator = header["bin_ps"]
        n, first, last = (int(header[name]) for name in ("n", "first_pulse", "last_pulse"))
        return WordFrame(place, n, first, last, Fraction(numerator, denominator))
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None


def _hits_of(place: FramePlace) -> int:
    found = _N.search(
        place.header
    )  # every frame of the run comes by here: decoding it all would take as long again
    if found:
        return int(found[1])
    try:
        return int(from_json(place.header)["n"])
    except (KeyError, TypeError, ValueError):
        return 0


def _begins(before: WordFrame, frame: WordFrame, covered: int) -> int | None:
    """Give the pulse with which a piece may begin at a frame; None when the last pulse before it may go on in it."""
    if frame.first_pulse >= covered:
        return covered
    last, first = before.pulse_of_word(-1), frame.pulse_of_word(0)
    if before.last_pulse != covered - 1 or last is None or first is None or not last < first:
        return None
    return min(covered, first) if first >= covered - 1 else None


def _part(pulse: Pulses, a: int, b: int) -> Pulses:
    return pulse[a:b]


def _silence(first: int, last: int, bin_ps: Fraction) -> TdcBlock:
    """A block of pulses without words."""
    columns: dict[str, Any] = {column.name: np.empty(0, column.dtype) for column in TDC_COLUMNS}
    return TdcBlock(first_pulse=first, last_pulse=last, bin_ps=bin_ps, **columns)
