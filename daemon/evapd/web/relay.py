"""From the daemon's sockets to the hub: a plain subscriber, which holds nothing that matters.

A live frame is handed on as it came: the cost of a viewer is that of copying bytes. It is read once, for its points.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import zmq
import zmq.asyncio

from evapd.errors import FrameError
from evapd.security.keys import ClientKeys
from evapd.stream.frame import EVENT, LOOP, SLOW, STATE, Message, decode
from evapd.stream.jsontext import to_json
from evapd.stream.publisher import LIVE_TOPIC
from evapd.stream.sockets import connect, open_socket
from evapd.web.hub import PICTURE, Hub
from evapd.web.points import PointRing

SILENT_S = 2.0  # what is older is not shown as present
_LARGEST_LIVE_BYTES = 4 * 1024 * 1024
_LARGEST_FRAME_BYTES = 16 * 1024 * 1024
_RECEIVE_HWM = 500
_SEND_HWM = 100  # subscriptions leave as messages: more of them than this would be lost
_LOOP_ROWS = 200  # rows that wait for the next live frame, at most

log = logging.getLogger(__name__)


def envelope(kind: str, data: bytes) -> bytes:
    """Wrap a JSON document for the page."""
    return b'{"kind":"%s","data":%s}' % (kind.encode(), data)


class Relay:
    """Subscribes to the live socket and to states, events, slow readings and loop samples.

    Args:
        stream: Address of the stream.
        live: Address of the live socket.
        hub: Where everything goes.
        keys: Keys for sockets that ask for them.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        stream: str,
        live: str,
        hub: Hub,
        *,
        keys: ClientKeys | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._live, self._hub, self._keys, self._clock = stream, live, hub, keys, clock
        self.last_live_s: float | None = None
        self.points = PointRing()
        self._loop_rows: dict[str, list[float | None]] = {}
        self._told_silent: int | None = None
        self._begun_s = clock()

    async def run(self) -> None:
        """Hand on until cancelled."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_live(context))
                group.create_task(self._follow_stream(context))
                group.create_task(self._watch_silence())
        finally:
            context.destroy(linger=0)

    async def _follow_live(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        socket = open_socket(
            context, zmq.SUB, max_message_bytes=_LARGEST_LIVE_BYTES, send_hwm=1, receive_hwm=2
        )
        socket.subscribe(LIVE_TOPIC)
        connect(socket, self._live, self._keys)
        awaited = zmq.asyncio.Socket.from_socket(socket)
        while True:
            parts = await awaited.recv_multipart()
            body = parts[0][len(LIVE_TOPIC) :]
            # Anything else than a document would break the envelope around it for every viewer.
            if len(parts) != 1 or not (body.startswith(b"{") and body.endswith(b"}")):
                log.warning("the live socket sent something else than a document of one part")
                continue
            self.last_live_s = self._clock()
            self._tell_presence()
            self._hub.tell(PICTURE, envelope(PICTURE, body))
            self.points.take(body)
            if self._loop_rows:
                rows, self._loop_rows = self._loop_rows, {}
                self._hub.tell("loop", envelope("loop", to_json(rows)))

    async def _follow_stream(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        socket = open_socket(
            context,
            zmq.SUB,
            max_message_bytes=_LARGEST_FRAME_BYTES,
            send_hwm=_SEND_HWM,
            receive_hwm=_RECEIVE_HWM,
        )
        for topic in (EVENT, STATE, SLOW, LOOP):
            socket.subscribe(topic.encode())
        connect(socket, self._stream, self._keys)
        awaited = zmq.asyncio.Socket.from_socket(socket)
        while True:
            parts = await awaited.recv_multipart()
            if len(parts) != 3:
                log.warning("the stream sent %d parts instead of 3", len(parts))
                continue
            try:
                self._take(decode(parts[0], parts[1], parts[2]))
            except FrameError as error:
                log.warning("the stream sent something else than a frame: %s", error)

    def _take(self, message: Message) -> None:
        if message.topic == LOOP:
            for name, column in message.columns.items():
                row = self._loop_rows.setdefault(name, [])
                row.extend(column.tolist())
                del row[:-_LOOP_ROWS]
            return
        content = {
            "t_utc": message.header.get("t_utc"),
            "run": message.header.get("run"),
            "seq": message.seq,
            "instance": message.instance,
            **(message.document if isinstance(message.document, dict) else {}),
        }
        if message.topic == EVENT:
            self._hub.tell_event(envelope("event", to_json(content)))
        else:
            kind = message.topic.rstrip(".")
            self._hub.tell(kind, envelope(kind, to_json(content)))

    async def _watch_silence(self) -> None:
        while True:
            self._tell_presence()
            await asyncio.sleep(0.5)

    def _tell_presence(self) -> None:
        """Say once a second that the daemon is silent, and for how long; and once, at once, that it is back."""
        silent_s = self._clock() - (self._begun_s if self.last_live_s is None else self.last_live_s)
        present = self.last_live_s is not None and silent_s < SILENT_S
        told = -1 if present else round(silent_s)
        if told != self._told_silent:
            self._told_silent = told
            self._hub.tell("daemon", envelope("daemon", to_json({"present": present, "silent_s": silent_s})))
