"""The replay socket: ranges of frames from the ring and, beyond it, from the journal.

It has a thread of its own, because reading a journal waits for a disk and publishing must not. Frames leave in small
portions, one request of one client after the other, so that a long range does not keep a short one waiting.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import zmq
from pydantic import BaseModel, ConfigDict, Field

from evapd.security.gate import Gate
from evapd.stream.frame import TOPICS, VERSION, Frame
from evapd.stream.jsontext import MAX_INTEGER, from_json, to_json
from evapd.stream.ring import Ring
from evapd.stream.sockets import Waker, bind, high_water_mark, open_socket

END_TOPIC = "replay."
MAX_RANGE = 10_000  # frames of one request
_MAX_REQUEST_BYTES = 1024
_MAX_JOBS = 64
_MAX_JOBS_PER_PEER = 4
_MAX_REFUSALS = 128
_MAX_REFUSALS_PER_PEER = 64
_PORTION = 8
_RETRY_MS = 2
_RETRY_MOST_MS = 32
_STALLED_S = 30.0
_GIVE_WAY_S = 1.0  # of stalling, where all places are taken
_ENDING_S = 3.0
BUDGET_BYTES = 4 * 1024 * 1024  # for one client that does not read

log = logging.getLogger(__name__)
Older = Callable[[str, int, int], Iterable[Frame | None]]
"""Gives the frames of a topic from first to last number, as far as it has them, in ascending order; None ends them where
the rest may be there a moment later."""

Sequence = Annotated[int, Field(ge=0, le=MAX_INTEGER)]


class ReplayRequest(BaseModel):
    """What a client sends; `instance` is the start of the daemon whose numbers are meant.

    The answer ends with the frame that reaches `max_bytes`, so that a client bounds its memory in bytes too.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    v: int
    id: Annotated[str, Field(min_length=1, max_length=64)]
    instance: Annotated[str, Field(max_length=64)]
    topic: str
    first_seq: Sequence
    last_seq: Sequence
    max_bytes: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None

    def fault(self, instance: str) -> str:
        """Say why this cannot be served, or nothing."""
        if self.v != VERSION:
            return f"version {self.v} of the request: this daemon speaks version {VERSION}"
        if self.topic not in TOPICS:
            return f"unknown topic: there are {' '.join(TOPICS)}"
        if self.instance != instance:
            return f"the numbers are of another start of the daemon; this is {instance}"
        if not 0 <= self.last_seq - self.first_seq < MAX_RANGE:
            return f"first_seq to last_seq must be an ascending range of at most {MAX_RANGE} frames"
        return ""


