"""Asks the replay socket for missed frames; the receiving side of `evapd.stream.replay`."""

import logging
import time
import uuid

import zmq

from evapd.errors import FrameError
from evapd.security.keys import ClientKeys
from evapd.stream.frame import MAX_PAYLOAD_BYTES, VERSION, Message, decode
from evapd.stream.jsontext import to_json
from evapd.stream.replay import END_TOPIC
from evapd.stream.sockets import connect, high_water_mark, open_socket
from evapd.stream.tracker import Gap

_BUDGET_BYTES = 16 * 1024 * 1024
_SILENCE_S = 1.0
_BACK_OFF_S = 5.0

log = logging.getLogger(__name__)


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

    def fetch(self, gap: Gap) -> list[Message]:
        """Give those frames of a gap that there still are, in order; none when the replay socket does not answer."""
        if time.monotonic() < self._not_before_s:
            return []
        request_id = uuid.uuid4().hex
        request = {
            "v": VERSION,
            "id": request_id,
            "instance": gap.instance,
            "topic": gap.topic,
            "first_seq": gap.first_seq,
            "last_seq": gap.last_seq,
        }
        messages: list[Message] = []
        socket = self._socket or self._open()
        if socket.poll(round(_SILENCE_S * 1000), zmq.POLLOUT):
            socket.send(to_json(request), flags=zmq.NOBLOCK)
            while socket.poll(round(_SILENCE_S * 1000), zmq.POLLIN):
                message = _decode(socket.recv_multipart(flags=zmq.NOBLOCK))
                if message is None:
                    continue
                if message.topic == END_TOPIC and _is_end(message, request_id):
                    return messages
                after = messages[-1].seq if messages else gap.first_seq - 1
                wanted = message.topic == gap.topic and message.instance == gap.instance
                if wanted and after < message.seq <= gap.last_seq:
                    messages.append(message)
        log.warning(
            "the replay socket %s does not answer; missed frames are only counted for a while", self.address
        )
        self._not_before_s = time.monotonic() + _BACK_OFF_S
        self.close()  # a late answer must not be taken for that to the next request
        return messages

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def _open(self) -> "zmq.Socket[bytes]":
        socket = open_socket(
            self._context,
            zmq.DEALER,
            max_message_bytes=MAX_PAYLOAD_BYTES,
            send_hwm=4,
            receive_hwm=high_water_mark(_BUDGET_BYTES),
        )
        socket.immediate = True
        connect(socket, self.address, self._keys)
        self._socket = socket
        return socket


def _decode(parts: list[bytes]) -> Message | None:
    if len(parts) != 3:
        return None
    try:
        return decode(*parts)
    except FrameError as error:
        log.warning("the replay socket sent something else than a frame: %s", error)
        return None


def _is_end(message: Message, request_id: str) -> bool:
    return isinstance(message.document, dict) and message.document.get("id") == request_id
