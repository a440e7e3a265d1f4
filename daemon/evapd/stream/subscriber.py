"""The receiving side: frames in order, what is missing counted and, where possible, fetched again."""

import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import zmq

from evapd.errors import ConfigError, FrameError
from evapd.security.keys import ClientKeys
from evapd.stream.fetch import Fetcher
from evapd.stream.frame import BEAT, MAX_PAYLOAD_BYTES, TOPICS, Message, decode
from evapd.stream.jsontext import MAX_INTEGER
from evapd.stream.sockets import (
    check_address,
    connect,
    high_water_mark,
    open_socket,
)
from evapd.stream.tracker import Gap, SequenceTracker

BUDGET_BYTES = 64 * 1024 * 1024
_NOTICES = 1000
_KEEPALIVE = 5, 2, 3  # seconds of silence, seconds between questions, questions


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the stream itself that its user should know."""

    kind: Literal["welcome", "restart", "lost", "recovered", "garbage"]
    text: str
    topic: str = ""
    frames: int = 0


@dataclass(slots=True)
class StreamCounts:
    """Counters since the subscriber was made. `lost` are frames that a replay did not give either, by topic."""

    received: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    recovered: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    garbage: int = 0
    restarts: int = 0


class Subscriber:
    """Receives frames of some topics; used by one thread.

    It connects in the background, and again after the daemon was restarted.

    Args:
        address: Address of the stream.
        replay_address: Where missed frames are fetched again; without it they are only counted.
        topics: Some of `evapd.stream.frame.TOPICS`.
        budget_bytes: Memory for frames that wait to be received.
        keys: Who we are and whom we want to hear, where the stream demands CURVE.
        context: ZeroMQ context; without one the subscriber makes its own.

    Raises:
        ConfigError: for an address that is not local without keys, or an unknown topic.
    """

    def __init__(
        self,
        address: str,
        replay_address: str | None = None,
        topics: Sequence[str] = TOPICS,
        *,
        budget_bytes: int = BUDGET_BYTES,
        keys: ClientKeys | None = None,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
    ) -> None:
        unknown = [topic for topic in topics if topic not in TOPICS]
        if unknown or not topics:
            raise ConfigError(f"unknown topics {unknown}: choose from {' '.join(TOPICS)}")
        self.address, self.topics = check_address(address, keyed=keys is not None), tuple(topics)
        replay_address = check_address(replay_address, keyed=keys is not None) if replay_address else None
        self.counts = StreamCounts()
        self.welcome: dict[str, Any] | None = None
        """The daemon's last welcome: its instance, `state`, and addresses; None before."""
        self.alive_s: float | None = None
        """Monotonic time of the last beat or welcome."""
        self._tracker = SequenceTracker([topic for topic in topics if topic != BEAT])
        self._backlog: deque[Message | Gap] = deque()
        self._notices: deque[Notice] = deque(maxlen=_NOTICES)
        self._welcome_topic = f"welcome.{uuid.uuid4().hex}".encode()
        self._own_context = context is None
        self._context: zmq.Context[zmq.Socket[bytes]] = context or zmq.Context()
        self._fetcher = Fetcher(replay_address, self._context, keys=keys) if replay_address else None
        self._socket = self._open(budget_bytes, keys)

    @property
    def instance(self) -> str:
        """The start of the daemon that is followed, "" before the first word from it."""
        return self._tracker.instance

    def take_notices(self) -> list[Notice]:
        """Give what happened since the last call: losses, repairs, restarts, bytes that were not frames."""
        notices = list(self._notices)
        self._notices.clear()
        return notices

    def receive(self, timeout_s: float) -> Message | None:
        """Give the next frame, or None when there was none in time.

        Frames that are fetched again come at their place in the order of their topic, while the rest of a long gap is
        still on its way; a replay socket that is stuck may hold this call up for a second beyond its time.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            while self._backlog:
                item = self._backlog.popleft()
                if isinstance(item, Message):
                    self.counts.received += 1
                    return item
                self._repair(item)
                if self._backlog and isinstance(self._backlog[0], Gap) and time.monotonic() >= deadline_s:
                    return None  # a long stretch without a frame: go on with it in the next call
            left_ms = max(0, round((deadline_s - time.monotonic()) * 1000))
            if not self._socket.poll(left_ms):
                return None
            self._take_in(self._socket.recv_multipart(flags=zmq.NOBLOCK))

    def await_welcome(self, timeout_s: float) -> bool:
        """Wait until the daemon has welcomed this subscriber: from then on nothing is missed. Keeps what arrives."""
        deadline_s = time.monotonic() + timeout_s
        while self.welcome is None:
            left_ms = max(0, round((deadline_s - time.monotonic()) * 1000))
            if not self._socket.poll(left_ms):
                return False
            self._take_in(self._socket.recv_multipart(flags=zmq.NOBLOCK))
        return True

    def close(self) -> None:
        """Close the sockets."""
        if self._fetcher is not None:
            self._fetcher.close()
        self._socket.close(linger=0)
        if self._own_context:
            self._context.destroy(linger=0)

    def _open(self, budget_bytes: int, keys: ClientKeys | None) -> "zmq.Socket[bytes]":
        socket = open_socket(
            self._context,
            zmq.SUB,
            max_message_bytes=MAX_PAYLOAD_BYTES,
            send_hwm=1000,
            receive_hwm=high_water_mark(budget_bytes),
        )
        # A peer that vanished without a word is noticed by TCP. Not by heartbeats of libzmq: when one expires while
        # the queue here is full, because its reader was busy, libzmq ends the process (its issue 3937, open in 4.3.5).
        socket.tcp_keepalive_idle, socket.tcp_keepalive_intvl, socket.tcp_keepalive_cnt = _KEEPALIVE
        connect(socket, self.address, keys)
        for topic in {*self.topics, BEAT}:
            socket.subscribe(topic)
        socket.subscribe(self._welcome_topic)  # last, so that the welcome's numbers hold for all the others
        return socket

    def _take_in(self, parts: list[bytes]) -> None:
        try:
            self._sort(parts)
        except FrameError as error:
            self.counts.garbage += 1
            self._notices.append(Notice("garbage", str(error)))

    def _sort(self, parts: list[bytes]) -> None:
        """Put what arrived into the backlog; every byte is treated as hostile."""
        if len(parts) != 3:
            raise FrameError(f"a message of {len(parts)} parts, frames have 3")
        message = decode(*parts)
        if parts[0] == self._welcome_topic:
            gaps, restarted = self._tracker.welcome(message.instance, _numbers(message, "next_seq"))
            self.welcome, self.alive_s = message.document, time.monotonic()
            self._notices.append(Notice("welcome", f"connected to {message.instance}"))
        elif message.topic == BEAT:
            gaps, restarted = self._tracker.beat(message.instance, _numbers(message, "last_seq", least=-1))
            self.alive_s = time.monotonic()
        elif message.topic in self.topics:
            self._take_frame(message)
            return
        else:
            raise FrameError(f"topic {message.topic[:40]!r} was not asked for")
        self._note_restart(message.instance, restarted=restarted)
        self._backlog.extend(gaps)
        if message.topic in self.topics:
            self._backlog.append(message)

    def _take_frame(self, message: Message) -> None:
        verdict = self._tracker.frame(message.topic, message.instance, message.seq)
        self._note_restart(message.instance, restarted=verdict.restarted)
        if verdict.gap is not None:
            self._backlog.append(verdict.gap)
        if verdict.deliver:
            self._backlog.append(message)
        else:
            self.counts.duplicates += 1

    def _repair(self, gap: Gap) -> None:
        """Put the first frames of a gap, and what is left of it, at the head of the backlog."""
        if self._fetcher is None:
            self._lose(gap, gap.frames)
            return
        answer = self._fetcher.fetch(gap)
        found, last = answer.messages, min(gap.last_seq, max(answer.last_there, answer.through))
        if answer.through < last:
            self._backlog.appendleft(Gap(gap.instance, gap.topic, answer.through + 1, last))
        self._backlog.extendleft(reversed(found))
        if found:
            self.counts.recovered[gap.topic] = self.counts.recovered.get(gap.topic, 0) + len(found)
            text = f"{len(found)} frames of {gap.topic} fetched again"
            self._notices.append(Notice("recovered", text, gap.topic, len(found)))
        self._lose(gap, answer.through - gap.first_seq + 1 - len(found) + gap.last_seq - last)

    def _lose(self, gap: Gap, frames: int) -> None:
        if frames > 0:
            self.counts.lost[gap.topic] = self.counts.lost.get(gap.topic, 0) + frames
            text = f"{frames} frames of {gap.topic} lost between numbers {gap.first_seq} and {gap.last_seq}"
            self._notices.append(Notice("lost", text, gap.topic, frames))

    def _note_restart(self, instance: str, *, restarted: bool) -> None:
        if restarted:
            self.counts.restarts += 1
            self._notices.append(Notice("restart", f"the daemon was restarted, it is {instance} now"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _numbers(message: Message, name: str, least: int = 0) -> dict[str, int]:
    """Read sequence numbers by topic from a document that may be anything."""
    numbers = message.document.get(name) if isinstance(message.document, dict) else None
    if not isinstance(numbers, dict):
        raise FrameError(f"a {message.topic[:8]} document without {name}")
    if any(type(number) is not int or not least <= number <= MAX_INTEGER for number in numbers.values()):
        raise FrameError(f"{name} of a {message.topic[:8]} document is not all whole numbers")
    return numbers
