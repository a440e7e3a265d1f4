"""Recorded TDC words, wherever they are: one way to read a run's journal and a bare words file, in bounded memory."""

import abc
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from evapd.blocks import TdcBlock
from evapd.errors import RecordError
from evapd.matching.anode import Anode
from evapd.matching.settings import MatchSettings
from evapd.record.crc import joined_crc
from evapd.record.runinfo import RunInfo
from evapd.record.wordfalls import Fall

MAX_WORDS = 2**20


@dataclass(slots=True)
class Reading:
    """What reading found beside the words."""

    damaged: int = 0  # frames of words whose checksum fails
    undecodable: int = 0  # frames of words whose checksum holds, and that are no block of words
    falls: int = (
        0  # places where the pulse counter falls for good: behind them pulses come for the second time
    )
    first_fall: Fall | None = None  # its place counted from the first word of the source
    sums: dict[str, tuple[int, int]] = field(
        default_factory=dict
    )  # by column: CRC-32 and number of bytes read

    def add(self, other: "Reading") -> None:
        """Take into account what reading the words behind these found."""
        self.damaged += other.damaged
        self.undecodable += other.undecodable
        self.falls += other.falls
        self.first_fall = self.first_fall or other.first_fall
        for name, (crc, size) in other.sums.items():
            before, bytes_before = self.sums.get(name, (0, 0))
            self.sums[name] = joined_crc(before, crc, size), bytes_before + size


class Piece(Protocol):
    """Some consecutive words of a source that can be matched by themselves; small, so that it can be sent elsewhere.

    Where pieces begin and end follows from the recorded words alone. `continues` says that the last pulse goes on in
    the next piece: then both belong to one matcher.
    """

    @property
    def words(self) -> int:
        """Number of words, damaged frames included."""
        ...

    @property
    def continues(self) -> bool:
        """Whether the last pulse goes on in the next piece."""
        ...

    def blocks(self, reading: Reading) -> Iterator[TdcBlock]:
        """Give the words, the pulses between them covered without a gap."""
        ...


class WordSource(abc.ABC):
    """Recorded words, opened; it holds no file open between two readings.

    Attributes:
        path: the run folder or words file.
        bin_ps: width of a TDC bin in ps.
        first_pulse: first pulse covered.
        last_pulse: last pulse covered; None where only reading to the end would tell.
        n_words: number of words; None where only reading to the end would tell.
        info: what run.json says; None for a words file.
        reading: what the last reading found itself; pieces count for themselves.
        portable: pieces are descriptions of places on the disk, cheap to send to another process.
        read_share: the part of the source that `blocks` or `pieces` has come to, 0 to 1.
    """

    path: Path
    bin_ps: Fraction
    first_pulse: int
    last_pulse: int | None
    n_words: int | None
    info: RunInfo | None
    reading: Reading
    portable: bool
    read_share: float

    @property
    def anode(self) -> Anode | None:
        """The anode that the run was recorded with; None for a words file, which has none.

        Raises:
            RecordError: when the run does not say which anode it had.
        """
        if self.info is None:
            return None
        try:
            return Anode.model_validate(self.info.anode)
        except ValidationError:
            raise RecordError(
                f"run {self.info.id} does not say which anode it was recorded with; name an anode file with --anode"
            ) from None

    @property
    def matching(self) -> MatchSettings:
        """The settings that the run was matched with; the defaults for a words file, or where the run has none.

        Raises:
            RecordError: when the run has settings that cannot be used.
        """
        recorded = self.info.configuration.get("matching") if self.info is not None else None
        known = {
            name: value for name, value in (recorded or {}).items() if name in MatchSettings.model_fields
        }
        try:
            return MatchSettings.model_validate(known)
        except ValidationError as error:
            raise RecordError(
                f"{self.path}: the run's settings of the matching cannot be used: {error}"
            ) from None

    @abc.abstractmethod
    def blocks(self) -> Iterator[TdcBlock]:
        """Give the words in order, in blocks of at most `max_words`, every time from the beginning.

        Blocks end at the end of a pulse, but for a pulse that has more words than a block. They are as recorded:
        impossible and unsorted words are left in, the matching sets them aside.

        Raises:
            RecordError: when the source is damaged so that reading cannot go on.
        """

    @abc.abstractmethod
    def pieces(self, unit: int) -> Iterator[Piece]:
        """Give the words in pieces of about `unit` words that can be matched independently.

        Raises:
            RecordError: when the source is damaged so that reading cannot go on.
        """

    @abc.abstractmethod
    def check(self, reading: Reading) -> None:
        """Compare what reading all pieces found with what the source says of itself.

        Raises:
            RecordError: when bytes are damaged that nothing could be read without.
        """


def open_words(path: Path, *, max_words: int = MAX_WORDS) -> WordSource:
    """Open a run folder (finished, recovered or still under way) or a words file (`.npz`).

    Args:
        path: the folder or file.
        max_words: size of the largest block that `blocks()` gives.

    Raises:
        RecordError: when it is absent, damaged, or neither of the two.
        StateError: when the run was recorded without words.
    """
    from evapd.record.runwords import RunWords  # noqa: PLC0415 - both are kinds of what is defined here
    from evapd.record.wordsfile import FileWords  # noqa: PLC0415

    if max_words < 1:
        raise ValueError(f"a block needs room for at least one word, max_words is {max_words}")
    if path.is_dir():
        return RunWords(path, max_words)
    if path.suffix == ".nxs":
        raise RecordError(
            f"{path} is a finalised run, which holds hits; raw words are in the journal: give its run folder"
        )
    if not path.exists():
        raise RecordError(
            f"{path} does not exist; give a run folder (`evapd runs` lists them) or a words file (.npz)"
        )
    return FileWords(path, max_words)
