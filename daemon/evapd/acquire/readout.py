"""Readout of the TDC or detector on a thread of its own: open, keep open, and hand every block to a bounded queue."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from evapd.blocks import HitBlock, Loss, TdcBlock
from evapd.device import HitSource, Identity, TdcDescription, TdcSource
from evapd.errors import DeviceError, DeviceLost

_log = logging.getLogger(__name__)
READ_TIMEOUT_S = 0.02
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
QUEUE_BLOCKS = 4096  # 20 s of heartbeats every 5 ms
QUEUE_WORDS = 20_000_000


class Readout:
    """Owns the driver of the TDC, or of a detector that matches in hardware; all calls to it except `read()` happen on the readout thread."""

    def __init__(
        self, name: str, source: TdcSource | HitSource, on_event: Callable[[str, str, str], None]
    ) -> None:
        self.name = name
        self.delivers_hits = getattr(source, "protocol", TdcSource) is HitSource
        self.blocks: queue.SimpleQueue[TdcBlock | HitBlock] = queue.SimpleQueue()
        self.identity: Identity | None = None
        self.description: TdcDescription | None = None
        self.last_error = ""
        self.last_block_s: float | None = None  # monotonic time of the newest block or heartbeat
        self.overflows = 0
        self.blocks_taken = 0  # from the source since the last arming, heartbeats included
        self._words_put = 0  # written by the readout thread alone
        self._words_taken = 0  # written by the taker alone
        self.armed = threading.Event()
        self._source = source
        self._on_event = on_event
        self._wanted = threading.Event()
        self._ending = threading.Event()
        self._lost_here = Loss.NONE
        self._retry_s = iter(BACKOFF_S)
        self._thread = threading.Thread(target=self._run, name=f"readout-{name}", daemon=True)

    @property
    def online(self) -> bool:
        """Whether the TDC has answered and the link stands."""
        return self.identity is not None and not self.last_error

    @property
    def exhausted(self) -> bool:
        """Whether a source of recorded data has said that it has no more, and everything of it was taken."""
        return bool(getattr(self._source, "exhausted", False))

    def start(self) -> None:
        """Begin; the TDC is opened on the thread."""
        self._thread.start()

    def arm(self) -> None:
        """Ask for data from pulse 0 on; `armed` is set when they come."""
        self._wanted.set()

    def disarm(self) -> None:
        """Ask for no more data; `armed` is cleared when what was under way has been taken."""
        self._wanted.clear()

    def stop(self, timeout_s: float) -> None:
        """End the thread and close the TDC."""
        self._wanted.clear()
        self._ending.set()
        self._thread.join(timeout_s)

    def take(self, timeout_s: float) -> TdcBlock | HitBlock | None:
        """Give the oldest block in the queue, or None when there is none in time."""
        try:
            block = self.blocks.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._words_taken += block.n
        return block

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._opened()
                self._serve()
            except DeviceError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - see below
                # Whatever a driver raises, this thread goes on: without it no run could start any more.
                _log.exception("%s: a fault in the driver", self.name)
                self._failed(
                    DeviceError(f"{type(error).__name__}: {error}; this is a fault in the driver, report it")
                )
            finally:
                self.armed.clear()
                self._source.close()

    def _opened(self) -> None:
        identity = self._source.open()
        self.description = self._source.describe()
        if str(identity) != str(self.identity) or self.last_error:
            self._on_event("device", "info", f"{self.name}: {identity} answers")
        self.identity, self.last_error = identity, ""
        self._retry_s = iter(BACKOFF_S)

    def _serve(self) -> None:
        while not self._ending.is_set():
            if self._wanted.is_set() and not self.armed.is_set():
                self._source.arm()
                self._lost_here, self.overflows, self.blocks_taken = Loss.NONE, 0, 0
                self.last_block_s = time.monotonic()
                self.armed.set()
            if not self.armed.is_set():
                self._wanted.wait(READ_TIMEOUT_S)
                continue
            if not self._wanted.is_set():
                self._source.disarm()
                self._drain()
                self.armed.clear()
                continue
            self._take_in(self._source.read_block(READ_TIMEOUT_S))
        if self.armed.is_set():
            self._source.disarm()

    def _drain(self) -> None:
        while (block := self._source.read_block(READ_TIMEOUT_S)) is not None:
            self._take_in(block)

    def _take_in(self, block: TdcBlock | HitBlock | None) -> None:
        if block is None:
            return
        self.last_block_s = time.monotonic()
        self.blocks_taken += 1
        if self.blocks.qsize() >= QUEUE_BLOCKS or self._words_put - self._words_taken + block.n > QUEUE_WORDS:
            # The words are lost, the pulses are not: later blocks show the gap in pulse numbers and carry the flag.
            self.overflows += 1
            self._lost_here = Loss.OVERFLOW | Loss.WORDS_LOST
            if self.overflows == 1:
                self._on_event("loss", "alarm", f"{self.name}: matching is too slow, words are being dropped")
            return
        if self._lost_here:
            block = replace(block, loss=block.loss | self._lost_here)
            self._lost_here = Loss.NONE
        self._words_put += block.n
        self.blocks.put(block)

    def _failed(self, error: DeviceError) -> None:
        was_armed = self.armed.is_set()
        if str(error) != self.last_error:
            what = "is gone" if isinstance(error, DeviceLost) else "fails"
            self._on_event("device", "alarm" if was_armed else "warning", f"{self.name} {what}: {error}")
        self.last_error = str(error)
        if was_armed:
            self._wanted.clear()  # a TDC that comes back counts from 0: it must not be armed into the same run
        self._ending.wait(next(self._retry_s, BACKOFF_S[-1]))
