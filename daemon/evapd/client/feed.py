"""Iterators over the stream."""

import logging
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from evapd.stream.frame import Message
from evapd.stream.subscriber import StreamCounts, Subscriber

_PATIENCE_S = 3600.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class Feed(Iterator[T], Generic[T]):
    """Gives what arrives, in order, until there was silence for too long. Subscribed from the moment it exists.

    Args:
        subscriber: Where frames come from; closed with the feed.
        convert: Makes an item of a frame.
        timeout_s: Longest silence in seconds; None waits for ever.
    """

    def __init__(
        self, subscriber: Subscriber, convert: Callable[[Message], T], timeout_s: float | None
    ) -> None:
        self._subscriber, self._convert, self._timeout_s = subscriber, convert, timeout_s
        self.closed = False

    @property
    def counts(self) -> StreamCounts:
        """What was received, lost, fetched again."""
        return self._subscriber.counts

    @property
    def lost_frames(self) -> int:
        """Frames that were missed for good."""
        return sum(self.counts.lost.values())

    def __next__(self) -> T:
        while not self.closed:
            message = self._subscriber.receive(_PATIENCE_S if self._timeout_s is None else self._timeout_s)
            for notice in self._subscriber.take_notices():
                level = logging.DEBUG if notice.kind in ("welcome", "recovered") else logging.WARNING
                log.log(level, "stream: %s", notice.text)
            if message is not None:
                return self._convert(message)
            if self._timeout_s is not None:
                self.close()
        raise StopIteration

    def close(self) -> None:
        """Leave the stream; the counts stay readable."""
        if not self.closed:
            self.closed = True
            self._subscriber.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
