"""Words files: `.npz` with `pulse`, `channel`, `time`, `bin_ps` and the range of pulses; read in bounded memory."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from evapd.blocks import TDC_COLUMNS, Loss, TdcBlock
from evapd.errors import RecordError
from evapd.record.crc import joined_crc
from evapd.record.npzcolumns import NpzFile, NpzTable, StoredColumn, told
from evapd.record.wordcuts import FAR, Cut, Pulses, cuts
from evapd.record.words import Piece, Reading, WordSource

_COLUMNS = [(column.name, column.dtype) for column in TDC_COLUMNS]
_SCAN_ROWS = 1 << 20


@dataclass(frozen=True, slots=True)
class ArrayPiece:
    """Words of a compressed file, as arrays."""

    block: TdcBlock
    continues: bool

    @property
    def words(self) -> int:
        """Number of words."""
        return self.block.n

    def blocks(self, reading: Reading) -> Iterator[TdcBlock]:  # noqa: ARG002 - these words were checked on reading
        """Give the words."""
        yield self.block


@dataclass(frozen=True, slots=True)
class SlicePiece:
    """Rows of an uncompressed file, which anyone can read."""

    path: Path
    columns: tuple[StoredColumn, ...]
    cut: Cut
    bin_ps: Fraction

    @property
    def words(self) -> int:
        """Number of words."""
        return self.cut.b - self.cut.a

    @property
    def continues(self) -> bool:
        """Whether the last pulse goes on in the next piece."""
        return self.cut.continues

    def blocks(self, reading: Reading) -> Iterator[TdcBlock]:
        """Give the words; the sums of the columns' bytes go on in `reading`."""
        values: dict[str, Any] = {}
        with told(self.path, "its words"), self.path.open("rb") as file:
            for column in self.columns:
                data = column.read(file.fileno(), self.cut.a, self.cut.b)
                crc, size = reading.sums.get(column.name, (0, 0))
                reading.sums[column.name] = zlib.crc32(data, crc), size + len(data)
                values[column.name] = np.frombuffer(data, column.dtype)
        yield _block(self.cut, self.bin_ps, **values)


class FileWords(WordSource):
    """A words file."""

    def __init__(self, path: Path, max_words: int) -> None:
        """Read what the file says about itself; use `open_words`.

        Raises:
            RecordError: when it is damaged, or not a words file.
        """
        self.path, self.info, self._max_words = path, None, max_words
        self.reading, self.read_share = Reading(), 0.0
        with NpzFile(path) as file:
            with NpzTable(file, _COLUMNS) as table:
                self.bin_ps = _bin_ps(file)
                self.n_words = table.rows
                first, last = _range(table, _pulse(file, "first_pulse"), _pulse(file, "last_pulse"))
            stored = [file.stored(name, dtype) for name, dtype in _COLUMNS]
        self._stored = tuple(column for column in stored if column is not None)
        self.portable = len(self._stored) == len(_COLUMNS)
        if first > last + (self.n_words == 0):
            raise RecordError(
                f"{path}: first_pulse {first} lies behind last_pulse {last}; write the file anew with the right range"
            )
        self.first_pulse, self.last_pulse = first, last

    def blocks(self) -> Iterator[TdcBlock]:
        """Give the words in order; see `WordSource.blocks`."""
        self.reading = Reading()
        for piece in self._in_order(max(1, self._max_words // 2)):
            yield piece.block

    def pieces(self, unit: int) -> Iterator[Piece]:
        """Give the words in pieces of `unit` to 2 `unit` - 1 words; see `WordSource.pieces`."""
        self.reading = Reading()
        return self._by_place(unit) if self.portable else self._in_order(unit)

    def check(self, reading: Reading) -> None:
        """Compare the checksums of the columns with those of the archive; see `WordSource.check`."""
        for column in self._stored if self.portable else ():
            crc, size = reading.sums.get(column.name, (0, 0))
            if joined_crc(column.head_crc, crc, size) != column.crc:
                raise RecordError(
                    f"{self.path}: the checksum of {column.name!r} fails: the file is damaged, copy or write it anew"
                )

    def _by_place(self, unit: int) -> Iterator[SlicePiece]:
        assert self.n_words is not None  # noqa: S101 - set when the file was opened
        assert self.last_pulse is not None  # noqa: S101 - likewise
        with told(self.path, "its words"), self.path.open("rb") as file:

            def pulses(a: int, b: int) -> Pulses:
                return np.frombuffer(self._stored[0].read(file.fileno(), a, b), "<u8")

            for cut in cuts(pulses, self.n_words, self.first_pulse, self.last_pulse, unit):
                self._note(cut)
                yield SlicePiece(self.path, self._stored, cut, self.bin_ps)

    def _in_order(self, unit: int) -> Iterator[ArrayPiece]:
        assert self.n_words is not None  # noqa: S101 - set when the file was opened
        assert self.last_pulse is not None  # noqa: S101 - likewise
        with NpzFile(self.path) as file, NpzTable(file, _COLUMNS) as table:
            if table.rows != self.n_words:
                raise RecordError(
                    f"{self.path} changed while it was being read; start again when it is complete"
                )

            def pulses(a: int, b: int) -> Pulses:
                return table.read(a, b)[0]

            for cut in cuts(pulses, self.n_words, self.first_pulse, self.last_pulse, unit):
                self._note(cut)
                values = dict(zip([name for name, _ in _COLUMNS], table.read(cut.a, cut.b), strict=True))
                yield ArrayPiece(_block(cut, self.bin_ps, **values), cut.continues)
                table.release(cut.b - FAR)

    def _note(self, cut: Cut) -> None:
        assert self.n_words is not None  # noqa: S101 - set when the file was opened
        self.read_share = cut.b / self.n_words
        if cut.fall is not None:
            self.reading.add(Reading(falls=1, first_fall=cut.fall))


def _block(cut: Cut, bin_ps: Fraction, **values: Any) -> TdcBlock:
    loss = Loss.NONE if cut.fall is None else Loss.COUNTER_JUMP
    return TdcBlock(first_pulse=cut.first, last_pulse=cut.last, bin_ps=bin_ps, loss=loss, **values)


def _range(table: NpzTable, first: int | None, last: int | None) -> tuple[int, int]:
    """First and last pulse; what the file does not say is taken from its words."""
    if first is not None and last is not None:
        return first, last
    if table.rows == 0:
        begin = first if first is not None else 0 if last is None else last + 1
        return begin, begin - 1 if last is None else last
    low, high = 2**64, -1
    for a in range(0, table.rows, _SCAN_ROWS):
        pulse = table.read(a, a + _SCAN_ROWS)[0]
        table.release(a + _SCAN_ROWS)
        low, high = min(low, int(pulse.min())), max(high, int(pulse.max()))
    return low if first is None else first, high if last is None else last


def _bin_ps(file: NpzFile) -> Fraction:
    numbers = file.integers("bin_ps")
    if len(numbers) != 2 or min(numbers) <= 0:
        said = ", ".join(map(str, numbers))
        raise RecordError(
            f"{file.path}: bin_ps is [{said}]; it is two whole numbers above zero, numerator and denominator of the bin in ps"
        )
    return Fraction(*numbers)


def _pulse(file: NpzFile, name: str) -> int | None:
    if name not in file.names:
        return None
    numbers = file.integers(name)
    # A file without words may end at the pulse before its first one.
    if len(numbers) != 1 or numbers[0] < -(name == "last_pulse"):
        said = ", ".join(map(str, numbers))
        raise RecordError(f"{file.path}: {name} is [{said}]; it is one pulse number, counted from 0")
    return numbers[0]
