"""What drivers of time taggers share, which deliver every edge with its absolute time, the pulses' own among them."""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evapd.blocks import Loss, TdcBlock
from evapd.device.protocols import DriverConfig
from evapd.device.starts import StartReducer
from evapd.units import Second
from evapd_drivers.tdc.source import LibrarySource

PS_PER_S = 10**12
_WINDOW_BINS = 2**31 - 1
_NO_CHANNEL = np.empty(0, np.int32)
_NO_TIME = np.empty(0, np.int64)


class Taken(NamedTuple):
    """Columns of edges, shapes (n,): the hardware's channel and the absolute time in bins; and what is missing."""

    channel: NDArray[Any]
    time: NDArray[Any]
    loss: Loss = Loss.NONE


class TaggerSettings(DriverConfig):
    """Settings of every time tagger.

    `pulse_period_s` is the pulser's period where it is fixed: then starts that are missing are counted as pulses.
    `window_s` leaves out stops later than this after their pulse; `reorder_s` is by how much edges come out of order.
    """

    pulse_period_s: Annotated[Second, Field(gt=0, le=10)] | None = None
    shortest_period_s: Annotated[Second, Field(ge=0, le=1)] = 1e-7  # a start sooner is the same one twice
    window_s: Annotated[Second, Field(gt=0, le=1)] | None = None
    reorder_s: Annotated[Second, Field(ge=0, le=1e-4)] = 0.0


class TaggerSource(LibrarySource[TdcBlock]):
    """A time tagger: its starts are counted here, and every stop gets the number of its pulse."""

    counter_bits: ClassVar[int] = 63  # of the time stamps

    def __init__(self, config: TaggerSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._tagging = config
        self._reducer: StartReducer | None = None
        self._lost = 0

    @abstractmethod
    def _take(self) -> Taken | None:
        """Give the edges that have come, or None; never waits."""

    @abstractmethod
    def _inputs(self) -> tuple[int, Mapping[int, int]]:
        """Give the hardware's channel of the starts, and the block's channel of each of its others."""

    def _warm_up(self, bin_ps: Fraction) -> None:
        """Load the kernels now, so that the first block of a run is not late."""
        start, channels = self._inputs()
        StartReducer(start, channels, bin_ps).warm_up()

    def _count_anew(self) -> None:
        """Begin with pulse 0."""
        bin_ps = self.describe().bin_ps

        def bins(seconds: float) -> int:
            return round(seconds * PS_PER_S / bin_ps)

        start, channels = self._inputs()
        settings = self._tagging
        self._lost = 0
        self._reducer = StartReducer(
            start,
            channels,
            bin_ps,
            counter_bits=self.counter_bits,
            min_period_bins=max(1, bins(settings.shortest_period_s)),
            period_bins=None if settings.pulse_period_s is None else max(1, bins(settings.pulse_period_s)),
            window_bins=_WINDOW_BINS
            if settings.window_s is None
            else min(bins(settings.window_s), _WINDOW_BINS),
            reorder_bins=bins(settings.reorder_s),
        )

    def _poll(self) -> TdcBlock | None:
        taken = self._take()
        return None if taken is None else self._reduced(taken)

    def _beat(self) -> TdcBlock | None:
        return self._reduced(Taken(_NO_CHANNEL, _NO_TIME))

    def _flush(self) -> TdcBlock:
        return self._counting.flush()

    def _lost_words(self) -> int:
        return self._lost

    @property
    def _counting(self) -> StartReducer:
        if self._reducer is None:
            raise RuntimeError("not armed")
        return self._reducer

    def _reduced(self, taken: Taken) -> TdcBlock:
        block = self._counting.reduce(taken.channel, taken.time, loss=taken.loss)
        return replace(block, anchor=self._anchor(block.last_pulse + 1))
