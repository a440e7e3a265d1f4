"""One message for all viewers: encoded once, given to each as fast as it takes them, the newest first.

A viewer that does not keep up sees the newest picture and the newest values when it is ready again; events, which cannot be
left out, wait in a queue of bounded length, and what did not fit is counted and told.

Between here and a slow viewer's eye lie buffers of megabytes, of two kernels and a browser, that would hand on many seconds of
pictures one after the other, each shown as if it were new. So a viewer may say of each picture that it was seen: it is then
never given more than `AHEAD` that it has not seen. Who never says so is given everything that the connection takes.
"""

import asyncio
from collections import deque

EVENTS_KEPT = 200
SEEN = "seen"  # what a viewer says of a picture
PICTURE = "live"  # the kind that is large and often
AHEAD = 2  # one on its way while the other is drawn


class Seat:
    """What waits for one viewer."""

    def __init__(self) -> None:
        self.missed_events = 0
        self._says_seen, self._unseen = False, 0
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
        while not self._events:
            kind = self._due
            if kind is not None:
                self._unseen += kind == PICTURE
                return self._newest.pop(kind)
            self._there.clear()
            await self._there.wait()
        return self._events.popleft()

    def seen(self) -> None:
        """The viewer says that one more picture was seen, or passed over for a newer one."""
        self._says_seen, self._unseen = True, max(0, self._unseen - 1)
        self._there.set()

    @property
    def _due(self) -> str | None:
        held = self._says_seen and self._unseen >= AHEAD
        return next((kind for kind in self._newest if kind != PICTURE or not held), None)

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
