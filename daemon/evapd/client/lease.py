"""Being the one who commands, for a while: taken, renewed by a thread, given back."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from evapd.client.lease_term import Term
from evapd.errors import RateLimited, RequestError, RequestTimeout, StreamError

RENEWALS = 3  # in the time of one lease, so that two may fail
ANSWER_S = 2.0
log = logging.getLogger(__name__)


class Lease:
    """Only this client commands from `with` on; everybody may still read, abort, and lower the energy.

    It renews itself. When it is lost, because somebody took over by force or the daemon was restarted, the next
    command of this client raises LeaseLost instead of being sent, and so does the end of the `with`.

    Args:
        ask: Sends a request, from any thread.
        hold: Tells the client which term its commands have to keep to.
        ttl_s: After so long without renewal (this program died, or its connection) the daemon takes the lease back.
        force: Take it even if somebody else has it; they and everybody are told.
    """

    def __init__(
        self,
        ask: Callable[[str, dict[str, Any], float], dict[str, Any]],
        hold: Callable[[Term | None], None],
        *,
        ttl_s: float,
        force: bool,
    ) -> None:
        self._ask, self._hold, self._ttl_s, self._force = ask, hold, ttl_s, force
        self._end = threading.Event()
        self._term: Term | None = None
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> str:
        """Why it is lost, "" as long as it is held."""
        return "" if self._term is None else self._term.lost(time.monotonic())

    def check(self) -> None:
        """Raise LeaseLost when it is lost."""
        if self._term is not None:
            self._term.check(time.monotonic())

    def __enter__(self) -> Self:
        now_s = time.monotonic()
        self._ask("lease_take", {"ttl_s": self._ttl_s, "force": self._force}, ANSWER_S)
        self._term = Term(self._ttl_s, now_s)
        self._hold(self._term)
        self._thread = threading.Thread(target=self._renew, args=(self._term,), name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        lost = self.lost
        self._hold(None)
        if not lost:
            try:
                self._ask("lease_release", {}, ANSWER_S)
            except StreamError as release:
                log.warning("the lease could not be given back, it ends by itself: %s", release)
        elif kind is None:
            self.check()

    def _renew(self, term: Term) -> None:
        every_s = term.ttl_s / RENEWALS
        while not self._end.wait(every_s) and not term.lost(time.monotonic()):
            now_s = time.monotonic()
            try:
                self._ask("lease_renew", {}, min(every_s, ANSWER_S))
                term.renewed(now_s)
            except (RequestTimeout, RateLimited) as error:
                log.info("the lease was not renewed, it is tried again: %s", error)
            except StreamError as error:
                term.lose(error.message if isinstance(error, RequestError) else str(error))
