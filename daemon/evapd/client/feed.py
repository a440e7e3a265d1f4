"""Iterators over what the daemon sends."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from evapd.stream.subscriber import Notice, StreamCounts

_PATIENCE_S = 3600.0
_NOTICES = 1000
_TELL_S = 0.5  # a restart is told also when nothing else comes
_QUIET = ("welcome", "recovered")
M = TypeVar("M")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
OnNotice = Callable[[Notice], None]
log = logging.getLogger(__name__)


class Source(Protocol[T_co]):
    """Where a feed's frames come from: `evapd.stream.subscriber.Subscriber`, or the live socket. For one thread."""

    counts: StreamCounts

    def receive(self, timeout_s: float) -> T_co | None:
        """Give the next one, or None when there was none in time."""
        ...

    def take_notices(self) -> list[Notice]:
        """Give what happened since the last call."""
        ...

    def await_welcome(self, timeout_s: float) -> bool:
        """Wait until nothing is missed any more."""
        ...

    def close(self) -> None:
        """Close the sockets."""
        ...


class Notices:
    """What a feed has to tell about itself: logged, kept for whoever looks, and told to whoever wants to hear."""

    def __init__(self, listener: OnNotice | None) -> None:
        self._listener = listener
        self._kept: deque[Notice] = deque(maxlen=_NOTICES)

    def tell(self, notice: Notice) -> None:
        """Take one note."""
        log.log(logging.DEBUG if notice.kind in _QUIET else logging.WARNING, "stream: %s", notice.text)
        self._kept.append(notice)
        if self._listener is not None:
            self._listener(notice)

    def take(self) -> list[Notice]:
        """Give those since the last call."""
        kept = list(self._kept)
        self._kept.clear()
        return kept


class Feed(Iterator[T], Generic[T]):
    """Gives what arrives, in order, until there was silence for too long. Subscribed from the moment it exists.

    It goes on over restarts of the daemon and over losses of the connection. What was missed is fetched again where
    that is possible and comes at its place; `notices` and `counts` tell.

    Args:
        source: Where frames come from; closed with the feed.
        convert: Makes an item of a frame.
        timeout_s: Longest silence in seconds; None waits for ever.
        on_notice: Called with each notice, on the thread that iterates.
    """

    def __init__(
        self,
        source: Source[M],
        convert: Callable[[M], T],
        timeout_s: float | None,
        on_notice: OnNotice | None = None,
    ) -> None:
        def next_item(timeout_s: float) -> T | None:
            frame = source.receive(timeout_s)
            return None if frame is None else convert(frame)

        self._source: Source[object] = source
        self._next_item, self._timeout_s = next_item, timeout_s
        self._notices = Notices(on_notice)
        self.closed = False

    @property
    def counts(self) -> StreamCounts:
        """What was received, lost, fetched again."""
        return self._source.counts

    @property
    def lost_frames(self) -> int:
        """Frames that were missed for good."""
        return sum(self.counts.lost.values())

    def notices(self) -> list[Notice]:
        """Give what happened since the last call: `restart`, `lost`, `recovered`, `welcome`, `garbage`."""
        return self._notices.take()

    def receive(self, timeout_s: float) -> T | None:
        """Give the next item, or None when there was none in time: for a loop that has other things to do, too."""
        deadline_s = time.monotonic() + timeout_s
        while not self.closed:
            left_s = max(0.0, deadline_s - time.monotonic())
            item = self._next_item(min(left_s, _TELL_S))
            for notice in self._source.take_notices():
                self._notices.tell(notice)
            if item is not None or left_s <= _TELL_S:
                return item
        return None

    def __next__(self) -> T:
        while not self.closed:
            item = self.receive(_PATIENCE_S if self._timeout_s is None else self._timeout_s)
            if item is not None:
                return item
            if self._timeout_s is not None:
                self.close()
        raise StopIteration

    def close(self) -> None:
        """Leave the stream; the counts stay readable."""
        if not self.closed:
            self.closed = True
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
