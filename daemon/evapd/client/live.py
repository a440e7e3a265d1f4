"""The live socket: what a display shows, decimated by the daemon; a slow reader sees the newest, never a backlog."""

import base64
import binascii
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from evapd.errors import FrameError
from evapd.security.keys import ClientKeys
from evapd.stream.frame import MAX_PAYLOAD_BYTES
from evapd.stream.jsontext import from_json
from evapd.stream.sockets import connect, open_socket
from evapd.stream.subscriber import Notice, StreamCounts

_TOPIC = b"live."
_HWM = 2
_HEARTBEAT_MS = 5000
_DTYPES = ("<u1", "|u1", "<i1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8")
_ARRAY = {"dtype", "shape", "data"}


class LiveSource:
    """Receives live documents, arrays inside as numpy arrays; used by one thread. It never repairs: the next is due."""

    def __init__(
        self, address: str, *, keys: ClientKeys | None, context: "zmq.Context[zmq.Socket[bytes]]"
    ) -> None:
        self.counts = StreamCounts()
        self._first: dict[str, Any] | None = None
        self._notices: list[Notice] = []
        self._socket = open_socket(
            context, zmq.SUB, max_message_bytes=MAX_PAYLOAD_BYTES, send_hwm=_HWM, receive_hwm=_HWM
        )
        self._socket.heartbeat_ivl = _HEARTBEAT_MS
        self._socket.conflate = True  # only the newest is kept here: what waits would be old when it is read
        connect(self._socket, address, keys)
        self._socket.subscribe(_TOPIC)

    def await_welcome(self, timeout_s: float) -> bool:
        """Wait for the first document, and keep it."""
        self._first = self._first or self.receive(timeout_s)
        return self._first is not None

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """Give the next document, or None when there was none in time."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        deadline_s = time.monotonic() + timeout_s
        while self._socket.poll(max(0, round((deadline_s - time.monotonic()) * 1000))):
            try:
                document = decode_live(self._socket.recv_multipart(flags=zmq.NOBLOCK))
            except FrameError as error:
                self.counts.garbage += 1
                self._notices = [Notice("garbage", str(error))]
            else:
                self.counts.received += 1
                return document
        return None

    def take_notices(self) -> list[Notice]:
        """Give what was no document."""
        notices, self._notices = self._notices, []
        return notices

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)


def decode_live(parts: list[bytes]) -> dict[str, Any]:
    """Decode one live message: the topic and one JSON document in one part.

    Raises:
        FrameError: when it is something else.
    """
    if len(parts) != 1 or not parts[0].startswith(_TOPIC):
        raise FrameError("a live message is one part that begins with its topic")
    try:
        document = _with_arrays(from_json(parts[0][len(_TOPIC) :]))
    except ValueError as error:
        raise FrameError(f"not a live document: {error}") from None
    if not isinstance(document, dict):
        raise FrameError("a live document is an object")
    return document


def mass_edges_da(spectrum: Mapping[str, Any]) -> NDArray[np.float64]:
    """Give the edges in Da of the bins of a live document's `spectrum`: one more than there are bins."""
    share = np.arange(int(spectrum["bins"]) + 1) / int(spectrum["bins"])
    if spectrum["spacing"] != "root":
        raise FrameError(f"a spectrum of spacing {spectrum['spacing']!r}: update this program")
    edges: NDArray[np.float64] = float(spectrum["max_da"]) * share**2
    return edges


def _with_arrays(content: Any) -> Any:
    if isinstance(content, list):
        return [_with_arrays(one) for one in content]
    if not isinstance(content, dict):
        return content
    if content.keys() == _ARRAY:
        return _array(content)
    return {key: _with_arrays(value) for key, value in content.items()}


def _array(content: dict[str, Any]) -> NDArray[Any]:
    dtype, shape, data = content["dtype"], content["shape"], content["data"]
    if dtype not in _DTYPES or not isinstance(data, str) or not isinstance(shape, list):
        raise ValueError(f"an array of dtype {str(dtype)[:20]!r}")
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError("an array whose shape is not whole numbers")
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(f"an array's data: {error}") from None
    if math.prod(shape) * np.dtype(dtype).itemsize != len(raw):
        raise ValueError(f"an array of shape {shape} with {len(raw)} bytes")
    return np.frombuffer(raw, dtype=dtype).reshape(shape)
