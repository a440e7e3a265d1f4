"""Sequence numbers on the receiving side: gaps, duplicates, tail loss, restarts. Pure.

libzmq drops silently when a high-water mark is reached; these numbers are the only way to see it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames of one topic that did not arrive: `first_seq` to `last_seq`, both included."""

    instance: str
    topic: str
    first_seq: int
    last_seq: int

    @property
    def frames(self) -> int:
        """How many."""
        return self.last_seq - self.first_seq + 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a frame's number says: the gap before it, whether it is new, and whether the daemon was restarted."""

    deliver: bool
    gap: Gap | None = None
    restarted: bool = False


@dataclass(slots=True)
class _Topic:
    expected: int | None = None  # None: nothing is known of this topic yet
    received: bool = False
    due: int = -1  # told by the last beat; must have arrived when the next one comes


@dataclass(slots=True)
class SequenceTracker:
    """Follows the sequence numbers of some topics of one publisher.

    Frames before the first one seen, or before the welcome, are not missing: the subscriber was not there yet.
    """

    topics: Iterable[str]
    instance: str = ""
    _states: dict[str, _Topic] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._states = {topic: _Topic() for topic in self.topics}

    def _follow(self, instance: str) -> bool:
        """Begin afresh when the instance is another; True when there was one before."""
        if instance == self.instance:
            return False
        restarted = self.instance != ""
        self.instance = instance
        self._forget()
        return restarted

    def welcome(self, instance: str, next_seq: Mapping[str, int]) -> tuple[list[Gap], bool]:
        """Take the next number of every topic; gives what was missed while away, and whether there was a restart."""
        restarted = self._follow(instance)
        gaps = []
        for topic, state in self._states.items():
            next_one = next_seq.get(topic, 0)
            if state.expected is None:
                state.expected = next_one
            elif next_one > state.expected:
                gaps.append(Gap(instance, topic, state.expected, next_one - 1))
                state.expected = next_one
        return gaps, restarted

    def frame(self, topic: str, instance: str, seq: int) -> Verdict:
        """Judge one frame."""
        restarted = self._follow(instance)
        state = self._states[topic]
        # The welcome may run ahead of the first frame of a topic, whose number was taken but which was not sent yet.
        early = not state.received and state.expected is not None and seq < state.expected
        if state.expected is None or early:
            state.expected, state.received = seq + 1, True
            return Verdict(deliver=True, restarted=restarted)
        if seq < state.expected:
            return Verdict(deliver=False, restarted=restarted)
        gap = Gap(instance, topic, state.expected, seq - 1) if seq > state.expected else None
        state.expected, state.received = seq + 1, True
        return Verdict(deliver=True, gap=gap, restarted=restarted)

    def beat(self, instance: str, last_seq: Mapping[str, int]) -> tuple[list[Gap], bool]:
        """Take the last number of every topic; gives what the beat before had announced and is still missing.

        One beat of grace, because a frame that a beat announces may leave just after it.
        """
        restarted = self._follow(instance)
        gaps = []
        for topic, state in self._states.items():
            last = last_seq.get(topic, -1)
            if state.expected is None:
                state.expected = last + 1
            elif state.due >= state.expected:
                gaps.append(Gap(instance, topic, state.expected, state.due))
                state.expected = state.due + 1
            state.due = last
        return gaps, restarted
