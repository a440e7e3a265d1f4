"""The stream on its way out: XPUB for everything, PUB for displays, ROUTER for what was missed.

Every socket belongs to one thread. `publish` only puts a frame into the ring and a queue that is bounded in bytes, so
no subscriber, however slow or hostile, can hold up the caller.
"""

import logging
import re
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import zmq

from evapd.errors import StateError
from evapd.security.access import Access
from evapd.security.gate import Door, Gate
from evapd.stream.frame import TOPICS, VERSION, Frame
from evapd.stream.jsontext import to_json
from evapd.stream.replay import Older, ReplayServer
from evapd.stream.ring import BULK, Ring
from evapd.stream.sockets import Waker, bind, check_address, high_water_mark, open_socket

LIVE_TOPIC = b"live."
WELCOME_TOPIC = "welcome."
_WELCOME = re.compile(rb"\x01(welcome\.[A-Za-z0-9_-]{8,64})")
_MAX_SUBSCRIPTION_BYTES = 256  # also bounds the handshake, whose largest part is the routing id
_MAX_KEYED_BYTES = 768  # CURVE's INITIATE has 257 bytes and the routing id; and 33 bytes more per message
_OTHER_QUEUE_BYTES = 8 * 1024 * 1024
# Some minutes of `loop.` and `slow.`; older ones are read from the journal.
_OTHER_RING_BYTES = 8 * 1024 * 1024
_SUBSCRIPTIONS_PER_TURN = 100
_LIVE_BUFFER_BYTES = 128 * 1024  # what the kernel holds for a display that stalls is old when it is read
_LINGER_MS = 500  # so that the last frames of a run reach a subscriber that keeps up

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublisherStats:
    """What went out since the start; `dropped` and `subscribers` by topic, losses inside libzmq not included."""

    frames: int
    nbytes: int
    dropped: dict[str, int]
    queued_bytes: int
    ring_bytes: int
    subscribers: dict[str, int]
    welcomes: int


