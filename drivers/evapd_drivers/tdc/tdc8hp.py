"""RoentDek TDC8HP (HPTDC8-PCI), 8 inputs, through a C wrapper of the maker's C++ driver, such as open projects have made.

Sources: a public C wrapper of hptdc_driver 3.4.3 (functions TDCManager_...) and public programs that read the words. **Confidence: low**:
no manual was at hand. Nothing here was tried on hardware. Tried against a library made of C with the same functions.
Doubts: the width of a bin (`bin_ps`: the driver knows it, the wrapper does not tell); whether triggers without a stop make a group
(else set `pulse_period_s`, or `grouped: false` with the trigger among the edges); the meaning of error words (taken as loss);
`HIT` is 32 bits wide as on Windows; the driver's C++ exceptions pass through no wrapper. It tells no serial number.
"""

import time
from collections.abc import Callable, Mapping
from ctypes import POINTER, c_bool, c_char_p, c_int, c_uint32, c_void_p
from fractions import Fraction
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from evapd.blocks import Loss, TdcBlock
from evapd.device.protocols import TdcSource
from evapd.device.readings import Identity, TdcDescription
from evapd.errors import DeviceLost, DeviceRefused
from evapd.units import Second
from evapd_drivers.tdc import tdc8hp_words as w
from evapd_drivers.tdc.tagger import TaggerSettings, TaggerSource, Taken
from evapd_drivers.tdc.vendor import LibraryConfig, Signature, load_library

READ_WORDS = 65_536
CONFIGURED = 2  # states below are: not initialised, not configured
Input = Annotated[int, Field(ge=0, le=7)]
SIGNATURES: dict[str, Signature] = {
    "TDCManager_New": (c_void_p,),
    "TDCManager_Delete": (c_int, c_void_p),
    "TDCManager_Init": (c_int, c_void_p),
    "TDCManager_GetTDCCount": (c_int, c_void_p),
    "TDCManager_GetDriverVersion": (c_int, c_void_p),
    "TDCManager_GetState": (c_int, c_void_p),
    "TDCManager_SetParameter": (c_bool, c_void_p, c_char_p),
    "TDCManager_Reconfigure": (c_int, c_void_p),
    "TDCManager_Start": (c_int, c_void_p),
    "TDCManager_Stop": (c_int, c_void_p),
    "TDCManager_ClearBuffer": (c_int, c_void_p),
    "TDCManager_CleanUp": (c_int, c_void_p),
    "TDCManager_Read": (c_int, c_void_p, POINTER(c_uint32), c_int),
}


class Tdc8Hp(TaggerSource):
    """One board, or several that the driver reads as one."""

    protocol: ClassVar[type] = TdcSource
    counter_bits = w.COUNTER_BITS

    class Config(LibraryConfig, TaggerSettings):
        """Settings: `trigger` is the input of the pulses, `channels` the block's channel of each other input in use, from 0."""

        trigger: Input = 7
        channels: dict[Input, Annotated[int, Field(ge=0, le=6)]] = Field(
            default={0: 1, 1: 2, 2: 3, 3: 4, 6: 0}
        )
        bin_ps: Annotated[float, Field(gt=0, le=1000)] = 25.0
        grouped: bool = True
        rising: bool = False
        range_s: Annotated[Second, Field(gt=0, le=2e-4)] = 20e-6  # of a group, after its trigger
        reorder_s: Annotated[Second, Field(ge=0, le=2e-4)] = 25e-6  # a group's edges come input by input
        parameters: dict[str, str] = Field(
            default_factory=dict
        )  # more of the driver's own, such as VHR: "true"
        serial_number: None = None

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._config = config
        self._library: Any = None
        self._manager: int | None = None
        self._words = w.Words(grouped=config.grouped, trigger=config.trigger)
        self._buffer = np.empty(0, np.uint32)

    def _inputs(self) -> tuple[int, Mapping[int, int]]:
        return (w.TRIGGER if self._config.grouped else self._config.trigger), dict(self._config.channels)

    def _connect(self) -> tuple[Identity, TdcDescription]:
        library = self._library = load_library(self._config.library, SIGNATURES)
        self._manager = library.TDCManager_New()
        if not self._manager:
            raise DeviceLost("the TDC8HP driver makes no manager: is the board's driver installed?")
        library.TDCManager_Init(self._manager)
        boards = library.TDCManager_GetTDCCount(self._manager)
        if boards < 1:
            raise DeviceLost("the TDC8HP driver finds no board: look at the slot and at its driver")
        self._configure()
        self._buffer = np.empty(READ_WORDS, np.uint32)
        bin_ps = Fraction(self._config.bin_ps).limit_denominator(1000)
        self._warm_up(bin_ps)
        version = library.TDCManager_GetDriverVersion(self._manager)
        channels = 1 + max(self._config.channels.values(), default=0)
        return (
            Identity(
                vendor="RoentDek", model="TDC8HP", firmware=f"driver {version:#x}", raw=f"{boards} boards"
            ),
            TdcDescription(bin_ps=bin_ps, channels=channels, counter_bits=63, starts_in_stream=True),
        )

    def _configure(self) -> None:
        own = self._config
        used = ",".join(str(channel) for channel in sorted({own.trigger, *own.channels}))
        parameters = {
            "RisingEnable": used if own.rising else "none",
            "FallingEnable": "none" if own.rising else used,
            "TriggerEdge": "rising" if own.rising else "falling",
            "TriggerChannel": str(own.trigger),
            "GroupingEnable": str(own.grouped).lower(),
            "AllowOverlap": "false",
            "GroupRangeStart": "0ns",
            "GroupRangeEnd": f"{round(own.range_s * 1e9)}ns",
            "OutputRollovers": "true",
        } | own.parameters
        for name, value in parameters.items():
            if not self._library.TDCManager_SetParameter(self._manager, f"{name} {value}".encode()):
                raise DeviceRefused(f"the TDC8HP driver refuses the parameter '{name} {value}'")
        self._library.TDCManager_Reconfigure(self._manager)
        self._must_be_configured("its parameters")

    def _must_be_configured(self, after: str) -> None:
        state = self._library.TDCManager_GetState(self._manager)
        if state < CONFIGURED:
            raise DeviceRefused(f"the TDC8HP is in state {state} after {after}: it is not ready to measure")

    def _release(self) -> None:
        manager, self._manager = self._manager, None
        if manager:
            self._library.TDCManager_Stop(manager)
            self._library.TDCManager_CleanUp(manager)
            self._library.TDCManager_Delete(manager)

    def _start(self) -> None:
        self._count_anew()
        self._words = w.Words(grouped=self._config.grouped, trigger=self._config.trigger)
        self._library.TDCManager_ClearBuffer(self._manager)
        self._library.TDCManager_Start(self._manager)
        self._must_be_configured("its start")

    def _stop(self) -> list[TdcBlock]:
        self._library.TDCManager_Stop(self._manager)
        return list(self._drained())

    def _take(self) -> Taken | None:
        buffer = self._buffer
        n = self._library.TDCManager_Read(
            self._manager, buffer.ctypes.data_as(POINTER(c_uint32)), len(buffer)
        )
        if n == 0:
            return None
        if not 0 < n <= len(buffer):
            raise DeviceLost(f"reading the TDC8HP gave {n} words: close it and open it again")
        edges = self._words.edges(buffer[:n])
        missing = edges.errors + edges.homeless
        self._lost += missing
        return Taken(edges.channel, edges.time, Loss.WORDS_LOST if missing else Loss.NONE)
