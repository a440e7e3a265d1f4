"""Frames: one topic, one JSON header, one payload; encoded once, the same bytes for journal and stream.

The layout is written down in docs/protocols/stream.md. Columns are contiguous, little endian, and each begins at a
multiple of 8 bytes, so that every language can map them without copying.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import HIT_COLUMNS, TDC_COLUMNS, Anchor, Column, HitBlock, Loss, TdcBlock
from evapd.errors import FrameError
from evapd.stream.jsontext import from_json, to_json
from evapd.stream.layout import Place, read_header
from evapd.stream.layout import natural as _natural

VERSION = 1
HITS, WORDS, LOOP, SLOW, STATE, EVENT, BEAT = "hits.", "words.", "loop.", "slow.", "state.", "event.", "beat."
TOPICS = (HITS, WORDS, LOOP, SLOW, STATE, EVENT, BEAT)
MAX_HEADER_BYTES = 65536
MAX_PAYLOAD_BYTES = 256 * 1024 * 1024
_ALIGN = 8


# How every header of ours begins; another order of keys is read the long way.
_STAMP = re.compile(
    rb'\{"v":1,"instance":"([^"\\]*)","run":"([^"\\]*)","segment":(\d{1,16}),"seq":(\d{1,16})[,}]'
)


class Stamp(NamedTuple):
    """What a header says of its frame's place: start of the daemon, run, segment, and number within the topic."""

    instance: str
    run: str
    segment: int
    seq: int


