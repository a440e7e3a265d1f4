"""Any TDC that speaks tdc-stream version 1 (docs/protocols/tdc-stream.md): an FPGA board or a home-built one, over TCP or a unix socket.

Confidence: the protocol is this project's own. Tried against scripted peers and the simulated TDC; no FPGA implementation was at hand.
Nothing is merged and nothing hidden: one DATA frame becomes one block, and what is missing or impossible in it becomes a flag of that block.
`arm`, `disarm` and `read_block` belong to one thread; `read` may be called from any other.
"""

import json
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum, IntFlag
from fractions import Fraction
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from evapd.blocks import Anchor, Loss, TdcBlock
from evapd.device import open_transport
from evapd.device.link import Link, TransportFactory, same_serial
from evapd.device.protocols import DriverConfig, TdcSource
from evapd.device.readings import Identity, TdcDescription, TdcReading
from evapd.errors import DeviceIdentityError, DeviceLost, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd.units import US_PER_S

HEADER = struct.Struct("<4sBBHIIQIIQII")
CRC = struct.Struct("<I")
MAGIC, VERSION = b"EVTD", 1
MAX_PAYLOAD = 1 << 24
MAX_PULSE = 1 << 63  # centuries of pulses: beyond it the counter is nonsense
MAX_CHANNEL = 6
PULSE_SHIFT, TIME_BITS = np.uint64(40), np.uint64(32)
TIME_SIGN, TIME_MASK = np.uint64(0x8000_0000), np.uint64(0xFFFF_FFFF)
READ_LIMIT = 1 << 20


class Kind(IntEnum):
    """Kinds of frames."""

    HELLO = 1
    DATA = 2
    ACK = 3
    NAK = 4
    IDENT = 16
    ARM = 17
    DISARM = 18


class Flag(IntFlag):
    """Flags of a DATA frame."""

    LOSS = 1
    SATURATED = 2
    EXHAUSTED = 4


class Frame(NamedTuple):
    """One frame whose checksum is right."""

    kind: int
    flags: int
    seq: int
    first_pulse: int
    pulses: int
    inhibited: int
    t_device_ns: int
    lost_words: int
    payload: memoryview


class Words(NamedTuple):
    """Columns of a DATA frame, ascending in pulse and time; `damaged` when words were impossible or out of order."""

    pulse: NDArray[np.uint64]
    channel: NDArray[np.uint8]
    time: NDArray[np.int32]
    damaged: bool


def encode_request(kind: Kind, seq: int) -> bytes:
    """A request: header without payload, and its checksum; 52 bytes."""
    header = HEADER.pack(MAGIC, VERSION, kind, 0, seq, 0, 0, 0, 0, 0, 0, 0)
    return header + CRC.pack(zlib.crc32(header))


def frame_length(data: bytes | bytearray) -> int | None:
    """Length in bytes of the frame that `data` begins with, or None while its header is incomplete.

    Raises:
        DeviceProtocolError: not a frame of version 1, or longer than one may be.
    """
    if not data.startswith(MAGIC[: len(data)]):
        raise DeviceProtocolError(
            f"magic {bytes(data[:4])!r} where {MAGIC!r} is due: frame boundaries are lost"
        )
    if len(data) < HEADER.size:
        return None
    _, version, _, _, _, length, *_ = HEADER.unpack_from(data)
    if version != VERSION or length > MAX_PAYLOAD:
        raise DeviceProtocolError(
            f"tdc-stream version {version}, payload of {length} bytes: version 1, 2^24 bytes at most"
        )
    return HEADER.size + int(length) + CRC.size


def decode_frame(data: bytes | bytearray) -> Frame:
    """Check and split one whole frame.

    Raises:
        DeviceProtocolError: wrong checksum, or counters that no TDC can have reached.
    """
    body = memoryview(data)[: -CRC.size]
    if zlib.crc32(body) != CRC.unpack_from(data, len(body))[0]:
        raise DeviceProtocolError("wrong checksum: frame boundaries are lost")
    _, _, kind, flags, seq, _, first_pulse, pulses, inhibited, t_device_ns, lost_words, _ = (
        HEADER.unpack_from(data)
    )
    if first_pulse > MAX_PULSE:
        raise DeviceProtocolError(f"pulse number {first_pulse} is impossible")
    return Frame(
        kind, flags, seq, first_pulse, pulses, inhibited, t_device_ns, lost_words, body[HEADER.size :]
    )


