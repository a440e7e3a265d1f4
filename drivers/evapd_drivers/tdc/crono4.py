"""cronologic TimeTagger4 and xTDC4, start and 4 stops, through the maker's library: one packet for every start.

Sources: public headers and user guides of both boards. Confidence: middle, headers, guides and the maker's example agree.
Nothing here was tried on hardware. Tried against a library made of C with the same functions and a ring of packets.
Doubts: whether packets are always contiguous between `first_packet` and `last_packet` (the maker's example takes them so); packets
lost before a START_MISSED are not counted by the board, so pulse numbers after one are too small, which is flagged.
With 4 stops a quad anode has no channel for its MCP, and every hit is one without it; hits with the FPGA_MISSING flag are kept.
Packets without hits must come, because they are the count of pulses: the library's option to leave them out stays off.
"""

import ctypes
import time
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, cast, sizeof
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from evapd.blocks import Loss, TdcBlock
from evapd.device.protocols import TdcSource
from evapd.device.readings import Identity, TdcDescription
from evapd.errors import DeviceIdentityError, DeviceLost, DeviceRefused
from evapd.units import Second, Volt
from evapd_drivers.tdc import crono4_library as c
from evapd_drivers.tdc import crono4_packets as packets
from evapd_drivers.tdc.source import LibrarySource, checked
from evapd_drivers.tdc.vendor import LibraryConfig, load_library, same_size, text

Stop = Literal["A", "B", "C", "D"]
STOPS = "ABCD"
ROOM = 1 << 16  # behind a structure that the library fills
BAD = packets.IMPOSSIBLE
LONGEST_BINS = 0x7FFF_FFFF
PACKET_BYTES = 16


