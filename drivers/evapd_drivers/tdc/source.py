"""What drivers of TDCs behind a vendor's library share: the life of a source, its heartbeats, its counters.

`arm`, `disarm` and `read_block` belong to one thread; `read` may be called from any other.
"""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from evapd.blocks import Anchor, HitBlock, Loss, TdcBlock
from evapd.device import same_serial
from evapd.device.protocols import DriverConfig
from evapd.device.readings import Identity, TdcDescription, TdcReading
from evapd.errors import DeviceError, DeviceLost
from evapd.units import US_PER_S

B = TypeVar("B", TdcBlock, HitBlock)
HEARTBEAT_S = 0.002  # promised are 5 ms; the rest is for a late thread
POLL_S = 0.001
MOST_DRAINED = 1024  # blocks taken when a measurement ends


class LibrarySource(ABC, Generic[B]):
    """A source that is asked again and again; a subclass says what its library calls.

    Args:
        config: settings.
        clock: monotonic time in s.
    """

    def __init__(self, config: DriverConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = config
        self._clock = clock
        self._description: TdcDescription | None = None
        self._pending: deque[B] = deque()
        self._reading = self._fresh(armed=False)

    @abstractmethod
    def _connect(self) -> tuple[Identity, TdcDescription]:
        """Load the library, find and configure the TDC; raise a `DeviceError` where that fails."""

    @abstractmethod
    def _release(self) -> None:
        """Give everything back that `_connect` took, also after half of it; never raises."""

    @abstractmethod
    def _start(self) -> None:
        """Count from pulse 0 and deliver."""

    @abstractmethod
    def _stop(self) -> Iterable[B]:
        """Deliver no more; give what was under way."""

    @abstractmethod
    def _poll(self) -> B | None:
        """Give what has come, or None; never waits."""

    @abstractmethod
    def _flush(self) -> B:
        """Give what was held back, after `_stop`."""

    @abstractmethod
    def _beat(self) -> B | None:
        """Give a block without words, where the TDC is known to be alive."""

    def open(self) -> Identity:
        """Load the library and look for the TDC that the settings name; starts no measurement."""
        self.close()
        try:
            identity, self._description = self._connect()
            same_serial(self._settings.serial_number, identity.serial)
        except BaseException:
            self.close()
            raise
        self._reading = self._fresh(armed=False)
        return identity

    def close(self) -> None:
        """Give the TDC back; idempotent."""
        self._release()
        self._description = None
        self._pending.clear()

    def read(self) -> TdcReading:
        """Newest counters and the time of the last block; asks nothing, and may be called from any thread."""
        self.describe()
        return self._reading

    def make_safe(self) -> None:
        """Nothing to do: a TDC feeds no energy to the specimen, and what it sees while voltage falls is data."""

    def describe(self) -> TdcDescription:
        """Bin width, channels and width of the counter, as the library told them at open.

        Raises:
            DeviceLost: it is not open.
        """
        if self._description is None:
            raise DeviceLost(f"{self._settings.connect} is not open")
        return self._description

    def arm(self) -> None:
        """Count from pulse 0 and start; what an earlier arming left is dropped."""
        self.describe()
        was_armed, self._reading = self._reading.armed, self._fresh(armed=False)
        if was_armed:
            self._stop()
        self._pending.clear()
        self._start()
        self._reading = self._fresh(armed=True)

    def disarm(self) -> None:
        """Stop; what was under way comes from `read_block`, which then gives None."""
        self.describe()
        if not self._reading.armed:
            return
        self._reading = replace(self._reading, armed=False)
        self._pending.extend(self._stop())
        self._pending.append(self._flush())

    def read_block(self, timeout_s: float) -> B | None:
        """Next block: words or hits, or none at all as a heartbeat; None when nothing came within `timeout_s`.

        Raises:
            DeviceError: the TDC is lost; close it and open it again.
        """
        if self._pending:
            return self._counted(self._pending.popleft())
        if not self._reading.armed:
            return None
        deadline_s = self._clock() + timeout_s
        while True:
            block = self._poll()
            if block is None and self._clock() - self._reading.t_mono_s >= HEARTBEAT_S:
                block = self._beat()
            if block is not None:
                return self._counted(block)
            left_s = deadline_s - self._clock()
            if left_s <= 0.0:
                return None
            time.sleep(min(POLL_S, left_s))

    def _drained(self) -> Iterator[B]:
        """Give what waits; a TDC that goes on delivering is left alone after a while."""
        for _ in range(MOST_DRAINED):
            block = self._poll()
            if block is None:
                return
            yield block

    def _anchor(self, pulse: int) -> Anchor:
        """`pulse` is the next one, now."""
        return Anchor(pulse, int(self._clock() * US_PER_S))

    def _lost_words(self) -> int:
        """Words or hits known to be lost since arming."""
        return 0

    def _has_ended(self) -> bool:
        """Whether there is no more to come, of something recorded."""
        return False

    def _counted(self, block: B) -> B:
        self._reading = replace(
            self._reading,
            t_mono_s=self._clock(),
            pulse_counter=block.last_pulse + 1,
            words=self._reading.words + block.n,
            lost_words=self._lost_words(),
            sequence_gaps=self._reading.sequence_gaps + bool(block.loss & Loss.SEQUENCE_GAP),
            saturated=bool(block.loss & Loss.SATURATED),
            exhausted=self._has_ended(),
        )
        return block

    def _fresh(self, *, armed: bool) -> TdcReading:
        return TdcReading(
            t_mono_s=self._clock(),
            armed=armed,
            pulse_counter=0,
            words=0,
            lost_words=0,
            sequence_gaps=0,
            saturated=False,
        )


def checked(code: int, what: str, why: Callable[[], str], error: type[DeviceError] = DeviceLost) -> None:
    """Raise `error` where a library's function gave a code that is not 0.

    Args:
        code: what the function gave.
        what: what was asked of it.
        why: gives the library's own words.
        error: class of the error.
    """
    if code != 0:
        raise error(f"{what}: error {code}, {why() or 'the library says nothing about it'}")