def decode_words(frame: Frame) -> Words:
    """Words of a DATA frame as columns; impossible words are discarded, words out of order are sorted, both are `damaged`.

    Raises:
        DeviceProtocolError: the payload is not a whole number of words.
    """
    if len(frame.payload) % 8:
        raise DeviceProtocolError(f"{len(frame.payload)} bytes of payload are not a whole number of words")
    words: NDArray[np.uint64] = np.frombuffer(frame.payload, "<u8")
    if not len(words):
        return Words(words.copy(), np.empty(0, np.uint8), np.empty(0, np.int32), damaged=False)
    damaged = bool(words.view(np.uint8)[4::8].max() > MAX_CHANNEL or int(words.max()) >> 40 >= frame.pulses)
    if damaged:
        words = words[(words.view(np.uint8)[4::8] <= MAX_CHANNEL) & ((words >> PULSE_SHIFT) < frame.pulses)]
    # Pulse above time, the signed time biased so that it orders as an unsigned number.
    order: NDArray[np.uint64] = ((words >> PULSE_SHIFT) << TIME_BITS) | ((words ^ TIME_SIGN) & TIME_MASK)
    if not bool(np.all(order[1:] >= order[:-1])):
        damaged = True
        words = words[np.argsort(order, kind="stable")]
    pulse: NDArray[np.uint64] = words >> PULSE_SHIFT
    pulse += np.uint64(frame.first_pulse)
    return Words(pulse, words.view(np.uint8)[4::8].copy(), words.view("<i4")[0::2].copy(), damaged)