class _Job:
    """One range on its way to one client: its frames, then the end document."""

    def __init__(
        self, peer: bytes, request: ReplayRequest, ring: Ring, older: Older | None, fault: str, *, busy: bool
    ) -> None:
        self.peer = peer
        self.refused = bool(fault)  # such a one takes no place of those that are served
        self.moved_s = time.monotonic()
        self._request, self._ring, self._older = request, ring, older
        self._fault, self._busy = fault, busy
        self._missing: list[list[int]] = []
        self._sent = 0
        self._through = request.first_seq - 1 if busy else request.last_seq
        self._messages = self._make()
        self._next: list[bytes | memoryview] | None = None

    def next(self) -> list[bytes | memoryview] | None:
        """Give the message that is to be sent; None when the end document was the last."""
        if self._next is None:
            self._next = next(self._messages, None)
        return self._next

    def advance(self) -> None:
        """Go on to the next message."""
        self.moved_s, self._next = time.monotonic(), None

    def _make(self) -> Iterator[list[bytes | memoryview]]:
        if not self._fault:
            seq, room = self._request.first_seq, self._request.max_bytes or MAX_INTEGER
            try:
                for found, frame in self._frames():
                    if frame is None:
                        self._through, self._busy = seq - 1, True
                        break
                    self._miss(seq, found - 1)
                    seq = found + 1
                    self._sent += 1
                    yield frame.parts()
                    room -= frame.nbytes
                    if room <= 0:
                        self._through = found
                        break
            except Exception as error:
                # Whatever a journal may hold, the other clients are served on.
                self._fault = f"the journal could not be read: {type(error).__name__}: {error}"
                log.exception("replay of %s", self._request.topic)
            self._miss(seq, self._through)
        yield self._end()

    def _frames(self) -> Iterator[tuple[int, Frame | None]]:
        """Frames in order: what the ring has, and runs of what it lacks from the journal; None: not there yet."""
        topic, lacking = self._request.topic, self._request.first_seq
        for seq in range(self._request.first_seq, self._request.last_seq + 1):
            frame = self._ring.get(topic, seq)
            if frame is not None:
                yield from self._from_journal(lacking, seq - 1)
                yield seq, frame
                lacking = seq + 1
        yield from self._from_journal(lacking, self._request.last_seq)

    def _from_journal(self, first: int, last: int) -> Iterator[tuple[int, Frame | None]]:
        if self._older is None or last < first:
            return
        wanted = first
        for frame in self._older(self._request.topic, first, last):
            if frame is None:
                yield wanted, None
                return
            seq = frame.seq
            if wanted <= seq <= last:
                yield seq, frame
                wanted = seq + 1

    def _miss(self, first: int, last: int) -> None:
        if last >= first:
            self._missing.append([first, last])

    def _end(self) -> list[bytes | memoryview]:
        request = self._request
        document = {
            "id": request.id,
            "topic": request.topic,
            "first_seq": request.first_seq,
            "last_seq": request.last_seq,
            "sent": self._sent,
            "missing": self._missing,
            "through": self._through,
            "newest": self._ring.newest(request.topic),
            "busy": self._busy,
            "error": self._fault,
        }
        header = {"v": VERSION, "instance": request.instance, "seq": 0, "n": 1, "columns": []}
        return [END_TOPIC.encode(), to_json(header), to_json(document)]