def stamp(header: bytes) -> Stamp:
    """Read the stamp of a header, without the rest where it was made here.

    Raises:
        FrameError: when there is none.
    """
    found = _STAMP.match(header)
    try:
        if found is not None:
            instance, run, segment, seq = found.groups()
            return Stamp(instance.decode("ascii"), run.decode("ascii"), int(segment), int(seq))
        fields = from_json(header)
        run, segment = fields.get("run", ""), fields.get("segment", 0)
        return Stamp(str(fields["instance"]), str(run), int(segment), _natural(fields, "seq"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FrameError(f"not a header: {type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class Frame:
    """Encoded bytes of one frame."""

    topic: str
    header: bytes
    payload: bytes | memoryview

    @property
    def nbytes(self) -> int:
        """Bytes of header and payload."""
        return len(self.header) + len(self.payload)

    @property
    def seq(self) -> int:
        """Sequence number within topic and instance, read from the header."""
        return stamp(self.header).seq

    def parts(self) -> list[bytes | memoryview]:
        """Give the three parts of the multipart message."""
        return [self.topic.encode("ascii"), self.header, self.payload]


def _pack(columns: Sequence[tuple[Column, NDArray[Any]]]) -> tuple[list[dict[str, Any]], memoryview]:
    sizes = [len(array) * np.dtype(column.dtype).itemsize for column, array in columns]
    offsets = [0]
    for size in sizes:
        offsets.append(offsets[-1] + -(-size // _ALIGN) * _ALIGN)
    buffer = np.zeros(offsets[-1], dtype=np.uint8)
    described = []
    for (column, array), offset, size in zip(columns, offsets[:-1], sizes, strict=True):
        buffer[offset : offset + size].view(column.dtype)[:] = array
        described.append({"name": column.name, "dtype": column.dtype, "offset": offset, "unit": column.unit})
    return described, buffer.data.toreadonly()


@dataclass(slots=True)
class Framer:
    """Makes frames with headers of one instance; sequence numbers per topic have no gaps.

    Thread-safe. `run` and `segment` are those of the run under way; between runs they are "" and 0.
    """

    instance: str
    t_mono_us: Callable[[], int]
    t_utc_us: Callable[[], int]
    run: str = ""
    segment: int = 0
    _next: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 0))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_seq(self) -> dict[str, int]:
        """Give the sequence number that the next frame of every topic will carry."""
        with self._lock:
            return dict(self._next)

    def _take(self, topic: str) -> int:
        with self._lock:
            seq = self._next[topic]
            self._next[topic] = seq + 1
        return seq

    def _frame(self, topic: str, extra: Mapping[str, Any], payload: bytes | memoryview) -> Frame:
        header = {
            "v": VERSION,
            "instance": self.instance,
            "run": self.run,
            "segment": self.segment,
            "seq": self._take(topic),
            "t_mono_us": self.t_mono_us(),
            "t_utc": self.t_utc_us(),
            **extra,
        }
        return Frame(topic, to_json(header), payload)

    def hits(self, block: HitBlock) -> Frame:
        """Encode a block of hits."""
        columns, payload = _pack([(column, getattr(block, column.name)) for column in HIT_COLUMNS])
        extra = _block_header(block, columns) | {"calibration": block.calibration}
        return self._frame(HITS, extra, payload)

    def words(self, block: TdcBlock) -> Frame:
        """Encode a block of TDC words."""
        columns, payload = _pack([(column, getattr(block, column.name)) for column in TDC_COLUMNS])
        extra = _block_header(block, columns) | {"bin_ps": [block.bin_ps.numerator, block.bin_ps.denominator]}
        return self._frame(WORDS, extra, payload)

    def samples(
        self, topic: str, columns: Mapping[Column, Sequence[float] | NDArray[Any]], **extra: Any
    ) -> Frame:
        """Encode rows of numbers, such as those of the control loop; all columns have one length."""
        arrays = [(column, np.asarray(values, dtype=column.dtype)) for column, values in columns.items()]
        lengths = {len(array) for _, array in arrays}
        if len(lengths) != 1:
            raise FrameError(
                f"{topic} columns of different lengths {sorted(lengths)}: give every column one value per row"
            )
        described, payload = _pack(arrays)
        return self._frame(topic, {"n": lengths.pop(), "columns": described, **extra}, payload)

    def document(self, topic: str, content: Any, **extra: Any) -> Frame:
        """Encode a JSON payload: states, events, slow readings. NaN and infinity become null."""
        return self._frame(topic, {"n": 1, "columns": [], **extra}, to_json(content))

    def beat(self) -> Frame:
        """Encode the last sequence number of every topic, -1 where nothing was sent yet."""
        last = {topic: seq - 1 for topic, seq in self.next_seq().items() if topic != BEAT}
        return self.document(BEAT, {"last_seq": last})

    def restamp(self, message: "Message") -> Frame:
        """Give a frame of another instance this instance's sequence number; the original stays under `origin`."""
        return restamped(message, Stamp(self.instance, self.run, self.segment, self._take(message.topic)))


def restamped(message: "Message", own: Stamp) -> Frame:
    """Give a frame of another process our own stamp; what it was called there stays under `origin`.

    It depends on nothing else, so that the same bytes can be made again from what is on disk.
    """
    header = {"v": VERSION, **own._asdict()}
    header |= {key: value for key, value in message.header.items() if key not in header}
    header["origin"] = {key: message.header[key] for key in ("instance", "seq")}
    return Frame(message.topic, to_json(header), message.payload)


def _block_header(block: HitBlock | TdcBlock, columns: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "n": block.n,
        "columns": columns,
        "first_pulse": block.first_pulse,
        "last_pulse": block.last_pulse,
        "inhibited_pulses": block.inhibited_pulses,
        "anchor": list(block.anchor),
        "loss": int(block.loss),
        "dropped": 0,
    }


@dataclass(frozen=True, slots=True)
class Message:
    """One decoded frame. `columns` are read-only views of the payload, `document` the JSON payload or None.

    `decode` has checked `v`, `instance`, `seq`, `n` and `columns` of the header; the rest is as it came.
    """

    topic: str
    header: dict[str, Any]
    payload: bytes | memoryview
    places: tuple[Place, ...]
    document: Any = None
    _columns: dict[str, NDArray[Any]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name, made when they are first asked for: whoever only counts frames needs none."""
        made = self._columns
        if not made:
            n, payload = self.header["n"], self.payload
            for name, dtype, offset, _ in self.places:
                made[name] = np.frombuffer(payload, dtype, n, offset) if n else np.empty(0, dtype)
            if not isinstance(payload, bytes):  # of bytes they are read-only by themselves
                for column in made.values():
                    column.flags.writeable = False
        return made

    @property
    def seq(self) -> int:
        """Sequence number within topic and instance."""
        return int(self.header["seq"])

    @property
    def instance(self) -> str:
        """The start of the daemon that this frame belongs to."""
        return str(self.header["instance"])

    def hit_block(self) -> HitBlock:
        """Rebuild the hits; raises FrameError when the header lacks what a block needs."""
        return HitBlock(**self._block(HITS, HIT_COLUMNS), calibration=str(self.header.get("calibration", "")))

    def tdc_block(self) -> TdcBlock:
        """Rebuild the words; raises FrameError when the header lacks what a block needs."""
        try:
            numerator, denominator = self.header["bin_ps"]
            bin_ps = Fraction(numerator, denominator)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise FrameError(f"words without a usable bin_ps: {type(error).__name__}: {error}") from None
        return TdcBlock(**self._block(WORDS, TDC_COLUMNS), bin_ps=bin_ps)

    def _block(self, topic: str, columns: tuple[Column, ...]) -> dict[str, Any]:
        missing = [column.name for column in columns if column.name not in self.columns]
        if self.topic != topic or missing:
            raise FrameError(
                f"a frame of topic {self.topic!r} without columns {missing} cannot become a block of {topic!r}"
            )
        wrong = [c.name for c in columns if self.columns[c.name].dtype != np.dtype(c.dtype)]
        if wrong:
            raise FrameError(
                f"columns {wrong} of a frame of topic {topic!r} have another type than the protocol's"
            )
        try:
            return {column.name: self.columns[column.name] for column in columns} | {
                "first_pulse": int(self.header["first_pulse"]),
                "last_pulse": int(self.header["last_pulse"]),
                "inhibited_pulses": int(self.header.get("inhibited_pulses", 0)),
                "anchor": Anchor(*self.header["anchor"]),
                "loss": Loss(self.header["loss"]),
            }
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise FrameError(
                f"a frame of topic {topic!r} lacks a block's header: {type(error).__name__}: {error}"
            ) from None


def decode(topic: bytes, header: bytes, payload: bytes | memoryview) -> Message:
    """Decode one frame; every byte is treated as hostile.

    Raises:
        FrameError: when the bytes are not a frame of this protocol.
    """
    if len(header) > MAX_HEADER_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise FrameError(f"frame of {len(header)} + {len(payload)} bytes is larger than the protocol allows")
    try:
        name = topic.decode("ascii")
        fields, places = read_header(header)
        if fields["v"] != VERSION:
            raise FrameError(f"frame of topic {name!r} is not of version {VERSION}: update this program")
        _natural(fields, "seq")
        n = _natural(fields, "n")
        if not isinstance(fields["instance"], str):
            raise FrameError("the instance in a header is not a text")
        size = len(payload)
        for place in places:
            if place.offset + n * place.itemsize > size:
                raise FrameError(f"column {place.name!r} does not lie within its payload")
        document = None if places or not len(payload) else from_json(bytes(payload))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FrameError(f"not a frame: {type(error).__name__}: {error}") from None
    return Message(name, fields, payload, places, document)
