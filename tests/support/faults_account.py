"""What a run's record says afterwards, held against what was true."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from evapd.record.journal import JournalReport, read_journal
from evapd.record.run import ACQUIRE_PREFIX, GUARD_PREFIX, RunInfo, RunStore
from evapd.stream.frame import EVENT, HITS, LOOP, WORDS
from support.faults_truth import Truth


@dataclass
class Account:
    """One run read back from its folder.

    Attributes:
        info: run.json.
        acquire: how acquire's journal read.
        frames: whole frames of acquire's journal.
        words: words recorded.
        missing_words: words that the TDC saw within the recorded pulses and that are not in the journal.
        gaps: pulses that no block of words covers, between two that do.
        tail_pulses: pulses that the TDC counted after the last recorded one.
        last_pulse: the last recorded one, -1 where there is none.
        events: of the guard, in order.
        loop: columns of the guard's loop.
    """

    info: RunInfo
    acquire: JournalReport
    frames: int = 0
    words: int = 0
    missing_words: int = 0
    gaps: int = 0
    tail_pulses: int = 0
    last_pulse: int = -1
    events: list[dict[str, Any]] = field(default_factory=list)
    loop: dict[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether everything that the TDC saw within the record is in it."""
        return not (self.acquire.crc_errors or self.frame_gaps or self.gaps or self.missing_words)

    @property
    def frame_gaps(self) -> int:
        """Frames of data missing by their sequence numbers; what acquire relays of the guard is in the guard's journal."""
        return sum(self.acquire.gaps.get(topic, 0) for topic in (HITS, WORDS))

    @property
    def conditions(self) -> str:
        """The condition flags as one text."""
        return " ".join(str(flag) for flag in self.info.conditions)

    def lost(self, pulse_rate_hz: float) -> str:
        """What is missing, in words for the table."""
        parts = []
        if self.gaps or self.missing_words:
            parts.append(f"{self.missing_words} words, {self.gaps} pulses uncovered")
        if self.acquire.crc_errors or self.frame_gaps:
            parts.append(f"{self.acquire.crc_errors} damaged frames, {self.frame_gaps} frames missing")
        if self.tail_pulses:
            parts.append(f"tail of {1e3 * self.tail_pulses / pulse_rate_hz:.0f} ms")
        return "; ".join(parts) or "0"

    def rules(self, since_s: float) -> list[str]:
        """Names of the rules that complained after a monotonic time, in order."""
        late = [event for event in self.events if event["t_mono_us"] >= 1e6 * since_s]
        names = [event["rule"] for event in late if event["kind"] == "rule" and event["effect"] != "none"]
        return list(dict.fromkeys(names))


def account(store: RunStore, truth: Truth) -> Account:
    """Read a run back; `truth` has the steps that its arming of the TDC counted."""
    report = JournalReport()
    told = Account(store.load(), report)
    spans: list[tuple[int, int]] = []
    words_at: list[np.ndarray] = []
    for message in read_journal(store.journal, ACQUIRE_PREFIX, report):
        told.frames += 1
        if message.topic == WORDS:
            words_at.append(np.asarray(message.columns["pulse"], np.int64))
        if message.topic in (HITS, WORDS) and message.header["last_pulse"] >= message.header["first_pulse"]:
            spans.append((message.header["first_pulse"], message.header["last_pulse"]))
    pulses = np.sort(np.concatenate(words_at)) if words_at else np.empty(0, np.int64)
    told.words = len(pulses)
    covered = _joined(spans)
    told.gaps = sum(after[0] - before[1] - 1 for before, after in pairwise(covered))
    _compare(told, truth, covered, pulses)
    _read_guard(told, store)
    return told


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _compare(told: Account, truth: Truth, covered: list[tuple[int, int]], pulses: np.ndarray) -> None:
    first, last = truth.first_pulse, truth.first_pulse + truth.pulses - 1
    inside = np.zeros(len(first), np.bool_)
    for low, high in covered:
        inside |= (first >= low) & (last <= high) & (truth.pulses > 0)
    recorded = np.searchsorted(pulses, last[inside], "right") - np.searchsorted(pulses, first[inside], "left")
    told.missing_words = int(np.maximum(truth.words[inside] - recorded, 0).sum())
    end = int(last.max(initial=-1))
    told.last_pulse = covered[-1][1] if covered else -1
    told.tail_pulses = max(0, end - told.last_pulse)


def _read_guard(told: Account, store: RunStore) -> None:
    rows: dict[str, list[Any]] = {}
    for message in read_journal(store.guard_journal, GUARD_PREFIX, JournalReport()):
        if message.topic == EVENT:
            told.events.append({**message.document, "t_mono_us": message.header["t_mono_us"]})
        elif message.topic == LOOP:
            for name, column in message.columns.items():
                rows.setdefault(name, []).append(column)
    told.loop = {name: np.concatenate(parts) for name, parts in rows.items()}
