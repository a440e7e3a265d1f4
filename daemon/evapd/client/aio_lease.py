"""The lease on an event loop: renewed by a task."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from evapd.client.lease import ANSWER_S, RENEWALS
from evapd.client.lease_term import Term
from evapd.errors import RateLimited, RequestError, RequestTimeout, StreamError

log = logging.getLogger(__name__)


class AsyncLease:
    """As `evapd.client.lease.Lease`, for `async with`.

    Args:
        ask: Sends a request.
        hold: Tells the client which term its commands have to keep to.
        ttl_s: After so long without renewal the daemon takes the lease back.
        force: Take it even if somebody else has it; they and everybody are told.
    """

    def __init__(
        self,
        ask: Callable[[str, dict[str, Any], float], Awaitable[dict[str, Any]]],
        hold: Callable[[Term | None], None],
        *,
        ttl_s: float,
        force: bool,
    ) -> None:
        self._ask, self._hold, self._ttl_s, self._force = ask, hold, ttl_s, force
        self._term: Term | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def lost(self) -> str:
        """Why it is lost, "" as long as it is held."""
        return "" if self._term is None else self._term.lost(time.monotonic())

    def check(self) -> None:
        """Raise LeaseLost when it is lost."""
        if self._term is not None:
            self._term.check(time.monotonic())

    async def __aenter__(self) -> Self:
        now_s = time.monotonic()
        await self._ask("lease_take", {"ttl_s": self._ttl_s, "force": self._force}, ANSWER_S)
        self._term = Term(self._ttl_s, now_s)
        self._hold(self._term)
        self._task = asyncio.create_task(self._renew(self._term), name="lease")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        lost = self.lost
        self._hold(None)
        if not lost:
            try:
                await self._ask("lease_release", {}, ANSWER_S)
            except StreamError as release:
                log.warning("the lease could not be given back, it ends by itself: %s", release)
        elif kind is None:
            self.check()

    async def _renew(self, term: Term) -> None:
        every_s = term.ttl_s / RENEWALS
        while not term.lost(time.monotonic()):
            await asyncio.sleep(every_s)
            now_s = time.monotonic()
            try:
                await self._ask("lease_renew", {}, min(every_s, ANSWER_S))
                term.renewed(now_s)
            except (RequestTimeout, RateLimited) as error:
                log.info("the lease was not renewed, it is tried again: %s", error)
            except StreamError as error:
                term.lose(error.message if isinstance(error, RequestError) else str(error))
