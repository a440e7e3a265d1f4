"""A TDC that speaks the tdc-stream protocol: numbers pulses since ARM, queues frames, tells what it lost.

Source: the protocol page tdc-stream, version 1.
"""

import json
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd_sim.plant import Plant
from evapd_sim.wire.base import Wire
from evapd_sim.wire.tdc_faults import TdcFaults
from evapd_sim.wire.tdc_frames import (
    MAX_OFFSET,
    MAX_PAYLOAD,
    Flag,
    Kind,
    Request,
    Requests,
    frame,
    pack_words,
)

_WORD_BYTES = 8
_HEARTBEAT_S = (
    0.0015  # promised are 5 ms; the rest is for a late thread and a poll that rounds up to whole ms
)
_POLL_BYTES = 1 << 20  # given to the server at a time


@dataclass(slots=True)
class _Pending:
    """A DATA frame that waits for the line."""

    first_pulse: int
    pulses: int
    inhibited: int
    t_device_ns: int
    flags: Flag
    lost_words: int
    payload: bytes = b""


class TdcStreamWire(Wire):
    """The TDC's side of the protocol. `deliver` may be called from another thread than the server's.

    Args:
        plant: the physical quantities; the TDC itself drives none of them.
        vendor: in HELLO.
        model: in HELLO.
        serial: in HELLO.
        firmware: in HELLO.
        bin_numerator: bin width in ps is `bin_numerator / bin_denominator`.
        bin_denominator: see above.
        channels: number of channels, 5 for a quad, 7 for a hex anode.
        fifo_words: words that wait for a client that does not read; beyond, words are dropped and counted.
        baud: not used; the protocol is for sockets.
    """

    tick_s: ClassVar[float] = 0.002
    tells_serial: ClassVar[bool] = True

    def __init__(
        self,
        plant: Plant,
        *,
        vendor: str = "evapd",
        model: str = "simulated TDC",
        serial: str = "0001",
        firmware: str = "1",
        bin_numerator: int = 5000,
        bin_denominator: int = 384,
        channels: int = 5,
        fifo_words: int = 1 << 20,
        baud: int = 115_200,
    ) -> None:
        super().__init__(plant, baud=baud)
        self.hello: dict[str, Any] = {
            "vendor": vendor,
            "model": model,
            "serial": serial,
            "firmware": firmware,
            "bin_ps": [bin_numerator, bin_denominator],
            "channels": channels,
            "counter_bits": 64,
        }
        self.faults = TdcFaults()
        self.counter_end = 1 << 64  # where the pulse counter wraps to 0
        self.armed = False
        self.fifo_words = fifo_words
        self._requests = Requests()
        self._queue: deque[_Pending] = deque()
        self._queued_words = 0
        self._sent_s = 0.0  # when the last DATA frame left
        self._device_ns = 0  # the TDC's own clock
        self._restart()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.hello["serial"] = serial

    def count_from(self, pulse: int) -> None:
        """Let the pulse counter stand at `pulse`; what was measured before keeps its numbers."""
        with self.plant.lock:
            self.next_pulse = pulse

    def _restart(self) -> None:
        self._queue.clear()
        self._queued_words = 0
        self.next_pulse = 0
        self._seq = 0
        self.lost_words = 0
        self._exhausted = Flag.NONE

    # -- what is measured -------------------------------------------------------------------------------------------

    def deliver(
        self,
        pulse_offsets: ArrayLike,
        channels: ArrayLike,
        times: ArrayLike,
        *,
        pulses: int,
        inhibited: int = 0,
        t_device_ns: int,
        saturated: bool = False,
        exhausted: bool = False,
        lost: int = 0,
    ) -> bool:
        """Queue what was measured in the next `pulses` pulses; nothing happens while not armed.

        Args:
            pulse_offsets: pulse of each word, 0 to `pulses` - 1, ascending, shape (n,).
            channels: channel of each word, 0 to 255, shape (n,).
            times: time of each word in bins, signed 32 bit, ascending within a pulse, shape (n,).
            pulses: how many pulses are covered, empty ones included.
            inhibited: how many of them were not live.
            t_device_ns: the TDC's clock at the end.
            saturated: a FIFO of the TDC was full.
            exhausted: there is no more to come.
            lost: words that the TDC itself dropped.

        Returns:
            Whether it was taken, that is, whether the TDC is armed.

        Raises:
            ValueError: when words do not fit the protocol.
        """
        offsets = np.asarray(pulse_offsets)
        _check(offsets, pulses)
        channel = np.asarray(channels)
        if (
            channel.dtype != np.uint8
            and len(channel)
            and not 0 <= int(channel.min()) <= int(channel.max()) <= 255
        ):
            raise ValueError("a channel outside 0 to 255")
        words = pack_words(offsets, channel, np.asarray(times))
        with self.plant.lock:
            if not self.armed:
                return False
            kept = self.faults.kept(len(words))
            if kept is not None:
                lost += int(np.count_nonzero(~kept)) if self.faults.told else 0
                words, offsets = words[kept], offsets[kept]
            saturated |= self.faults.full
            flags = (Flag.SATURATED if saturated else Flag.NONE) | (Flag.LOSS if lost else Flag.NONE)
            self._exhausted = Flag.EXHAUSTED if exhausted else self._exhausted
            self.lost_words += lost
            if self._queued_words + len(words) > self.fifo_words:
                self.lost_words += len(words)
                flags |= (Flag.LOSS | Flag.SATURATED) if len(words) else Flag.NONE
                words = words[:0]
            first = self.next_pulse
            self.next_pulse = (first + pulses) % self.counter_end
            for start, end, low, high in _split(offsets[: len(words)], pulses):
                part = words[low:high].copy() if start else words[low:high]
                part[:, 1] -= np.uint32(start << 8)
                last = end == pulses
                self._enqueue(
                    _Pending(
                        first + start, end - start, inhibited if last else 0, t_device_ns, flags if last else Flag.NONE,
                        self.lost_words, part.tobytes(),
                    )
                )  # fmt: skip
        self.wake()
        return True

    def _enqueue(self, pending: _Pending) -> None:
        tail = self._queue[-1] if self._queue else None
        if (
            tail is not None
            and not tail.payload
            and not pending.payload
            and tail.first_pulse + tail.pulses == pending.first_pulse
            and tail.pulses + pending.pulses < 2**32
        ):
            # Nothing but counters: one frame says the same, so that a client that does not read costs no memory.
            tail.pulses += pending.pulses
            tail.inhibited += pending.inhibited
            tail.flags |= pending.flags
            tail.t_device_ns, tail.lost_words = pending.t_device_ns, pending.lost_words
            return
        self._queue.append(pending)
        self._queued_words += len(pending.payload) // _WORD_BYTES

    # -- the line ---------------------------------------------------------------------------------------------------

    def frames_out(self, now_s: float) -> list[bytes]:
        """Give the DATA frames that leave now: what is queued, or a heartbeat when one is due."""
        with self.plant.lock:
            self.advance(now_s)
            return self._frames_out(limit=None)

    def due_s(self, now_s: float) -> float:
        """Give when the next heartbeat is due."""
        if not self.armed:
            return now_s + 0.5
        if not self._may_send():
            return now_s + self.tick_s
        return now_s if self._queue else max(now_s, self._sent_s + _HEARTBEAT_S)

    def _forget(self) -> None:
        self.armed = False  # nobody listens
        self._requests.clear()
        self._restart()

    def _advanced(self, dt_s: float) -> None:
        self._device_ns += round(dt_s * 1e9)

    def _polled(self) -> bytes:
        return b"".join(self._frames_out(limit=_POLL_BYTES))

    def _frames_out(self, limit: int | None) -> list[bytes]:
        if not self.armed or not self._may_send():
            return []
        frames: list[bytes] = []
        size = 0
        while self._queue and (limit is None or size < limit):
            pending = self._queue.popleft()
            self._queued_words -= len(pending.payload) // _WORD_BYTES
            self._device_ns = pending.t_device_ns
            frames.append(self._data(pending))
            size += len(frames[-1])
        if not frames and self.now_s - self._sent_s >= _HEARTBEAT_S:
            frames.append(
                self._data(_Pending(self.next_pulse, 0, 0, self._device_ns, Flag.NONE, self.lost_words))
            )
        if frames:
            self._sent_s = self.now_s
        return frames

    def _may_send(self) -> bool:
        """Whether nothing inside the TDC keeps its frames back."""
        return not self.faults.hung and (self.faults.heartbeats or self._queued_words > 0)

    def _data(self, pending: _Pending) -> bytes:
        # Only the newest frame may say that there is no more.
        flags = pending.flags | (Flag.NONE if self._queue else self._exhausted)
        seq, self._seq = self._seq, self._seq + 1
        return frame(
            Kind.DATA, pending.payload, seq=seq, flags=flags, first_pulse=pending.first_pulse, pulses=pending.pulses,
            inhibited=pending.inhibited, t_device_ns=pending.t_device_ns, lost_words=pending.lost_words,
        )  # fmt: skip

    def _received(self, data: bytes) -> bytes:
        return b"".join(self._reply(request) for request in self._requests.feed(data))

    def _reply(self, request: Request | str) -> bytes:
        if isinstance(request, str):
            return frame(Kind.NAK, request.encode())
        if request.kind == Kind.IDENT:
            return frame(Kind.HELLO, json.dumps(self.hello, separators=(",", ":")).encode(), seq=request.seq)
        if request.kind == Kind.ARM:
            self._restart()
            self.armed = True
            self._sent_s = self.now_s
            return frame(Kind.ACK, seq=request.seq)
        if request.kind == Kind.DISARM:
            rest = b"".join(self._frames_out(limit=None)) if self._queue else b""
            self.armed = False
            return rest + frame(Kind.ACK, seq=request.seq)
        return frame(Kind.NAK, f"unknown request {request.kind}".encode(), seq=request.seq)


