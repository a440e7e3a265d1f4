"""Listens to the daemon on threads of their own; the newest is left where the one loop of the process takes it."""

import logging
import queue
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evapd.errors import EvapdError, StreamError
from evapd.rpc import Requester
from evapd.security.keys import ClientKeys
from evapd.stream.frame import EVENT, Message
from evapd.stream.subscriber import Subscriber

_log = logging.getLogger(__name__)
ASK_S = 0.5
TIMEOUT_S = 1.0
DISK_S = 10.0
_MOST_EVENTS = 5_000


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that was heard; `what` is acquire, guard, event, beat or disk."""

    what: str
    content: Any
    asked_s: float = 0.0
    header: Mapping[str, Any] | None = None


class Ears:
    """Asks acquire and the guard for their status, follows the events, looks at the disk.

    What is not taken is dropped: an event that finds the queue full is one of a flood.
    """

    def __init__(
        self, *, control: str, stream: str, replay: str, guard: str, keys: ClientKeys | None, runs: Path
    ) -> None:
        self._heard: queue.Queue[Heard] = queue.Queue(_MOST_EVENTS)
        self._ending = threading.Event()
        self.dropped = 0
        self._stream, self._replay, self._keys, self._runs = stream, replay, keys, runs
        self._threads = [
            threading.Thread(
                target=self._ask, args=("acquire", control, keys), name="ask-acquire", daemon=True
            ),
            threading.Thread(target=self._ask, args=("guard", guard, None), name="ask-guard", daemon=True),
            threading.Thread(target=self._listen, name="listen", daemon=True),
            threading.Thread(target=self._look, name="disk", daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; a look at a disk that does not answer is not waited for."""
        self._ending.set()
        for thread in self._threads[:3]:
            thread.join(3.0 * TIMEOUT_S)

    def take(self, timeout_s: float) -> list[Heard]:
        """Give what was heard since the last call; waits at most so long for the first."""
        heard: list[Heard] = []
        with suppress(queue.Empty):
            heard.append(self._heard.get(timeout=timeout_s))
            while len(heard) < _MOST_EVENTS:
                heard.append(self._heard.get_nowait())
        return heard

    def _put(self, heard: Heard) -> None:
        try:
            self._heard.put_nowait(heard)
        except queue.Full:
            self.dropped += 1

    def _ask(self, what: str, address: str, keys: ClientKeys | None) -> None:
        with Requester(address, TIMEOUT_S, keys=keys) as requester:
            while not self._ending.wait(ASK_S):
                asked_s = time.monotonic()
                with suppress(StreamError):  # silence is what the watch looks for
                    self._put(Heard(what, requester.request("status"), asked_s))

    def _listen(self) -> None:
        with Subscriber(self._stream, self._replay, (EVENT,), keys=self._keys) as subscriber:
            told_s: float | None = None
            while not self._ending.is_set():
                try:
                    message: Message | None = subscriber.receive(ASK_S / 2)
                except EvapdError as error:
                    _log.warning("the stream cannot be read: %s", error)
                    self._ending.wait(ASK_S)
                    continue
                if message is not None:
                    self._put(Heard("event", message.document, header=message.header))
                if subscriber.alive_s != told_s:
                    told_s = subscriber.alive_s
                    self._put(Heard("beat", told_s))

    def _look(self) -> None:
        while True:
            with suppress(OSError):  # a disk that does not answer is told by acquire, which writes to it
                self._put(Heard("disk", float(shutil.disk_usage(self._runs).free)))
            if self._ending.wait(DISK_S):
                return
