"""A NeXus file with rematched hits: everything that finalising writes, with the new hits in the place of the old."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evapd import __version__
from evapd.blocks import HIT_COLUMNS, HitBlock, Loss
from evapd.errors import RecordError
from evapd.record.finalise import write_nexus as write_file
from evapd.record.newfile import part_of
from evapd.record.run import RunInfo, RunStore
from evapd.record.runinfo import present_versions
from evapd.record.runwords import RunWords
from evapd.rematch.work import Work, as_plain, lost_frames

# Found by the matching itself; the other flags are the hardware's and the reader's, and stand in the recorded blocks.
_OF_MATCHING = Loss.DAMAGED | Loss.SATURATED | Loss.COUNTER_JUMP
_NOT_IN_WORDS = (
    "start and end of the run",
    "standing and pulse voltage of each hit (NaN)",
    "mass-to-charge ratio",
    "settings of pulser and control",
    "specimen and operator",
    "histories and events",
)


def write_nexus(out: Path, work: Work) -> tuple[str, ...]:
    """Match, and write `out`; gives what the source did not know, in words.

    Raises:
        RecordError: when the words cannot be read, or the file cannot be written.
    """
    source, anode = work.source, work.anode
    told = {
        "source": source.path.name,
        "evapd": __version__,
        "calibration": anode.calibration_id,
        "settings": work.settings.model_dump(),
        "risky_methods": list(work.settings.risky_methods),
        "anode": anode.model_dump(mode="json"),
    }
    left_out: tuple[str, ...] = ()
    changed = {"anode": told["anode"], "calibration": anode.calibration_id}
    if isinstance(source, RunWords):
        store = source.store
        told["recorded_calibration"] = source.info.calibration
        info = source.info.model_copy(update=changed | {"nexus": None})
    else:
        left_out = _NOT_IN_WORDS
        store = RunStore(source.path / "a words file has no journal")
        told["left_out"] = list(left_out)
        name = source.path.stem
        info = RunInfo(
            id=name,
            name=name,
            state="finished",
            t_start_utc=0,
            t_start_mono_us=0,
            versions=present_versions(),
            **changed,
        )
    try:
        with closing(work.hits()) as hits:
            write_file(out, info, store, others=_Feed(work, hits, told))
    except OSError as error:
        raise RecordError(
            f"{part_of(out)}: {error.strerror or error}; nothing was written under {out}: make room or check the folder"
        ) from error
    return left_out


class _Feed:
    """The new hits, given out by pulse as the recorded blocks come by."""

    def __init__(self, work: Work, hits: Iterator[HitBlock], told: Mapping[str, Any]) -> None:
        self._work, self._hits, self._told = work, hits, told
        self._head: HitBlock | None = None
        self._used = 0  # hits of the head that were given out
        self._covered = 0  # first pulse behind those given out

    def instead_of(self, recorded: HitBlock) -> Iterator[HitBlock]:
        """Give the hits of a recorded block's pulses, and before it those that no recorded block covers."""
        lost, loss = self._until(recorded.first_pulse - 1)
        if lost:  # frames of words were kept, frames of hits were not
            first, last = _pulses(lost[0])[0], _pulses(lost[-1])[-1]
            bare = replace(
                lost[0], first_pulse=first, last_pulse=last, anchor=recorded.anchor, inhibited_pulses=0
            )
            yield _joined(lost, bare, loss | Loss.SEQUENCE_GAP)
        parts, loss = self._until(recorded.last_pulse)
        fresh = replace(recorded, calibration=self._work.anode.calibration_id)
        yield _joined(parts, fresh, recorded.loss | loss)

    def rest(self) -> Iterator[HitBlock]:
        """Give the hits behind the last recorded block, as they were matched."""
        while (head := self._peek()) is not None:
            begin = max(head.first_pulse, self._covered)
            if head.last_pulse >= begin or head.loss:
                rest = [_part(head, self._used, head.n)] if self._used < head.n else []
                self._covered = max(begin, head.last_pulse + 1)
                yield _joined(rest, replace(head, first_pulse=begin, last_pulse=self._covered - 1), head.loss)
            self._head = None

    def about(self) -> Mapping[str, str]:
        """Say where the hits come from."""
        reading = self._work.reading
        found = {"lost_frames": lost_frames(reading), "counter_falls": reading.falls}
        told = {**self._told, "counters": as_plain(self._work.counters), **found}
        return {"rematch": json.dumps(told, indent=1)}

    def _until(self, last: int) -> tuple[list[HitBlock], Loss]:
        """Give what is left of the hits up to a pulse, and what the matching found wrong there."""
        parts: list[HitBlock] = []
        loss = Loss.NONE
        while (head := self._peek()) is not None and head.first_pulse <= last:
            loss |= head.loss & _OF_MATCHING
            end = int(np.searchsorted(head.pulse, min(last - head.first_pulse, 2**32 - 1), "right"))
            if end > self._used:
                parts.append(_part(head, self._used, end))
                self._used = end
            if head.last_pulse > last:
                break
            self._head = None
        self._covered = max(self._covered, last + 1)
        return parts, loss

    def _peek(self) -> HitBlock | None:
        if self._head is None:
            self._head, self._used = next(self._hits, None), 0
        return self._head


def _part(block: HitBlock, a: int, b: int) -> HitBlock:
    return replace(block, **{column.name: getattr(block, column.name)[a:b] for column in HIT_COLUMNS})


def _pulses(block: HitBlock) -> list[int]:
    return [block.first_pulse + int(offset) for offset in block.pulse[[0, -1]]]


def _joined(parts: Sequence[HitBlock], like: HitBlock, loss: Loss) -> HitBlock:
    """Put hits together in a block with the pulses, anchor and calibration of another."""
    columns: dict[str, Any] = {
        column.name: np.concatenate(
            [getattr(part, column.name) for part in parts] or [np.empty(0, column.dtype)]
        )
        for column in HIT_COLUMNS
    }
    shift = np.repeat([part.first_pulse - like.first_pulse for part in parts], [part.n for part in parts])
    columns["pulse"] = (columns["pulse"] + shift.astype(np.int64)).astype("<u4")
    return replace(like, loss=loss, **columns)
