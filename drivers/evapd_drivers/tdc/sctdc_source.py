"""What the drivers of Surface Concept's hits and words share: measurements that follow each other, and pulses that are over."""

import time
from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evapd.blocks import HitBlock, Loss, TdcBlock
from evapd.device.readings import Identity, TdcDescription
from evapd.errors import DeviceTimeout
from evapd.units import Second
from evapd_drivers.tdc.inbox import Inbox, joined
from evapd_drivers.tdc.pulse_order import Over, PulseOrder
from evapd_drivers.tdc.sctdc_library import ScTdc
from evapd_drivers.tdc.source import POLL_S, LibrarySource
from evapd_drivers.tdc.vendor import LibraryConfig

B = TypeVar("B", TdcBlock, HitBlock)
# The newest pulse is over when so many of the hardware's milliseconds have passed since its last event, or, from hardware
# that tells none, when nothing has come for so long. A buffer of the buffered pipe may end within a pulse: its rest comes.
HOLD_TICKS, HOLD_S = 2, 0.05
STATUS_S = 0.05  # between two questions whether a measurement runs
FASTEST_HZ, LATE_S = 1e7, 0.05  # no pulser is faster: a count beyond did not begin at 0 with the measurement


class ScSettings(LibraryConfig):
    """Settings of both: `ini` is the maker's file of this detector; the library tells no serial number."""

    ini: str
    pipe: Literal["user", "buffered"] = "user"
    buffered_events: Annotated[int, Field(ge=1, le=1 << 24)] = 4096  # of the buffered pipe
    exposure_s: Annotated[Second, Field(ge=0.01, le=2_000_000)] = 86_400.0
    counter_bits: Annotated[int, Field(ge=16, le=64)] = 64
    settle_pulses: Annotated[int, Field(ge=0, le=100_000)] = 0  # by which events come out of order
    waiting_events: Annotated[int, Field(ge=1000)] = (
        4_000_000  # for the readout thread, before they are dropped
    )
    timeout_s: Annotated[Second, Field(gt=0, le=30)] = 2.0
    serial_number: None = None


