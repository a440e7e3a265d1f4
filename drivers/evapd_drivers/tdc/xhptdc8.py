"""cronologic xHPTDC8, 8 inputs, through the maker's library: every edge with its time since the start of the capture.

Sources: public header and user guide of the xHPTDC8. Confidence: middle, structures and flags agree in the header, the guide and a
third-party binding. Nothing here was tried on hardware. Tried against a library made of C with the same functions.
Doubts: whether edges of different inputs always come in order of time (setting `reorder_s`); whether a count that is an error code
can come from `xhptdc8_read_hits` (told apart here by the buffer, which then is untouched).
The pulses' own edge goes to one of the inputs: the board has no counter of starts. One board is read.
"""

import ctypes
import time
from collections.abc import Callable, Mapping
from ctypes import byref, c_char_p, c_int, sizeof
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from evapd.blocks import Loss, TdcBlock
from evapd.device.protocols import TdcSource
from evapd.device.readings import Identity, TdcDescription
from evapd.errors import DeviceLost, DeviceRefused
from evapd.units import Second, Volt
from evapd_drivers.tdc import xhptdc8_library as c
from evapd_drivers.tdc.source import checked
from evapd_drivers.tdc.tagger import TaggerSettings, TaggerSource, Taken
from evapd_drivers.tdc.vendor import LibraryConfig, load_library, same_size, text

Input = Literal["A", "B", "C", "D", "E", "F", "G", "H"]
READ_HITS = 65_536
BIN_PS = Fraction(1)  # the library converts to ps
ERROR, FIFO_FULL, ROLLOVER_LOST, FULL = 0x02, 0x04, 0x08, 0x04 | 0x40 | 0x80
WORDS_LOST = 0x04 | 0x10 | 0x20 | 0x40 | 0x80
UNTOUCHED = -(2**63)
ROOM = 1 << 16  # behind a structure that the library fills: one of a later version must not write over ours


def loss_of(flags: int) -> Loss:
    """What the `type` flags of edges, joined by OR, say is missing."""
    if not flags & ERROR:
        return Loss.NONE
    loss = Loss.WORDS_LOST if flags & WORDS_LOST or not flags & ~0x03 else Loss.NONE
    if flags & FULL:
        loss |= Loss.SATURATED
    if flags & ROLLOVER_LOST:
        loss |= Loss.DAMAGED | Loss.COUNTER_JUMP
    return loss