class Crono4(LibrarySource[TdcBlock]):
    """One board, grouped by its starts."""

    protocol: ClassVar[type] = TdcSource
    prefix: ClassVar[str]
    model: ClassVar[str]

    class Config(LibraryConfig):
        """Settings: `channels` is the block's channel of each stop in use."""

        board: Annotated[int, Field(ge=0, le=15)] = 0
        channels: dict[Stop, Annotated[int, Field(ge=0, le=6)]] = Field(
            default={"A": 1, "B": 2, "C": 3, "D": 4}
        )
        threshold_v: Annotated[Volt, Field(ge=-1.27, le=1.13)] = -0.35
        start_threshold_v: Annotated[Volt, Field(ge=-1.27, le=1.13)] = -0.35
        rising: bool = False
        window_s: Annotated[Second, Field(gt=0, le=0.1)] | None = (
            None  # stops later after their start are left out
        )
        external_clock: bool = False  # 10 MHz

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._config = config
        self._library: Any = None
        self._device: int | None = None
        self._rollover = 1 << 24
        self._table = np.full(16, -1, np.int16)
        for name, channel in config.channels.items():
            self._table[STOPS.index(name)] = channel
        self._next = self._lost = 0

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._library, f"{self.prefix}_{name}")(*arguments)

    def _sound(self, what: str, name: str, *arguments: Any, error: Any = DeviceLost) -> None:
        checked(self._call(name, self._device, *arguments), f"{self.model}, {what}", self._why, error)

    def _connect(self) -> tuple[Identity, TdcDescription]:
        self._library = load_library(self._config.library, c.signatures(self.prefix))
        code, message = c_int(), c_char_p()
        boards = self._call("count_devices", byref(code), byref(message))
        checked(code.value, f"counting the {self.model} boards", lambda: text(message.value))
        if boards <= self._config.board:
            raise DeviceLost(
                f"{boards} {self.model} boards are there, `board` is {self._config.board}: look at the slots"
            )
        parameters = c.InitParameters()
        checked(self._call("get_default_init_parameters", byref(parameters)), "init parameters", self._why)
        same_size("version of the init parameters", parameters.version, c.API_VERSION)
        parameters.card_index = self._config.board
        parameters.use_ext_clock = self._config.external_clock
        self._device = self._call("init", byref(parameters), byref(code), byref(message))
        if code.value or not self._device:
            raise DeviceLost(f"opening the {self.model}: error {code.value}, {text(message.value)}")
        info = self._filled("get_static_info", c.StaticInfo)
        bins = self._filled("get_param_info", c.ParamInfo)
        self._rollover = info.rollover_period or self._rollover
        bin_ps = Fraction(bins.binsize).limit_denominator(1000)
        self._configure(bin_ps)
        data, (pulse, channel, words) = np.empty(0, np.int64), packets.columns(1)
        packets.unpack(
            data, 0, self._rollover, self._table, pulse, channel, words, np.zeros(packets.COUNTS, np.int64)
        )
        identity = Identity(
            vendor="cronologic",
            model=self.model,
            serial=f"{info.board_serial >> 24}.{info.board_serial & 0xFFFFFF}",
            firmware=f"{info.firmware_revision}.{info.subversion_revision}",
            raw=text(self._call("get_driver_revision_str")),
        )
        return identity, TdcDescription(
            bin_ps=bin_ps, channels=1 + int(self._table.max()), counter_bits=63, starts_in_stream=True
        )

    def _configure(self, bin_ps: Fraction) -> None:
        room = ctypes.create_string_buffer(sizeof(c.LaterConfiguration) + ROOM)
        self._sound("default configuration", "get_default_configuration", room)
        settings, own = c.LaterConfiguration.from_buffer(room), self._config
        if settings.size not in {sizeof(c.Configuration), sizeof(c.LaterConfiguration)}:
            raise DeviceIdentityError(
                f"the library's tdc4_configuration has {settings.size} bytes, this driver knows {sizeof(c.Configuration)} and "
                f"{sizeof(c.LaterConfiguration)}: the library is of another version"
            )
        if settings.size == sizeof(c.LaterConfiguration):
            settings.ignore_empty_packets = 0
        settings.tdc_mode = c.GROUPED
        settings.start_rising = own.rising
        stop = (
            LONGEST_BINS if own.window_s is None else min(round(own.window_s * 1e12 / bin_ps), LONGEST_BINS)
        )
        for place in range(c.CHANNELS + 1):
            settings.dc_offset[place] = own.threshold_v if place else own.start_threshold_v
            settings.trigger[place].rising, settings.trigger[place].falling = own.rising, not own.rising
        for place, name in enumerate(STOPS):
            channel = settings.channel[place]
            channel.enabled, channel.rising, channel.start, channel.stop = (
                name in own.channels,
                own.rising,
                0,
                stop,
            )
        self._sound("configuration", "configure", room, error=DeviceRefused)

    def _filled(self, name: str, kind: Any) -> Any:
        room = ctypes.create_string_buffer(sizeof(kind) + ROOM)
        self._sound(name, name, room)
        filled = kind.from_buffer(room)
        same_size(kind.__doc__.rstrip("."), filled.size, sizeof(kind))
        return filled

    def _release(self) -> None:
        device, self._device = self._device, None
        if device:
            self._call("stop_capture", device)
            self._call("close", device)

    def _start(self) -> None:
        self._next = self._lost = 0
        self._sound("start of the capture", "start_capture", error=DeviceRefused)

    def _stop(self) -> list[TdcBlock]:
        under_way = list(self._drained())  # after the stop nothing can be read any more
        self._sound("end of the capture", "stop_capture")
        return under_way

    def _poll(self) -> TdcBlock | None:
        wish, found = c.ReadIn(acknowledge_last_read=0), c.ReadOut()
        code = self._call("read", self._device, byref(wish), byref(found))
        if code == c.READ_NO_DATA:
            return None
        if code != c.READ_OK:
            raise DeviceLost(
                f"reading the {self.model}: error {code}, {text(found.error_message) or self._why()}"
            )
        head = cast(found.last_packet, POINTER(ctypes.c_uint64))[0]
        last = 0 if (head >> 16) & c.TIMESTAMP_ONLY else head >> 32
        n = (found.last_packet - found.first_packet + PACKET_BYTES) // 8 + last
        data = np.frombuffer((ctypes.c_int64 * n).from_address(found.first_packet), np.int64)
        block = self._unpacked(data)
        self._sound(
            "acknowledgement", "acknowledge", found.last_packet
        )  # from here on the memory is the board's again
        return block

    def _unpacked(self, data: Any) -> TdcBlock:
        pulse, channel, words = packets.columns(len(data))
        counts = np.zeros(packets.COUNTS, np.int64)
        packets.unpack(data, self._next, self._rollover, self._table, pulse, channel, words, counts)
        n, starts = int(counts[packets.WORDS]), int(counts[packets.PACKETS])
        self._lost += int(counts[packets.MISSED] + counts[packets.CUT] + counts[BAD])
        flags, loss = int(counts[packets.FLAGS]), Loss.NONE
        if flags & packets.START_MISSED:
            loss |= Loss.WORDS_LOST | Loss.COUNTER_JUMP
        if flags & packets.SHORTENED:
            loss |= Loss.WORDS_LOST
        if flags & (packets.FIFO_FULL | packets.HOST_BUFFER_FULL):
            loss |= Loss.SATURATED
        if counts[BAD]:
            loss |= Loss.DAMAGED
        return self._block(starts, loss, pulse[:n].copy(), channel[:n].copy(), words[:n].copy())

    def _beat(self) -> TdcBlock:
        return self._block(0, Loss.NONE, np.empty(0, np.uint64), np.empty(0, np.uint8), np.empty(0, np.int32))

    def _flush(self) -> TdcBlock:
        return self._beat()

    def _block(self, starts: int, loss: Loss, pulse: Any, channel: Any, words: Any) -> TdcBlock:
        first, self._next = self._next, self._next + starts
        return TdcBlock(
            first_pulse=first,
            last_pulse=self._next - 1,
            bin_ps=self.describe().bin_ps,
            pulse=pulse,
            channel=channel,
            time=words,
            anchor=self._anchor(self._next),
            loss=loss,
        )

    def _lost_words(self) -> int:
        return self._lost

    def _why(self) -> str:
        return text(self._call("get_last_error_message", self._device)) if self._device else ""


class TimeTagger4(Crono4):
    """TimeTagger4 of either generation: bins of 100 to 800 ps."""

    prefix, model = "timetagger4", "TimeTagger4"


class Xtdc4(Crono4):
    """xTDC4: bins of 5000/384 ps."""

    prefix, model = "xtdc4", "xTDC4"
