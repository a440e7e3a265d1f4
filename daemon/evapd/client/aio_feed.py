"""Iterators over the stream on an event loop; a thread receives, repairs and decodes, so that the loop never waits."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from evapd.client.feed import Notices, OnNotice, Source
from evapd.errors import RequestTimeout
from evapd.stream.subscriber import Notice, StreamCounts

_SLICE_S = 0.1  # after this time at most the thread sees that it is to end
_WAITING = 32  # items between thread and loop; what does not fit waits in the socket's bounded memory
M = TypeVar("M")
T = TypeVar("T")
log = logging.getLogger(__name__)


class AsyncFeed(AsyncIterator[T], Generic[T]):
    """Gives what arrives, in order, until there was silence for too long.

    Subscribed from `async with` on, or else from the first item that is asked for. As the blocking feed it goes on
    over restarts, repairs what was missed, and tells by `notices` and `counts`. A cancelled wait loses nothing.

    Args:
        source_of: Makes the source of frames; called, used and closed on the feed's own thread.
        convert: Makes an item of a frame.
        timeout_s: Longest silence in seconds; None waits for ever.
        welcome_s: How long to wait for the daemon's welcome.
        what: Address, for messages.
        on_notice: Called with each notice, on the event loop.
    """

    def __init__(
        self,
        source_of: Callable[[], Source[M]],
        convert: Callable[[M], T],
        timeout_s: float | None,
        *,
        welcome_s: float,
        what: str,
        on_notice: OnNotice | None,
    ) -> None:
        self._make: Callable[[], Source[Any]] = source_of
        self._convert: Callable[[Any], T] = convert
        self._timeout_s, self._welcome_s, self._what = timeout_s, welcome_s, what
        self._notices = Notices(on_notice)
        self._counts = StreamCounts()
        self._items: deque[Any] = deque()
        self._arrived = asyncio.Event()
        self._welcomed = asyncio.Event()
        self._gone = asyncio.Event()
        self._failure: BaseException | None = None
        self._space = threading.Semaphore(_WAITING)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def counts(self) -> StreamCounts:
        """What was received, lost, fetched again."""
        return self._counts

    @property
    def lost_frames(self) -> int:
        """Frames that were missed for good."""
        return sum(self.counts.lost.values())

    @property
    def closed(self) -> bool:
        """Whether it was closed, or has ended."""
        return self._end.is_set()

    def notices(self) -> list[Notice]:
        """Give what happened since the last call: `restart`, `lost`, `recovered`, `welcome`, `garbage`."""
        return self._notices.take()

    async def open(self) -> Self:
        """Subscribe, and wait until nothing is missed any more.

        Raises:
            RequestTimeout: when nobody streams there.
        """
        if self._thread is None and not self.closed:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, args=(loop,), name="feed", daemon=True)
            self._thread.start()
        try:
            async with asyncio.timeout(self._welcome_s + 1.0):
                await self._welcomed.wait()
        except TimeoutError:
            self._failure = self._silence()
        if self._failure is not None:
            await self.aclose()
            raise self._failure
        return self

    async def __anext__(self) -> T:
        if not self._welcomed.is_set():
            await self.open()
        while not self._items:
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            if self.closed:
                raise StopAsyncIteration
            self._arrived.clear()
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                await self.aclose()
        frame = self._items.popleft()
        self._space.release()
        return self._convert(frame)

    async def aclose(self) -> None:
        """Leave the stream and end its thread; the counts stay readable."""
        self.leave()
        try:
            if self._thread is not None:
                await self._gone.wait()
        finally:
            self.join()  # at once, but for a close that is cancelled: no thread is left all the same

    def leave(self) -> None:
        """Tell the thread to end, and whoever waits that nothing more comes."""
        self._end.set()
        self._space.release()
        self._items.clear()
        self._arrived.set()

    def join(self) -> None:
        """Wait for the end of the thread, which was told to."""
        if self._thread is not None:
            self._thread.join()

    def _silence(self) -> RequestTimeout:
        return RequestTimeout(
            f"nobody streams at {self._what} (waited {self._welcome_s:g} s): is evapd running there?",
            sent=False,
        )

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._receive(loop)
        except RuntimeError:
            if not loop.is_closed():  # a loop that ended before its feeds: nobody is left to tell
                raise

    def _receive(self, loop: asyncio.AbstractEventLoop) -> None:
        failure: BaseException | None = None
        try:
            source = self._make()
            try:
                self._counts = source.counts
                if self._join(source):
                    loop.call_soon_threadsafe(self._welcomed.set)
                    self._hand_over(source, loop)
                else:
                    failure = self._silence()
            finally:
                source.close()
        except Exception as error:  # noqa: BLE001 - it is raised where the items are awaited
            failure = error
        loop.call_soon_threadsafe(self._finish, failure)

    def _join(self, source: Source[Any]) -> bool:
        deadline_s = time.monotonic() + self._welcome_s
        while not self._end.is_set() and time.monotonic() < deadline_s:
            if source.await_welcome(_SLICE_S):
                return True
        return False

    def _hand_over(self, source: Source[Any], loop: asyncio.AbstractEventLoop) -> None:
        while not self._end.is_set():
            frame = source.receive(_SLICE_S)
            for notice in source.take_notices():
                loop.call_soon_threadsafe(self._notices.tell, notice)
            if frame is not None:
                self._space.acquire()
                loop.call_soon_threadsafe(self._put, frame)

    def _put(self, frame: Any) -> None:
        if not self.closed:
            self._items.append(frame)
            self._arrived.set()

    def _finish(self, failure: BaseException | None) -> None:
        self._failure = self._failure or failure
        self._gone.set()
        self._welcomed.set()
        self._arrived.set()

    async def __aenter__(self) -> Self:
        try:
            return await self.open()
        except BaseException:
            await self.aclose()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
