"""`evapd watch`: the present moment in the terminal, redrawn at 5 Hz, with or without a daemon."""

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live

from evapd.client.status import Status
from evapd.client.view import View, plain, render
from evapd.device.tracing import KIND as TRACE
from evapd.errors import StreamError
from evapd.rpc import Requester
from evapd.security.keys import ClientKeys
from evapd.stream.frame import EVENT, Message
from evapd.stream.subscriber import Subscriber

REDRAW_S = 0.2
ASK_S = 0.5
ONCE_S = 2.0
_EVENTS = 6
_RATES = 24


class _Poller:
    """Asks for the status on a thread of its own, so that a silent daemon does not hold up the drawing."""

    def __init__(self, address: str, *, attend: bool = False, keys: ClientKeys | None = None) -> None:
        self._attend, self._keys = attend, keys
        self.newest: tuple[float, Status] | None = None  # monotonic time of the answer
        self.rates: deque[float] = deque(maxlen=_RATES)
        self.answered = threading.Event()
        self._address = address
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        with Requester(self._address, ASK_S, keys=self._keys) as requester:
            while not self._end.wait(REDRAW_S):
                if self._attend:
                    with suppress(StreamError):  # the guard may be silent; the status then says so
                        requester.request("attend")
                try:
                    status = Status.read(requester.request("status"))
                except StreamError:
                    continue  # the view shows the age of the last answer
                self.newest = (time.monotonic(), status)
                if status.rate_per_pulse is not None:
                    self.rates.append(status.rate_per_pulse)
                self.answered.set()


class _Watcher:
    """Gathers what is to be shown."""

    def __init__(
        self,
        stream_address: str,
        control_address: str,
        *,
        attend: bool = False,
        keys: ClientKeys | None = None,
    ) -> None:
        self._control_address = control_address
        self._began_s = time.monotonic()
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._subscriber = Subscriber(stream_address, None, (EVENT,), keys=keys)
        self.poller = _Poller(control_address, attend=attend, keys=keys)

    def close(self) -> None:
        self.poller.stop()
        self._subscriber.close()

    def gather(self, for_s: float) -> View:
        """Listen for a while, then say how things stand."""
        deadline_s = time.monotonic() + for_s
        while True:
            message = self._subscriber.receive(max(0.0, deadline_s - time.monotonic()))
            if message is None:
                return self._view()
            if not _is_trace(message):
                self._events.append(event_line(message))

    def _view(self) -> View:
        now_s, newest, counts = time.monotonic(), self.poller.newest, self._subscriber.counts
        alive_s = self._subscriber.alive_s
        return View(
            control_address=self._control_address,
            status=newest[1] if newest else None,
            status_age_s=now_s - newest[0] if newest else 0.0,
            stream_age_s=None if alive_s is None else now_s - alive_s,
            lost_frames=sum(counts.lost.values()),
            restarts=counts.restarts,
            rates=tuple(self.poller.rates),
            events=tuple(self._events),
            waited_s=now_s - self._began_s,
        )


def _is_trace(message: Message) -> bool:
    """Whether it carries the bytes of a device: for programs, not for this page."""
    return isinstance(message.document, dict) and message.document.get("kind") == TRACE


def event_line(message: Message) -> str:
    """Write an event in one line; its time of day in UTC is a label only."""
    content = message.document if isinstance(message.document, dict) else {}
    t_utc = message.header.get("t_utc")
    try:
        label = datetime.fromtimestamp(float(t_utc or 0) / 1e6, UTC).strftime("%H:%M:%S")
    except (TypeError, ValueError, OverflowError, OSError):
        label = "--:--:--"
    severity, what = content.get("severity", ""), content.get("what") or content.get("kind") or "event"
    return plain(f"{label} {severity} {what}")


def as_document(view: View) -> dict[str, Any]:
    """Give a view as a JSON document."""
    return {
        "status": view.status.model_dump() if view.status else None,
        "status_age_s": view.status_age_s if view.status else None,
        "stale": view.stale,
        "stream": {"age_s": view.stream_age_s, "lost_frames": view.lost_frames, "restarts": view.restarts},
        "events": list(view.events),
    }


def watch(
    stream_address: str,
    control_address: str,
    *,
    out: TextIO | None = None,
    once: bool = False,
    as_json: bool = False,
    attend: bool = False,
    keys: ClientKeys | None = None,
    ended: Callable[[], bool] = lambda: False,
) -> int:
    """Show how things stand until Ctrl-C; works before the daemon is there, and over its restarts.

    Args:
        stream_address: Address of the stream.
        control_address: Address of the control socket.
        out: Where to write; standard output by default.
        once: Write the present state and end.
        as_json: Write JSON documents, one per line.
        attend: Say that somebody is there, as long as this runs.
        keys: For a daemon that demands them.
        ended: Asked after every redraw.

    Returns:
        An exit code: 0, or 1 when `once` found no daemon within 2 s.
    """
    out = out or sys.stdout
    console = Console(file=out)
    watcher = _Watcher(stream_address, control_address, attend=attend, keys=keys)
    try:
        if once:
            watcher.poller.answered.wait(ONCE_S)
            view = watcher.gather(0.0)
            _write(view, console, out, as_json=as_json)
            return 0 if view.status is not None else 1
        if as_json:
            while not ended():
                _write(watcher.gather(REDRAW_S), console, out, as_json=True)
            return 0
        with Live(render(watcher.gather(0.0)), console=console, auto_refresh=False) as live:
            while not ended():
                live.update(render(watcher.gather(REDRAW_S)), refresh=True)
    except KeyboardInterrupt:
        return 0
    finally:
        watcher.close()
    return 0


def _write(view: View, console: Console, out: TextIO, *, as_json: bool) -> None:
    if as_json:
        out.write(json.dumps(as_document(view), default=str) + "\n")
        out.flush()
    else:
        console.print(render(view))
