"""The client for programs with an event loop. The only part of `evapd.client` that imports asyncio."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from evapd.blocks import HitBlock
from evapd.client.aio_feed import AsyncFeed
from evapd.client.aio_lease import AsyncLease
from evapd.client.aio_requester import AsyncRequester
from evapd.client.connection import Connection
from evapd.client.feed import OnNotice, Source
from evapd.client.script import Ask, Script, Sleep, Step
from evapd.errors import EvapdError
from evapd.stream.frame import HITS, LOOP, TOPICS, Message

M = TypeVar("M")
T = TypeVar("T")


class AsyncClient(Connection):
    """As `evapd.client.Client`, for one event loop: every command is awaited, any number of them at a time.

    Example:
        async with AsyncClient() as evapd:
            await evapd.start(name="W 110", wait_s=60)
            async for block in evapd.hits(timeout_s=5):
                print(block.n, block.tof_ps.mean())

    A command that is cancelled may have been executed; its reply is thrown away and never answers another one.
    """

    def _begin(self) -> None:
        self._requester = AsyncRequester(
            self._control, self._timeout_s, client=self.name, keys=self._keys, context=self._context
        )
        self._feeds: list[AsyncFeed[Any]] = []
        self._lost_before = 0

    @property
    def lost_frames(self) -> int:
        """Frames that feeds of this client missed for good; a run's record does not depend on them."""
        return self._lost_before + sum(feed.lost_frames for feed in self._feeds)

    async def perform(self, script: Script[T]) -> T:
        """Carry a script of commands out, see `evapd.client.script`."""
        try:
            step = next(script)
            while True:
                try:
                    result = await self._take(step)
                except EvapdError as error:
                    step = script.throw(error)
                else:
                    step = script.send(result)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            script.close()

    def lease(self, ttl_s: float = 30.0, *, force: bool = False) -> AsyncLease:
        """Be the only one who commands, in an `async with`; see `AsyncLease`.

        Raises:
            LeaseHeld: on entering, when somebody else has it and `force` is not given.
            LeaseLost: later, when it was lost.
        """
        self._check_no_lease()
        return AsyncLease(self._ask_now, self._hold, ttl_s=ttl_s, force=force)

    def hits(
        self, timeout_s: float | None = None, *, on_notice: OnNotice | None = None
    ) -> AsyncFeed[HitBlock]:
        """Subscribe to blocks of hits; ends after `timeout_s` of silence (blocks come also when they are empty)."""
        return self._feed(self._frames((HITS,)), Message.hit_block, timeout_s, on_notice)

    def loop(
        self, timeout_s: float | None = None, *, on_notice: OnNotice | None = None
    ) -> AsyncFeed[Mapping[str, NDArray[Any]]]:
        """Subscribe to the samples of the control loop: columns by name."""
        return self._feed(self._frames((LOOP,)), lambda message: message.columns, timeout_s, on_notice)

    def messages(
        self,
        topics: Sequence[str] = TOPICS,
        timeout_s: float | None = None,
        *,
        on_notice: OnNotice | None = None,
    ) -> AsyncFeed[Message]:
        """Subscribe to frames of any topics as they are."""
        return self._feed(self._frames(topics), lambda message: message, timeout_s, on_notice)

    def live(
        self, timeout_s: float | None = None, *, on_notice: OnNotice | None = None
    ) -> AsyncFeed[dict[str, Any]]:
        """Subscribe to the live documents, five a second: spectrum, map and rates, with arrays as numpy arrays.

        For displays: whoever is slow sees the newest, never a backlog.
        """
        return self._feed(self._displays(), lambda document: document, timeout_s, on_notice)

    async def aclose(self) -> None:
        """End every feed and close every socket; a command under way ends with a StreamError."""
        for feed in self._feeds:
            feed.leave()
        try:
            for feed in self._feeds:
                await feed.aclose()
        finally:
            for feed in self._feeds:
                feed.join()  # also when this close is cancelled: a socket is not closed under its thread
            self._requester.close()
            self._context.destroy(linger=0)

    async def _take(self, step: Step) -> dict[str, Any]:
        match step:
            case Sleep(seconds):
                await asyncio.sleep(seconds)
                return {}
            case Ask(command, args, request_id, timeout_s, None):
                return await self._requester.request(
                    command, args, timeout_s=timeout_s, request_id=request_id
                )
            case Ask(command, args, request_id, timeout_s, guard):
                straight = AsyncRequester(
                    str(guard), timeout_s, client=self.name, keys=None, context=self._context
                )
                try:
                    return await straight.request(command, args, request_id=request_id)
                finally:
                    straight.close()

    async def _ask_now(self, command: str, args: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        return await self._requester.request(command, args, timeout_s=min(timeout_s, self._timeout_s))

    def _feed(
        self,
        source_of: Callable[[], Source[M]],
        convert: Callable[[M], T],
        timeout_s: float | None,
        on_notice: OnNotice | None,
    ) -> AsyncFeed[T]:
        self._lost_before += sum(feed.lost_frames for feed in self._feeds if feed.closed)
        self._feeds = [feed for feed in self._feeds if not feed.closed]
        feed = AsyncFeed(
            source_of, convert, timeout_s, welcome_s=self._timeout_s, what=self._stream, on_notice=on_notice
        )
        self._feeds.append(feed)
        return feed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