class Publisher:
    """Publishes frames, welcomes subscribers, replays what they missed.

    Frames of one topic are published in the order of their numbers: whoever makes frames of one topic on several
    threads holds a lock over making and publishing.

    Args:
        address: Address of the stream; as the others local, or any with `access` by keys.
        live_address: Address for displays.
        replay_address: Address of the replay socket.
        instance: Name of this start of the daemon, as in the frames' headers.
        budget_bytes: Memory for one subscriber that does not keep up, for our own queue, and for the bulk topics'
            ring: three times this in all, and once more per stalled subscriber.
        snapshot: Gives the present state for a welcome; called on the publisher's thread, must be quick.
        next_seq: Gives the next sequence number by topic (Framer.next_seq); asked once, at the start.
        older: Gives frames that have left the ring, from the journal.
        access: Who is let in; without it, programs on this machine.
        grace_s: How long the replay socket waits for a request when all ends, where anybody has subscribed: the last
            beats may have shown that something is missing.
        context: ZeroMQ context; without one the publisher makes its own.
    """

    def __init__(
        self,
        address: str,
        live_address: str,
        replay_address: str,
        *,
        instance: str,
        budget_bytes: int,
        snapshot: Callable[[], dict[str, Any]],
        next_seq: Callable[[], dict[str, int]],
        older: Older | None = None,
        access: Access | None = None,
        grace_s: float = 0.0,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
    ) -> None:
        access = access or Access()
        keyed = access.keys is not None
        self._max_bytes = _MAX_KEYED_BYTES if keyed else _MAX_SUBSCRIPTION_BYTES
        self.address = check_address(address, keyed=keyed)
        self.live_address = check_address(live_address, keyed=keyed)
        self._own_context = context is None
        self._context: zmq.Context[zmq.Socket[bytes]] = context or zmq.Context()
        self._gate = Gate(self._context, access)
        self._instance, self._budget_bytes, self._grace_s = instance, budget_bytes, grace_s
        self._snapshot, self._next_seq = snapshot, next_seq
        self._ring = Ring(budget_bytes, min(budget_bytes, _OTHER_RING_BYTES))
        self._replay = ReplayServer(
            check_address(replay_address, keyed=keyed),
            self._ring,
            instance=instance,
            context=self._context,
            gate=self._gate,
            older=older,
        )
        self._lock = threading.Lock()
        self._queue: deque[tuple[int, Frame]] = deque()
        self._queued = {True: 0, False: 0}  # bytes, bulk or not
        self._live: bytes | None = None
        self._stopping = False
        self._dropped: Counter[str] = Counter()
        self._subscribers: Counter[str] = Counter()
        self._frames = self._nbytes = self._welcomes = 0
        self._next: dict[str, int] = {}
        self._thread: threading.Thread | None = None

    @property
    def replay_address(self) -> str:
        """Address of the replay socket."""
        return self._replay.address

    @property
    def dropped(self) -> int:
        """Frames that found our own queue full; the replay socket may still have them."""
        return sum(self._dropped.values())

    @property
    def alive(self) -> bool:
        """Whether the publishing thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def stats(self) -> PublisherStats:
        """Count what happened so far."""
        with self._lock:
            return PublisherStats(
                frames=self._frames,
                nbytes=self._nbytes,
                dropped=dict(self._dropped),
                queued_bytes=sum(self._queued.values()),
                ring_bytes=self._ring.nbytes,
                subscribers={topic: n for topic, n in self._subscribers.items() if n},
                welcomes=self._welcomes,
            )

    def start(self) -> None:
        """Bind all sockets and begin.

        Raises:
            ConfigError: when an address is not local.
            StreamError: when an address is taken.
        """
        if self._thread is not None:
            raise StateError("the publisher is running already")
        stream = open_socket(
            self._context,
            zmq.XPUB,
            max_message_bytes=self._max_bytes,
            send_hwm=high_water_mark(self._budget_bytes),
            receive_hwm=1000,
            linger_ms=_LINGER_MS,
        )
        stream.xpub_verboser = True  # tell every subscription, also a repeated one, and every end of one
        live = open_socket(
            self._context, zmq.PUB, max_message_bytes=self._max_bytes, send_hwm=2, receive_hwm=1000
        )
        live.sndbuf = _LIVE_BUFFER_BYTES
        try:
            doors = bind(stream, self.address, self._gate), bind(live, self.live_address, self._gate)
            self.address, self.live_address = (door.endpoint for door in doors)
            self._replay.start()
        except BaseException:
            stream.close(linger=0)
            live.close(linger=0)
            self._end_context()
            raise
        self._next = self._next_seq()
        self._waker = Waker()
        self._thread = threading.Thread(
            target=self._run, args=(stream, live, doors), name="publisher", daemon=True
        )
        self._thread.start()
        self._waker.wake()  # for what was published before

    def publish(self, frame: Frame) -> None:
        """Take a frame; never blocks. A full queue drops it, which subscribers see by its number and may repair."""
        bulk, seq = frame.topic in BULK, frame.seq
        self._ring.add(seq, frame)
        with self._lock:
            limit = self._budget_bytes if bulk else _OTHER_QUEUE_BYTES
            # A frame larger than the whole budget still passes an empty queue.
            if self._stopping or (self._queued[bulk] and self._queued[bulk] + frame.nbytes > limit):
                self._dropped[frame.topic] += 1
                return
            self._queue.append((seq, frame))
            self._queued[bulk] += frame.nbytes
        self._wake()

    def publish_live(self, document: dict[str, Any]) -> None:
        """Send a document to the displays; one that has not left yet is replaced."""
        encoded = LIVE_TOPIC + to_json(document)
        with self._lock:
            self._live = encoded
        self._wake()

    def stop(self) -> None:
        """Send what is queued, then close everything."""
        with self._lock:
            self._stopping = True
        if self._thread is not None:
            self._waker.wake()
            self._thread.join()
            self._waker.close()
            self._replay.stop(self._grace_s if self._welcomes else 0.0)
            self._thread = None
        self._end_context()

    def _wake(self) -> None:
        if self._thread is not None:
            self._waker.wake()

    def _end_context(self) -> None:
        self._gate.close()
        if self._own_context and not self._context.closed:
            self._context.term()  # every socket is closed by now; waits for the linger time at most

    def _run(self, stream: "zmq.Socket[bytes]", live: "zmq.Socket[bytes]", doors: tuple[Door, ...]) -> None:
        poller = zmq.Poller()
        poller.register(stream, zmq.POLLIN)
        poller.register(self._waker.fd, zmq.POLLIN)
        try:
            while True:
                poller.poll()
                self._waker.clear()
                stopping = self._stopping  # read before the queue: what was queued before a stop still leaves
                self._send_queued(stream)
                with self._lock:
                    document, self._live = self._live, None
                if document is not None:
                    live.send(document, flags=zmq.NOBLOCK)
                self._answer(stream)
                for door in doors:
                    door.renew()  # when a key was revoked; a frame or beat comes along twice a second at least
                if stopping:
                    return
        except zmq.ContextTerminated:
            log.warning("the ZeroMQ context was ended before the publisher of %s was stopped", self.address)
        finally:
            stream.close()
            live.close()

    def _send_queued(self, stream: "zmq.Socket[bytes]") -> None:
        with self._lock:
            frames = list(self._queue)
            self._queue.clear()
        for seq, frame in frames:
            # Copied into libzmq: costs as much as sending without a copy at this size, and needs no care for buffers.
            stream.send_multipart(frame.parts(), flags=zmq.NOBLOCK)
            with self._lock:
                self._queued[frame.topic in BULK] -= frame.nbytes
                self._frames += 1
                self._nbytes += frame.nbytes
            self._next[frame.topic] = seq + 1

    def _answer(self, stream: "zmq.Socket[bytes]") -> None:
        """Take subscriptions, which may be any bytes, and welcome those that ask for it."""
        wanted: dict[bytes, None] = {}
        for _ in range(_SUBSCRIPTIONS_PER_TURN):
            try:
                parts = stream.recv_multipart(flags=zmq.NOBLOCK)
            except zmq.Again:
                break
            if len(parts) != 1:
                continue
            match = _WELCOME.fullmatch(parts[0])
            if match is not None:
                wanted[match.group(1)] = None
            else:
                self._count(parts[0])
        if wanted:
            header, payload = self._welcome()
            for topic in wanted:
                stream.send_multipart([topic, header, payload], flags=zmq.NOBLOCK)
            with self._lock:
                self._welcomes += len(wanted)

    def _count(self, message: bytes) -> None:
        for topic in TOPICS:
            if message[1:] == topic.encode() and message[0] in (0, 1):
                with self._lock:
                    self._subscribers[topic] += 1 if message[0] else -1

    def _welcome(self) -> tuple[bytes, bytes]:
        header = {"v": VERSION, "instance": self._instance, "seq": 0, "n": 1, "columns": []}
        document = {
            "v": VERSION,
            "instance": self._instance,
            "topics": list(TOPICS),
            "next_seq": {topic: self._next.get(topic, 0) for topic in TOPICS},
            "replay": self.replay_address,
            "live": self.live_address,
        }
        try:
            return to_json(header), to_json(document | {"state": self._snapshot(), "state_error": ""})
        except Exception as error:
            # The stream must go on without the state; the subscriber is told.
            log.exception("the state for a welcome could not be made")
            return to_json(header), to_json(document | {"state": None, "state_error": str(error)})

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
