"""Recorded words matched again: from a run or a words file to a file of hits, in parallel and in bounded memory.

The words are cut into pieces at places that follow from the recorded words alone, so the hits, and the bytes of the
file, are the same whatever the size of a block and the number of workers.
"""

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evapd.errors import ConfigError, RecordError
from evapd.matching import Anode, MatchCounters, MatchSettings
from evapd.record.hitsfile import write_hits
from evapd.record.newfile import refuse_existing
from evapd.record.runwords import RunWords
from evapd.record.words import Reading, WordSource, open_words
from evapd.rematch.work import Progress, Work, as_plain, lost_frames

BLOCK_WORDS = 2**20
_BYTES_PER_WORD = 13
_WORTH_A_WORKER = 2**24  # words: half a second of matching, about what the start of a process takes
UNIT_WORDS = 2**16  # of a piece: part of what the result is, therefore not to be chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class RematchResult:
    """What a rematch made, and of what."""

    out: Path
    calibration: str
    counters: MatchCounters
    reading: Reading  # frames of words that could not be used
    recorded_hits: int | None  # that the run holds; None for a words file
    workers: int
    seconds: float
    risky_methods: tuple[str, ...] = ()  # whose hits nothing checks
    left_out: tuple[str, ...] = ()  # what the file cannot hold, because its source does not say

    @property
    def hits(self) -> int:
        """Number of hits made."""
        return self.counters.hits

    def as_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "out": str(self.out),
            "calibration": self.calibration,
            "hits": self.hits,
            "recorded_hits": self.recorded_hits,
            "counters": as_plain(self.counters),
            "lost_frames": lost_frames(self.reading),
            "counter_falls": self.reading.falls,
            "first_fall": self.reading.first_fall and self.reading.first_fall._asdict(),
            "workers": self.workers,
            "seconds": round(self.seconds, 3),
            "words_per_s": round(self.counters.words / self.seconds),
            "hits_per_s": round(self.hits / self.seconds),
            "risky_methods": list(self.risky_methods),
            "left_out": list(self.left_out),
        }


def rematch(
    source: Path | WordSource,
    anode: Anode | None,
    out: Path,
    *,
    workers: int | None = None,
    block_words: int = BLOCK_WORDS,
    settings: MatchSettings | None = None,
    risky: bool | None = None,
    force: bool = False,
    progress: Progress | None = None,
    unit_words: int = UNIT_WORDS,
) -> RematchResult:
    """Match recorded words again and write the hits.

    Args:
        source: run folder or words file, or one already open.
        anode: with which to match; None takes the run's own.
        out: `.npz` for hits alone, or `.nxs` for a NeXus file with everything that the source says about the run.
        workers: processes; by default one per core, and fewer where there is little to do.
        block_words: words of one task, rounded up to whole pieces; changes the memory needed, never the result.
        settings: how far signals may disagree, and which incomplete hits are made; None takes the run's own.
        risky: also make hits that nothing checks, or not, whatever the settings say; None leaves it to them.
        force: replace `out` if it is there.
        progress: told the part done (0 to 1), words and hits so far.
        unit_words: size of a piece; the one number that may change how damaged words are treated.

    Raises:
        ConfigError: a words file has no anode and none was given, or the words are of the other kind of anode.
        RecordError: the source cannot be read, or `out` cannot be written.
        StateError: the run was recorded without words.
        EvapdError: a worker process has died.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"at least one worker is needed, not {workers}")
    if min(block_words, unit_words) < 1:
        raise ValueError("a block needs at least one word")
    words = open_words(source) if isinstance(source, Path) else source
    _check_out(words, out, force=force)
    used = anode or words.anode
    if used is None:
        raise ConfigError(
            f"{words.path} is a words file, which has no anode of its own: name one with --anode"
        )
    judge = settings or words.matching
    work = Work(
        source=words,
        anode=used,
        settings=judge if risky is None else judge.model_copy(update={"risky": risky}),
        workers=workers or _sensible_workers(words),
        block_words=block_words,
        unit_words=unit_words,
        progress=progress or (lambda _share, _words, _hits: None),
    )
    begun_s = time.monotonic()
    left_out: tuple[str, ...] = ()
    if out.suffix == ".npz":
        with closing(work.hits()) as hits:
            write_hits(out, hits, first_pulse=words.first_pulse)
    else:
        from evapd.rematch.nexus import write_nexus  # noqa: PLC0415 - HDF5 is slow to load, and mostly not needed

        left_out = write_nexus(out, work)
    return RematchResult(
        out=out,
        calibration=used.calibration_id,
        counters=work.counters,
        reading=work.reading,
        recorded_hits=words.recorded_hits if isinstance(words, RunWords) else None,
        workers=work.workers,
        seconds=time.monotonic() - begun_s,
        risky_methods=work.settings.risky_methods,
        left_out=left_out,
    )


def _check_out(words: WordSource, out: Path, *, force: bool) -> None:
    if out.suffix not in {".npz", ".nxs"}:
        raise RecordError(f"{out}: hits are written as .npz or .nxs; give the file one of these endings")
    mine = out.resolve()
    inputs = [words.path.resolve()]
    if isinstance(words, RunWords):
        inputs.append(words.store.nexus_path.resolve())
        if mine.is_relative_to(words.store.journal.resolve()):
            inputs.append(mine)
    if mine in inputs:
        raise RecordError(f"{out} is part of what is being read; choose another name")
    refuse_existing(out, force=force)


def _sensible_workers(words: WordSource) -> int:
    """One process per core, but none whose start would take longer than its work."""
    cores = len(os.sched_getaffinity(0))
    n = words.bytes_total // _BYTES_PER_WORD if isinstance(words, RunWords) else words.n_words or 0
    return min(cores, n // _WORTH_A_WORKER + 1)