class Xhptdc8(TaggerSource):
    """One board of the type xHPTDC8, read ungrouped."""

    protocol: ClassVar[type] = TdcSource

    class Config(LibraryConfig, TaggerSettings):
        """Settings: `start` is the input of the pulses, `channels` the block's channel of each other input in use."""

        board: Annotated[int, Field(ge=0, lt=c.BOARDS)] = 0  # in the order of serial numbers
        start: Input = "A"
        channels: dict[Input, Annotated[int, Field(ge=0, le=6)]] = Field(
            default={"B": 0, "C": 1, "D": 2, "E": 3, "F": 4}
        )
        threshold_v: Annotated[Volt, Field(ge=-1.32, le=1.18)] = -0.35
        rising: bool = False
        external_clock: bool = False  # 10 MHz
        reorder_s: Annotated[Second, Field(ge=0, le=1e-4)] = 1e-6  # two TDC chips feed one stream

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._config = config
        self._library: Any = None
        self._hits = np.empty(0, c.HIT)

    def _inputs(self) -> tuple[int, Mapping[int, int]]:
        first = 10 * self._config.board
        number = {name: first + place for place, name in enumerate("ABCDEFGH")}
        return number[self._config.start], {
            number[name]: channel for name, channel in self._config.channels.items()
        }

    def _connect(self) -> tuple[Identity, TdcDescription]:
        library = load_library(self._config.library, c.SIGNATURES)
        code, message = c_int(), c_char_p()
        boards = library.xhptdc8_count_devices(byref(code), byref(message))
        checked(code.value, "counting the xHPTDC8 boards", lambda: text(message.value))
        if boards <= self._config.board:
            raise DeviceLost(
                f"{boards} xHPTDC8 boards are there, `board` is {self._config.board}: look at the slots"
            )
        parameters = c.InitParameters()
        checked(library.xhptdc8_get_default_init_parameters(byref(parameters)), "init parameters", self._why)
        same_size("version of the init parameters", parameters.version, c.API_VERSION)
        parameters.use_ext_clock = self._config.external_clock
        checked(library.xhptdc8_init(byref(parameters)), "opening the xHPTDC8", lambda: self._why(library))
        self._library = library
        info = self._filled(library.xhptdc8_get_static_info, c.StaticInfo, self._config.board)
        self._configure()
        self._hits = np.empty(READ_HITS, c.HIT)
        self._warm_up(BIN_PS)
        serial = f"{info.board_serial >> 24}.{info.board_serial & 0xFFFFFF}"
        identity = Identity(
            vendor="cronologic",
            model="xHPTDC8",
            serial=serial,
            firmware=f"{info.firmware_revision}.{info.subversion_revision}",
            raw=text(library.xhptdc8_get_driver_revision_str()),
        )
        channels = 1 + max(self._config.channels.values(), default=0)
        return identity, TdcDescription(
            bin_ps=BIN_PS, channels=channels, counter_bits=63, starts_in_stream=True
        )

    def _configure(self) -> None:
        room = ctypes.create_string_buffer(sizeof(c.Configuration) + ROOM)
        checked(self._library.xhptdc8_get_default_configuration(room), "default configuration", self._why)
        whole = c.Configuration.from_buffer(room)
        same_size("xhptdc8_manager_configuration", whole.size, sizeof(c.Configuration))
        whole.grouping.enabled = False
        board = whole.device_configs[self._config.board]
        used = {self._config.start, *self._config.channels}
        for place, name in enumerate("ABCDEFGH"):
            board.channel[place].enable = name in used
            board.channel[place].rising = self._config.rising
            board.trigger_threshold[place] = self._config.threshold_v
        board.adc_channel.enable = False
        checked(self._library.xhptdc8_configure(room), "configuring the xHPTDC8", self._why, DeviceRefused)

    def _filled(self, function: Any, kind: Any, board: int) -> Any:
        room = ctypes.create_string_buffer(sizeof(kind) + ROOM)
        checked(function(board, ctypes.cast(room, ctypes.POINTER(kind))), kind.__doc__, self._why)
        filled = kind.from_buffer(room)
        same_size(kind.__doc__.rstrip("."), filled.size, sizeof(kind))
        return filled

    def _release(self) -> None:
        library, self._library = self._library, None
        if library is not None:
            library.xhptdc8_stop_capture()
            library.xhptdc8_close()

    def _start(self) -> None:
        self._count_anew()
        checked(self._library.xhptdc8_start_capture(), "start of the capture", self._why, DeviceRefused)

    def _stop(self) -> list[TdcBlock]:
        under_way = list(self._drained())  # after the stop nothing can be read any more
        checked(self._library.xhptdc8_stop_capture(), "end of the capture", self._why)
        return under_way

    def _take(self) -> Taken | None:
        hits = self._hits
        hits["time"][0] = UNTOUCHED
        n = self._library.xhptdc8_read_hits(hits.ctypes.data, len(hits))
        if n == 0:
            return None
        if not 0 < n <= len(hits) or hits["time"][0] == UNTOUCHED:
            raise DeviceLost(f"reading the xHPTDC8: error {n}, {self._why()}")
        hits = hits[:n]
        loss = loss_of(int(np.bitwise_or.reduce(hits["type"])))
        if loss:
            self._lost += int(np.count_nonzero(hits["type"] & ERROR))
        return Taken(hits["channel"], hits["time"], loss)

    def _why(self, library: Any = None) -> str:
        library = library or self._library
        return text(library.xhptdc8_get_last_error_message(-1)) if library else ""
