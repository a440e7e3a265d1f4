"""What the frames of a run add up to: both processes' journals read as one, in the order of monotonic time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evapd.record.runinfo import Note, RunInfo, Segment
from evapd.stream.frame import EVENT, HITS, LOOP, WORDS, Message


@dataclass(slots=True)
class End:
    """The last that one process wrote."""

    t_mono_us: int = 0
    t_utc: int = 0
    pulse: int = -1  # the newest that it knew of

    def as_dict(self) -> dict[str, int]:
        """Give plain data for JSON."""
        return {"t_mono_us": self.t_mono_us, "t_utc": self.t_utc, "pulse": self.pulse}


@dataclass(slots=True)
class Account:
    """What the messages of a run add up to, where they end, and what they say that run.json may lack.

    Messages come merged by monotonic time; the pulse that belongs to a moment is that of the newest block before it.
    """

    hits: int = 0
    words: int = 0
    pulses: int = 0
    lossy_blocks: int = 0
    messages: int = 0
    first_t_utc: int = 0
    first_t_mono_us: int = 0
    instance: str = ""  # of acquire
    acquire: End = field(default_factory=End)
    guard: End = field(default_factory=End)
    segments: list[Segment] = field(default_factory=list)  # as the guard opened them, all of the run
    notes: list[Note] = field(default_factory=list)  # as acquire wrote them down, all of the run

    def count(self, message: Message, end: End) -> None:
        """Take one message into account; `end` is that of the process whose journal it is from."""
        header, topic = message.header, message.topic
        t_utc, t_mono_us = int(header.get("t_utc", 0)), int(header.get("t_mono_us", 0))
        if not self.messages:
            self.first_t_utc, self.first_t_mono_us = t_utc, t_mono_us
        self.messages += 1
        if t_mono_us >= end.t_mono_us:
            end.t_mono_us, end.t_utc = t_mono_us, t_utc
        if topic == HITS:
            self.hits += int(header["n"])
            self.pulses += int(header["last_pulse"]) - int(header["first_pulse"]) + 1
            self.lossy_blocks += bool(header["loss"])
            self.instance = self.instance or str(header.get("instance", ""))
            self.acquire.pulse = max(self.acquire.pulse, int(header["last_pulse"]))
        elif topic == WORDS:
            self.words += int(header["n"])
        document = message.document if topic == EVENT and isinstance(message.document, Mapping) else {}
        if topic == LOOP and header["n"] and "pulse" in message.columns:
            self.guard.pulse = max(self.guard.pulse, int(message.columns["pulse"][-1]))
        elif document.get("kind") == "segment":
            self._segment(document, t_mono_us, t_utc)
        elif document.get("kind") == "note" and document.get("source") == "acquire":
            text, pulse = str(document.get("what", "")), document.get("pulse")
            self.notes.append(Note(text=text, t_utc=t_utc, t_mono_us=t_mono_us, pulse=pulse))

    @property
    def last(self) -> End:
        """The end of the process that wrote longest."""
        return max(self.acquire, self.guard, key=lambda end: end.t_mono_us)

    def _segment(self, document: Mapping[str, Any], t_mono_us: int, t_utc: int) -> None:
        pulse = document.get("pulse", -1)
        settings = document.get("settings")
        self.segments.append(
            Segment(
                number=len(self.segments),
                first_pulse=pulse if isinstance(pulse, int) and pulse >= 0 else self.acquire.pulse + 1,
                t_mono_us=t_mono_us,
                t_utc=t_utc,
                settings=dict(settings) if isinstance(settings, Mapping) else {},
                reason=str(document.get("what", "")),
            )
        )

    def counters(self) -> dict[str, int]:
        """Give the sums for run.json."""
        return {
            "hits": self.hits,
            "words": self.words,
            "pulses": self.pulses,
            "lossy_blocks": self.lossy_blocks,
        }

    def added(self, info: RunInfo) -> dict[str, Any]:
        """Give the segments and notes of the journals that run.json did not hear of any more."""
        # run.json gets a segment when acquire has read it in the guard's journal: those it lacks are the last ones.
        known = len(info.segments)
        texts = {(note.text, note.pulse) for note in info.notes}
        return {
            "segments": (*info.segments, *self.segments[known:]),
            "notes": (*info.notes, *(note for note in self.notes if (note.text, note.pulse) not in texts)),
        }
