"""One message for all viewers: encoded once, given to each as fast as it takes them, the newest first.

A viewer that does not keep up sees the newest picture and the newest values when it is ready again; events, which cannot be
left out, wait in a queue of bounded length, and what did not fit is counted and told.
"""

import asyncio
from collections import deque

EVENTS_KEPT = 200


class Seat:
    """What waits for one viewer."""

    def __init__(self) -> None:
        self.missed_events = 0
        self._newest: dict[str, bytes] = {}
        self._events: deque[bytes] = deque()
        self._there = asyncio.Event()

    def put(self, kind: str, message: bytes) -> None:
        """Give the newest message of a kind; an older one that still waits is forgotten."""
        self._newest.pop(kind, None)  # so that kinds take turns
        self._newest[kind] = message
        self._there.set()

    def put_event(self, message: bytes) -> None:
        """Give a message that is not replaced by the next."""
        if len(self._events) >= EVENTS_KEPT:
            self._events.popleft()
            self.missed_events += 1
        self._events.append(message)
        self._there.set()

    async def next(self) -> bytes:
        """Wait for what is to be sent next: events in their order, then the kind that waited longest."""
        while not self._events and not self._newest:
            self._there.clear()
            await self._there.wait()
        if self._events:
            return self._events.popleft()
        kind = next(iter(self._newest))
        return self._newest.pop(kind)

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return sum(map(len, self._events)) + sum(map(len, self._newest.values()))


class Hub:
    """All viewers; belongs to one event loop."""

    def __init__(self) -> None:
        self._seats: set[Seat] = set()
        self._greeting: dict[str, bytes] = {}  # the newest of each kind, for who comes now
        self._events: deque[bytes] = deque(maxlen=EVENTS_KEPT)

    @property
    def viewers(self) -> int:
        """How many there are."""
        return len(self._seats)

    def join(self) -> Seat:
        """Let a viewer in; it gets the newest of each kind and the last events first."""
        seat = Seat()
        for message in self._events:
            seat.put_event(message)
        for kind, message in self._greeting.items():
            seat.put(kind, message)
        self._seats.add(seat)
        return seat

    def leave(self, seat: Seat) -> None:
        """Let a viewer go."""
        self._seats.discard(seat)

    def tell(self, kind: str, message: bytes) -> None:
        """Give everybody the newest of a kind."""
        self._greeting[kind] = message
        for seat in self._seats:
            seat.put(kind, message)

    def forget(self, kind: str) -> None:
        """Who comes now does not get the newest of a kind: it is not known to be so any more."""
        self._greeting.pop(kind, None)

    def tell_event(self, message: bytes) -> None:
        """Give everybody an event."""
        self._events.append(message)
        for seat in self._seats:
            seat.put_event(message)