def _check(offsets: NDArray[Any], pulses: int) -> None:
    """Refuse what the protocol cannot say."""
    if pulses < 0 or pulses >= 2**32:
        raise ValueError(f"{pulses} pulses in one delivery, allowed are 0 to 2^32 - 1")
    if len(offsets) == 0:
        return
    if not bool((offsets[1:] >= offsets[:-1]).all()):
        raise ValueError("words are not ascending in pulse: sort them before delivery")
    if int(offsets[0]) < 0 or int(offsets[-1]) >= min(pulses, MAX_OFFSET):
        raise ValueError(
            f"a word of pulse {int(offsets[-1])} where {pulses} pulses are covered: "
            f"allowed are 0 to {min(pulses, MAX_OFFSET) - 1}"
        )


def _split(offsets: NDArray[Any], pulses: int) -> list[tuple[int, int, int, int]]:
    """Cut a delivery into frames: (first offset, end offset, first word, end word), none over the largest payload."""
    most = MAX_PAYLOAD // _WORD_BYTES
    parts: list[tuple[int, int, int, int]] = []
    start = low = 0
    while len(offsets) - low > most:
        end = int(
            offsets[low + most]
        )  # the pulse of the first word that does not fit: whole in the next frame
        high = int(np.searchsorted(offsets, end))
        if high == low:
            raise ValueError(f"more than {most} words in one pulse")
        parts.append((start, end, low, high))
        start, low = end, high
    return [*parts, (start, pulses, low, len(offsets))]
