"""Surface Concept delay-line detectors and TDCs through the maker's scTDC library: hits matched in hardware, or raw words.

Sources: public headers scTDC.h, scTDC_types.h and the maker's Python wrapper. Confidence: middle, several programs use the same structures
and functions. Nothing here was tried on hardware. Tried against a library made of C with the same functions and a thread of its own.
Doubts: where the counter of starts begins with a measurement (taken as 0; where it cannot be, the first event is pulse 0) and how wide it is (`counter_bits`); how long an exposure may
be (`exposure_s`; between two measurements pulses go by uncounted, which is flagged); which TDC channel is which end of a line.
Starts are counted in hardware and told with events only: while nothing is detected, no pulse is counted, unless the pulser's trigger
is on a TDC channel, too (hits: `trigger_channel`; words: on a channel that may be left out of `channels`).
The user's pipe is the default: the buffered one hands out events only when its buffer is full or the exposure over.
"""

import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from evapd.blocks import HitBlock, Loss, TdcBlock
from evapd.device.protocols import HitSource, TdcSource
from evapd.device.readings import TdcDescription
from evapd.units import UM_PER_MM
from evapd_drivers.tdc.pulse_order import Over
from evapd_drivers.tdc.sctdc_library import ScTdc
from evapd_drivers.tdc.sctdc_source import ScSettings, ScSource, as_fraction
from evapd_drivers.tdc.sctdc_structs import DLD_EVENT, TDC_EVENT, Properties1

INT32 = 2**31


class SurfaceConceptHits(ScSource[HitBlock]):
    """A delay-line detector that matches in hardware: positions in pixels, times in sums of four signals."""

    protocol: ClassVar[type] = HitSource
    dtype = DLD_EVENT
    time_column = "sum"

    class Config(ScSettings):
        """Settings: `centre_px` is the detector's centre, by default half its size; `trigger_channel` the TDC's that sees the pulses."""

        centre_px: tuple[float, float] | None = None
        trigger_channel: Annotated[int, Field(ge=0, le=63)] | None = None  # 16 for each subdevice

        @model_validator(mode="after")
        def _user_pipe(self) -> Self:
            if self.trigger_channel is not None and self.pipe != "user":
                raise ValueError("trigger_channel needs the user's pipe: pipe: user")
            return self

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._centre_px, self._trigger_channel = config.centre_px, config.trigger_channel
        self._um_per_px, self._middle_px, self._ps_per_bin = (0.0, 0.0), (0.0, 0.0), 0.0

    def _describe(self, tdc: ScTdc) -> TdcDescription:
        told = Properties1()
        tdc.properties(1, told)
        self._um_per_px = (told.pixel_x_mm * UM_PER_MM, told.pixel_y_mm * UM_PER_MM)
        self._middle_px = self._centre_px or (told.size_x / 2, told.size_y / 2)
        bin_ps = as_fraction(told.pixel_t_ns or tdc.bin_ns)
        self._ps_per_bin = float(bin_ps)
        return TdcDescription(bin_ps=bin_ps, channels=1, counter_bits=self._sc_settings.counter_bits)

    def _block(self, over: Over, loss: Loss) -> HitBlock:
        tof_ps = np.rint(over.events["sum"] * self._ps_per_bin)
        pulse, events = over.pulse - over.first_pulse, over.events
        sound = (tof_ps < INT32) & (pulse < 2 * INT32)
        if not sound.all():
            loss |= Loss.DAMAGED
            self._lost += int(np.count_nonzero(~sound))
            tof_ps, pulse, events = tof_ps[sound], pulse[sound], events[sound]
        _, index, count = np.unique(pulse, return_inverse=True, return_counts=True)
        x_um, y_um = (
            np.rint((events[column] - middle) * scale).astype(np.int32)
            for column, middle, scale in zip(("dif1", "dif2"), self._middle_px, self._um_per_px, strict=True)
        )
        return HitBlock(
            first_pulse=over.first_pulse,
            last_pulse=over.last_pulse,
            pulse=pulse.astype(np.uint32),
            tof_ps=tof_ps.astype(np.int32),
            x_um=x_um,
            y_um=y_um,
            quality=np.zeros(len(pulse), np.uint8),
            multiplicity=np.minimum(count, 255).astype(np.uint8)[index],
            anchor=self._anchor(over.last_pulse + 1),
            loss=loss,
        )


class SurfaceConceptWords(ScSource[TdcBlock]):
    """The TDC of such a detector, or one alone: every signal with the count of its start."""

    protocol: ClassVar[type] = TdcSource
    dtype = TDC_EVENT
    time_column = "time_data"

    class Config(ScSettings):
        """Settings: `channels` is the block's channel of each of the TDC's, 16 for each subdevice; others are left out."""

        channels: dict[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=0, le=6)]] = Field(
            default={0: 1, 1: 2, 2: 3, 3: 4, 4: 0}
        )

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._table = np.full(64, -1, np.int16)
        self._table[list(config.channels)] = list(config.channels.values())

    def _describe(self, tdc: ScTdc) -> TdcDescription:
        channels = 1 + int(self._table.max())
        return TdcDescription(
            bin_ps=as_fraction(tdc.bin_ns), channels=channels, counter_bits=self._sc_settings.counter_bits
        )

    def _block(self, over: Over, loss: Loss) -> TdcBlock:
        number = over.events["subdevice"] * np.uint32(16) + over.events["channel"]
        channel = self._table[np.minimum(number, 63)]
        sound = (over.events["time_data"] < INT32) & (number < 64)
        if not sound.all():
            loss |= Loss.DAMAGED
            self._lost += int(np.count_nonzero(~sound))
        wanted = np.flatnonzero(sound & (channel >= 0))
        return TdcBlock(
            first_pulse=over.first_pulse,
            last_pulse=over.last_pulse,
            bin_ps=self.describe().bin_ps,
            pulse=over.pulse[wanted].astype(np.uint64),
            channel=channel[wanted].astype(np.uint8),
            time=over.events["time_data"][wanted].astype(np.int32),
            anchor=self._anchor(over.last_pulse + 1),
            loss=loss,
        )