def decode_hello(payload: bytes) -> tuple[Identity, TdcDescription]:
    """The JSON object of HELLO."""
    try:
        told = json.loads(payload)
        texts = {key: told[key] for key in ("vendor", "model", "serial", "firmware")}
        numerator, denominator = told["bin_ps"]
        integers = (numerator, denominator, told["channels"], told["counter_bits"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DeviceProtocolError(f"HELLO is not as the protocol says: {error!r}") from error
    if not all(isinstance(text, str) for text in texts.values()):
        raise DeviceProtocolError("HELLO: vendor, model, serial and firmware must be texts")
    if not all(type(value) is int and 0 < value < 1 << 53 for value in integers):
        raise DeviceProtocolError(
            "HELLO: bin_ps (two), channels and counter_bits must be positive whole numbers"
        )
    description = TdcDescription(
        bin_ps=Fraction(numerator, denominator), channels=told["channels"], counter_bits=told["counter_bits"]
    )
    return Identity(**texts, raw=payload.decode()), description


class TdcStream:
    """A TDC that delivers words with a hardware pulse counter."""

    protocol: ClassVar[type] = TdcSource

    class Config(DriverConfig):
        """Settings: `connect` is `tcp:host:port` or `unix:path`."""

        timeout_s: float = 1.0  # the protocol's for an answer to a request

        @field_validator("connect")
        @classmethod
        def _stream(cls, value: str) -> str:
            if not value.startswith(("tcp:", "unix:")):
                raise ValueError("tdc-stream needs tcp:host:port or unix:path")
            return value

    def __init__(
        self,
        config: Config,
        *,
        transport_factory: TransportFactory = open_transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._link = Link(config, transport_factory, clock)
        self._seq = 0
        self._buffer = bytearray()
        self._description: TdcDescription | None = None
        self._pending: deque[TdcBlock] = deque()
        self._reading = self._begin(armed=False)

    # Binary, and without a port of its own: probed at a unix socket only, because elsewhere its frames may mean anything.
    binary_port: ClassVar[int | None] = None

    @staticmethod
    def identify(link: Link) -> Identity:
        """Ask who is there; a TDC that another client has armed sends data first, and is not recognised then."""
        link.send(encode_request(Kind.IDENT, 1))
        data = link.transport.read_exactly(HEADER.size)
        length = frame_length(data) or 0
        frame = decode_frame(data + link.transport.read_exactly(length - HEADER.size))
        if frame.kind != Kind.HELLO:
            raise DeviceIdentityError(f"a frame of kind {frame.kind} where HELLO is due")
        return decode_hello(bytes(frame.payload))[0]

    @property
    def exhausted(self) -> bool:
        """Whether a source of recorded data has said that it has no more."""
        return self._reading.exhausted

    def open(self) -> Identity:
        """Connect and ask who is there; a frame of an earlier client may come first and is ignored."""
        self._buffer.clear()
        with self._link.opening():
            hello = self._request(Kind.IDENT, Kind.HELLO)
            identity, self._description = decode_hello(bytes(hello.payload))
            same_serial(self._config.serial_number, identity.serial)
            self._reading = self._begin(armed=False)
        return identity

    def close(self) -> None:
        """Close the connection, which disarms the TDC too."""
        self._link.close()

    def read(self) -> TdcReading:
        """Newest counters and the time of the last frame; sends nothing, and may be called from any thread."""
        _ = self._link.transport  # DeviceLost when the connection is not open
        return self._reading

    def make_safe(self) -> None:
        """Nothing to do: a TDC feeds no energy to the specimen, and what it sees while voltage falls is data."""

    def describe(self) -> TdcDescription:
        """Bin width, channels and counter width as HELLO told them."""
        if self._description is None:
            raise DeviceLost("the TDC has not been opened")
        return self._description

    def arm(self) -> None:
        """Reset pulse counter and sequence number to 0 and start; frames of an earlier arming are dropped."""
        self._request(Kind.ARM, Kind.ACK)
        self._reading = self._begin(armed=True)

    def disarm(self) -> None:
        """Stop; frames that were under way are kept and come from `read_block`, after which it gives None."""
        self._request(Kind.DISARM, Kind.ACK)
        self._reading = replace(self._reading, armed=False)

    def read_block(self, timeout_s: float) -> TdcBlock | None:
        """Next frame as a block, or None when none was complete within `timeout_s`.

        Raises:
            DeviceProtocolError: frame boundaries are lost; the connection is closed and must be opened anew.
            DeviceLost: the TDC closed the connection.
        """
        if self._pending:
            return self._pending.popleft()
        if not self._reading.armed:
            return None
        frame = self._next_frame(self._clock() + timeout_s)
        if frame is None:
            return None
        self._refuse_nak(frame)
        if frame.kind != Kind.DATA:
            raise self._lost(f"a frame of kind {frame.kind} where DATA is due")
        return self._block(frame)

    def _begin(self, *, armed: bool) -> TdcReading:
        """Forget earlier frames; counters begin at 0."""
        self._pending.clear()
        self._due_seq, self._due_pulse = 0, 0
        self._received_s = self._clock()
        return TdcReading(
            t_mono_s=self._received_s,
            armed=armed,
            pulse_counter=0,
            words=0,
            lost_words=0,
            sequence_gaps=0,
            saturated=False,
        )

    def _lost(self, why: str) -> DeviceProtocolError:
        self._link.close()
        self._buffer.clear()
        return DeviceProtocolError(f"{self._config.connect}: {why}; the connection is closed, open it anew")

    def _next_frame(self, deadline_s: float) -> Frame | None:
        """Next whole frame, or None at the deadline; what came of it is kept."""
        try:
            while (length := frame_length(self._buffer)) is None or len(self._buffer) < length:
                left_s = max(0.0, deadline_s - self._clock())
                try:
                    self._buffer += self._link.transport.read_some(READ_LIMIT, left_s)
                except DeviceTimeout:
                    return None
                self._received_s = self._clock()
            data = self._buffer[:length]
            del self._buffer[:length]
            return decode_frame(data)
        except DeviceProtocolError as error:
            raise self._lost(str(error)) from error

    def _refuse_nak(self, frame: Frame) -> None:
        if frame.kind == Kind.NAK:
            raise DeviceRefused(f"the TDC answers NAK: {bytes(frame.payload).decode('utf-8', 'replace')}")

    def _request(self, kind: Kind, answer: Kind) -> Frame:
        self._seq = (self._seq + 1) % (1 << 32)
        self._link.transport.write(encode_request(kind, self._seq))
        deadline_s = self._clock() + self._config.timeout_s
        while frame := self._next_frame(deadline_s):
            if frame.kind == Kind.DATA:
                if kind == Kind.DISARM and self._reading.armed:
                    self._pending.append(self._block(frame))
                continue
            self._refuse_nak(frame)
            if frame.kind != answer or frame.seq != self._seq:
                raise self._lost(
                    f"kind {frame.kind}, seq {frame.seq} in answer to {kind.name}, seq {self._seq}"
                )
            return frame
        raise DeviceTimeout(
            f"{self._config.connect}: no answer to {kind.name} in {self._config.timeout_s:g} s"
        )

    def _block(self, frame: Frame) -> TdcBlock:
        last = self._reading
        try:
            words = decode_words(frame)
        except DeviceProtocolError as error:
            raise self._lost(str(error)) from error
        loss = Loss.NONE
        if frame.seq != self._due_seq:
            loss |= Loss.SEQUENCE_GAP
        if frame.first_pulse != self._due_pulse:
            loss |= Loss.COUNTER_JUMP
        if frame.flags & Flag.LOSS or frame.lost_words > last.lost_words:
            loss |= Loss.WORDS_LOST
        if frame.flags & Flag.SATURATED:
            loss |= Loss.SATURATED
        if words.damaged or frame.inhibited > frame.pulses:
            loss |= Loss.DAMAGED
        self._due_seq = (frame.seq + 1) % (1 << 32)
        self._due_pulse = frame.first_pulse + frame.pulses
        self._reading = replace(
            last,
            t_mono_s=self._received_s,
            pulse_counter=self._due_pulse,
            words=last.words + len(words.pulse),
            lost_words=frame.lost_words,
            sequence_gaps=last.sequence_gaps + bool(loss & Loss.SEQUENCE_GAP),
            saturated=bool(frame.flags & Flag.SATURATED),
            exhausted=bool(frame.flags & Flag.EXHAUSTED),
        )
        return TdcBlock(
            first_pulse=frame.first_pulse,
            last_pulse=self._due_pulse - 1,
            bin_ps=self.describe().bin_ps,
            pulse=words.pulse,
            channel=words.channel,
            time=words.time,
            anchor=Anchor(self._due_pulse, int(self._received_s * US_PER_S)),
            loss=loss,
            inhibited_pulses=min(frame.inhibited, frame.pulses),
        )