class ReplayServer:
    """Serves ranges at one address on a thread of its own."""

    def __init__(
        self,
        address: str,
        ring: Ring,
        *,
        instance: str,
        context: "zmq.Context[zmq.Socket[bytes]]",
        gate: Gate,
        older: Older | None = None,
    ) -> None:
        self.address = address
        self._gate = gate
        self.rejected = 0
        self.sent = 0
        self._ring, self._instance, self._older, self._context = ring, instance, older, context
        self._jobs: deque[_Job] = deque()
        self._stop = threading.Event()
        self._grace_s = self._asked_s = self._ending_s = 0.0

    def start(self) -> None:
        """Bind and begin to serve; raises ConfigError or StreamError when the address cannot be had."""
        socket = open_socket(
            self._context,
            zmq.ROUTER,
            max_message_bytes=_MAX_REQUEST_BYTES,
            send_hwm=high_water_mark(BUDGET_BYTES),
            receive_hwm=100,
        )
        socket.router_mandatory = (
            True  # a full or vanished client is told apart, instead of losing frames silently
        )
        self._door = bind(socket, self.address, self._gate)
        self.address = self._door.endpoint
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, args=(socket,), name="replay", daemon=True)
        self._thread.start()

    def stop(self, grace_s: float = 0.0) -> None:
        """End when nobody has asked for anything for a grace; at last, ranges under way are cut."""
        self._grace_s = grace_s
        self._stop.set()
        self._waker.wake()
        self._thread.join()
        self._waker.close()

    def _run(self, socket: "zmq.Socket[bytes]") -> None:
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(self._waker.fd, zmq.POLLIN)
        wait_ms = 0
        try:
            while not self._stop.is_set() or self._may_go_on():
                ending_ms = round(self._grace_s * 1000) if self._stop.is_set() else None
                poller.poll(wait_ms if self._jobs else ending_ms)
                self._waker.clear()
                self._take_requests(socket)
                # A client's full queue cannot be waited for: it is tried again, less and less often.
                moved = self._send_portions(socket)
                wait_ms = 0 if moved else min(_RETRY_MOST_MS, 2 * wait_ms or _RETRY_MS)
        except zmq.ContextTerminated:
            log.warning("the ZeroMQ context was ended before the replay of %s was stopped", self.address)
        finally:
            socket.close(linger=0)

    def _may_go_on(self) -> bool:
        """After the end was asked for: whether somebody is, or was a moment ago, at work with us."""
        now_s = time.monotonic()
        self._ending_s = self._ending_s or now_s
        if now_s - self._ending_s > _ENDING_S or not self._grace_s:
            return False
        return bool(self._jobs) or now_s - max(self._asked_s, self._ending_s) < self._grace_s

    def _take_requests(self, socket: "zmq.Socket[bytes]") -> None:
        for _ in range(_MAX_JOBS):
            try:
                frames = socket.recv_multipart(flags=zmq.NOBLOCK, copy=False, track=False)
            except zmq.Again:
                return
            if self._door.peer(frames[-1]) is None:
                self.rejected += 1  # its key was revoked
                continue
            self._asked_s = time.monotonic()
            peer, *body = (frame.bytes for frame in frames)
            try:
                request = ReplayRequest.model_validate(from_json(body[0] if len(body) == 1 else b""))
            except ValueError:
                self.rejected += 1
                continue
            self._queue(peer, request)

    def _queue(self, peer: bytes, request: ReplayRequest) -> None:
        """Give a request a place, or a refusal; who does not read its refusals gets no more of them.

        Neither the places nor the refusals of one client can take those of another away.
        """
        fault = request.fault(self._instance)
        while self._served() >= _MAX_JOBS and self._drop_stalled():
            pass
        theirs = [job for job in self._jobs if job.peer == peer]
        refused = sum(job.refused for job in theirs)
        served, all_served = len(theirs) - refused, self._served()
        busy = not fault and (all_served >= _MAX_JOBS or served >= _MAX_JOBS_PER_PEER)
        if busy:
            fault = (
                f"{all_served} requests are under way, {served} of them yours; at most {_MAX_JOBS} and "
                f"{_MAX_JOBS_PER_PEER} may be: ask again later"
            )
        if fault and refused >= _MAX_REFUSALS_PER_PEER:
            self.rejected += 1  # not even a refusal can be queued
            return
        if fault and len(self._jobs) - all_served >= _MAX_REFUSALS:
            self._jobs.remove(self._longest(refused=True))  # who reads has had it long ago
        self._jobs.append(_Job(peer, request, self._ring, self._older, fault, busy=busy))

    def _served(self) -> int:
        return sum(not job.refused for job in self._jobs)

    def _longest(self, *, refused: bool) -> _Job:
        """Give the job of this kind that has not moved for the longest time; there is one."""
        return min((job for job in self._jobs if job.refused == refused), key=lambda job: job.moved_s)

    def _drop_stalled(self) -> bool:
        """Make room, if possible: whoever does not read, while others wait for a place, has had its turn."""
        longest = self._longest(refused=False)
        if time.monotonic() - longest.moved_s <= _GIVE_WAY_S:
            return False
        self._jobs.remove(longest)
        return True

    def _send_portions(self, socket: "zmq.Socket[bytes]") -> bool:
        """Send a portion of every job; False when no client took anything."""
        moved = False
        for _ in range(len(self._jobs)):
            job = self._jobs.popleft()
            alive, sent = self._send_some(socket, job)
            moved = moved or sent > 0 or not alive
            if alive and time.monotonic() - job.moved_s < _STALLED_S:
                self._jobs.append(job)
        return moved

    def _send_some(self, socket: "zmq.Socket[bytes]", job: _Job) -> tuple[bool, int]:
        for sent in range(_PORTION):
            message = job.next()
            if message is None:
                return False, sent
            try:
                socket.send_multipart([job.peer, *message], flags=zmq.NOBLOCK)
            except zmq.Again:
                return True, sent
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                return False, sent  # the client has gone
            self.sent += 1
            job.advance()
        return True, _PORTION
