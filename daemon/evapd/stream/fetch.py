"""Asks the replay socket for missed frames; the receiving side of `evapd.stream.replay`."""

import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import zmq

from evapd.errors import FrameError
from evapd.security.keys import ClientKeys
from evapd.stream.frame import MAX_PAYLOAD_BYTES, VERSION, Message, decode
from evapd.stream.jsontext import MAX_INTEGER, to_json
from evapd.stream.replay import END_TOPIC, MAX_RANGE
from evapd.stream.sockets import connect, high_water_mark, open_socket
from evapd.stream.tracker import Gap

AT_ONCE = 1000  # frames of one request
AT_ONCE_BYTES = 8 * 1024 * 1024  # and their bytes: what a repair holds in memory
_SILENCE_S = 1.0
_BACK_OFF_S = 5.0
_BUSY_S = 0.1
_BUSY_TRIES = 20

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Answer:
    """Frames of a gap in order, and up to which number there are no others to be had.

    Behind `last_there` nothing was ever published.
    """

    through: int
    messages: list[Message] = field(default_factory=list)
    last_there: int = MAX_INTEGER


class Fetcher:
    """Fetches ranges one after the other; used by one thread.

    A replay socket that stays silent for a second is left alone for five, so that a subscriber keeps up with the
    stream rather than wait for the past.
    """

    def __init__(
        self, address: str, context: "zmq.Context[zmq.Socket[bytes]]", *, keys: ClientKeys | None = None
    ) -> None:
        self.address = address
        self._keys = keys
        self._context = context
        self._socket: zmq.Socket[bytes] | None = None
        self._not_before_s = 0.0
        self._at_once = AT_ONCE

    def fetch(self, gap: Gap) -> Answer:
        """Give the first frames of a gap that there still are: some megabytes at most, so ask again for the rest.

        When the replay socket does not answer, there are none of the whole gap.
        """
        last = min(gap.last_seq, gap.first_seq + self._at_once - 1)
        asked = Gap(gap.instance, gap.topic, gap.first_seq, last)
        for _ in range(_BUSY_TRIES):
            if time.monotonic() < self._not_before_s:
                break
            answer, busy = self._ask(asked)
            if answer is not None and not (busy and answer.through < gap.first_seq):
                # Where nothing is left, the next step is the longest; memory is bounded by bytes in any case.
                self._at_once = AT_ONCE if answer.messages else MAX_RANGE
                return answer
            if busy:
                time.sleep(_BUSY_S)
        return Answer(gap.last_seq)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def _ask(self, gap: Gap) -> tuple[Answer | None, bool]:
        """Ask once; gives the answer, None when none came, and whether the daemon was too busy."""
        request_id = uuid.uuid4().hex
        request = {
            "v": VERSION,
            "id": request_id,
            "instance": gap.instance,
            "topic": gap.topic,
            "first_seq": gap.first_seq,
            "last_seq": gap.last_seq,
            "max_bytes": AT_ONCE_BYTES,
        }
        answer = Answer(gap.last_seq)
        socket = self._socket or self._open()
        if socket.poll(round(_SILENCE_S * 1000), zmq.POLLOUT):
            socket.send(to_json(request), flags=zmq.NOBLOCK)
            while socket.poll(round(_SILENCE_S * 1000), zmq.POLLIN):
                message = self._decode(socket.recv_multipart(flags=zmq.NOBLOCK))
                if message is None:
                    continue
                if message.topic == END_TOPIC and _is_end(message, request_id):
                    return _ended(answer, gap, message.document), message.document.get("busy") is True
                after = answer.messages[-1].seq if answer.messages else gap.first_seq - 1
                wanted = message.topic == gap.topic and message.instance == gap.instance
                if wanted and after < message.seq <= gap.last_seq:
                    answer.messages.append(message)
        log.warning(
            "the replay socket %s does not answer; missed frames are only counted for a while", self.address
        )
        self._not_before_s = time.monotonic() + _BACK_OFF_S
        self.close()  # a late answer must not be taken for that to the next request
        return (answer, False) if answer.messages else (None, False)

    def _open(self) -> "zmq.Socket[bytes]":
        socket = open_socket(
            self._context,
            zmq.DEALER,
            max_message_bytes=MAX_PAYLOAD_BYTES,
            send_hwm=4,
            receive_hwm=high_water_mark(AT_ONCE_BYTES),
        )
        socket.immediate = True
        connect(socket, self.address, self._keys)
        self._socket = socket
        return socket

    def _decode(self, parts: list[bytes]) -> Message | None:
        if len(parts) != 3:
            return None
        try:
            return decode(*parts)
        except FrameError as error:
            log.warning("the replay socket sent something else than a frame: %s", error)
            return None


def _is_end(message: Message, request_id: str) -> bool:
    return isinstance(message.document, dict) and message.document.get("id") == request_id


def _ended(answer: Answer, gap: Gap, document: dict[str, Any]) -> Answer:
    """Read the end document, which may be anything."""
    through, newest = document.get("through"), document.get("newest")
    after = answer.messages[-1].seq if answer.messages else gap.first_seq - 1
    if type(through) is int and after <= through <= gap.last_seq:
        answer.through = through
    if type(newest) is int and document.get("error") == "":
        answer.last_there = newest
    return answer