class ScSource(LibrarySource[B], Generic[B]):
    """What hits and words of the library share: measurements that follow each other, and pulses that are over."""

    dtype: ClassVar[np.dtype[Any]]
    time_column: ClassVar[str]
    _trigger_channel: int | None = None

    def __init__(self, config: ScSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, clock=clock)
        self._sc_settings = config
        self._inbox = Inbox(config.waiting_events)
        self._sc: ScTdc | None = None
        self._order = self._new_order()
        self._lost = 0
        self._flags = Loss.NONE  # for the next block
        self._last_event_s = self._last_status_s = self._not_ready_s = self._began_s = 0.0
        self._last_tick = self._event_tick = 0
        self._reached: tuple[int, int | None] = (0, None)  # tick, and newest start then

    @abstractmethod
    def _describe(self, tdc: ScTdc) -> TdcDescription:
        """Ask the library for bin width and geometry."""

    @abstractmethod
    def _block(self, over: Over, loss: Loss) -> B:
        """Make a block of events of pulses that are over."""

    @property
    def _tdc(self) -> ScTdc:
        if self._sc is None:
            raise RuntimeError("not open")
        return self._sc

    def _new_order(self) -> PulseOrder:
        settings = self._sc_settings
        return PulseOrder(
            self.dtype,
            counter_bits=settings.counter_bits,
            settle=settings.settle_pulses,
            counter="start_counter",
            time=self.time_column,
        )

    def _connect(self) -> tuple[Identity, TdcDescription]:
        self._inbox = Inbox(self._sc_settings.waiting_events)
        self._sc = tdc = ScTdc(self._sc_settings.library, self._sc_settings.ini, self._inbox, self.dtype)
        description = self._describe(tdc)
        if self._sc_settings.pipe == "user":
            tdc.open_user_pipe(self._trigger_channel)
        else:
            tdc.open_buffered_pipe(self._sc_settings.buffered_events)
        return Identity(vendor="Surface Concept", model="scTDC", raw=f"library {tdc.version}"), description

    def _release(self) -> None:
        tdc, self._sc = self._sc, None
        if tdc is not None:
            tdc.close()

    def _start(self) -> None:
        self._inbox.clear()
        self._order = self._new_order()
        self._lost, self._flags = 0, Loss.NONE
        self._last_event_s = self._last_status_s = self._clock()
        self._not_ready_s, self._began_s = 0.0, self._clock()
        self._last_tick = self._event_tick = self._inbox.ticks = 0
        self._reached = (0, None)
        deadline_s = self._clock() + self._sc_settings.timeout_s
        while not self._tdc.measure(round(1000 * self._sc_settings.exposure_s)):
            if self._clock() >= deadline_s:
                raise DeviceTimeout(
                    f"scTDC is not ready for a measurement in {self._sc_settings.timeout_s:g} s"
                )
            time.sleep(POLL_S)

    def _stop(self) -> list[B]:
        self._tdc.interrupt()
        if not self._tdc.ended.wait(self._sc_settings.timeout_s):
            raise DeviceTimeout(f"scTDC does not end its measurement in {self._sc_settings.timeout_s:g} s")
        return list(self._received())

    def _poll(self) -> B | None:
        if self._tdc.ended.is_set():
            return self._measure_on()
        for block in self._received():
            return block
        if self._order.held and self._settled():
            return self._emitted(self._order.flush())
        return self._progress()

    def _progress(self) -> B | None:
        """Pulses of which the trigger's own channel tells: those that came HOLD_TICKS ago, hits of which would be here."""
        ticks, reached = self._inbox.ticks, self._inbox.reached
        if reached is None or ticks - self._reached[0] < HOLD_TICKS:
            return None
        (_, before), self._reached = self._reached, (ticks, reached)
        return None if before is None else self._emitted(self._order.reach(before))

    def _settled(self) -> bool:
        if self._sc_settings.pipe == "buffered":
            return False
        ticks = self._inbox.ticks
        if ticks:
            return ticks - self._event_tick >= HOLD_TICKS
        return self._clock() - self._last_event_s >= HOLD_S

    def _received(self) -> list[B]:
        """What came from the library's thread: one block, or none."""
        mail = self._inbox.take()
        self._lost += mail.lost
        if mail.lost:
            self._flags |= Loss.WORDS_LOST | Loss.OVERFLOW
        if not mail.records:
            return []
        self._last_event_s, self._event_tick = self._clock(), self._inbox.ticks
        self._last_tick = -1  # these are a sign of life, too
        most = int(FASTEST_HZ * (LATE_S + self._clock() - self._began_s))
        return [self._emitted(self._order.add(joined(mail.records, self.dtype), most))]

    def _measure_on(self) -> B | None:
        """The exposure is over, or a buffer of the library was full: start the next, and say that pulses are missing."""
        overrun, rest = self._tdc.overrun, self._received()
        if not self._tdc.measure(round(1000 * self._sc_settings.exposure_s)):
            self._not_ready_s = self._not_ready_s or self._clock()
            if self._clock() - self._not_ready_s > self._sc_settings.timeout_s:
                raise DeviceTimeout(f"scTDC starts no measurement in {self._sc_settings.timeout_s:g} s")
            return rest[0] if rest else None
        self._not_ready_s, self._began_s = 0.0, self._clock()
        block = self._emitted(self._order.flush())
        self._order.restart()
        self._flags |= Loss.WORDS_LOST | Loss.COUNTER_JUMP | (Loss.SATURATED if overrun else Loss.NONE)
        if rest:
            self._pending.append(block)
            return rest[0]
        return block

    def _beat(self) -> B | None:
        now_s, ticks = self._clock(), self._inbox.ticks
        if now_s - self._last_status_s >= STATUS_S:
            self._last_status_s = now_s
            if not self._tdc.measuring() and not self._tdc.ended.is_set():
                return None
        if ticks and ticks == self._last_tick:
            return None  # it has told its milliseconds until now, and does no more
        self._last_tick = ticks
        return self._emitted(Over(self._order.due, self._order.due - 1, *self._nothing, Loss.NONE))

    @property
    def _nothing(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        return np.empty(0, np.int64), np.empty(0, self.dtype)

    def _flush(self) -> B:
        return self._emitted(self._order.flush())

    def _emitted(self, over: Over) -> B:
        loss, self._flags = over.loss | self._flags, Loss.NONE
        return self._block(over, loss)

    def _lost_words(self) -> int:
        return self._lost + self._order.impossible


def as_fraction(bin_ns: float) -> Fraction:
    """A bin width in ns, as a library tells it, as a fraction of ps with a millionth of a bin's accuracy."""
    return Fraction(bin_ns * 1000.0).limit_denominator(100_000)
