"""Who asked for what, and what came of it: one event for every command that is not a pure read, also for refused ones.

A flood is told as a number once a second; nothing here grows with what others send.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from evapd.rpc.bucket import Buckets
from evapd.rpc.caller import Caller

KIND = "command"
EVENTS_HZ = 200.0
EVENTS_BURST = 400
COUNTED_S = 1.0
_MOST_HELD = 1000
_LONGEST_TEXT = 200
_MOST_ITEMS = 20
_MOST_DEPTH = 3
_MOST_PEERS = 8
_SECRET = ("secret", "password", "passphrase", "token", "key")

log = logging.getLogger(__name__)


class Write(Protocol):
    """Where events go: `severity` is `info` or `warning`."""

    def __call__(self, severity: str, what: str, /, **details: Any) -> None:
        """Write one."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One command that somebody asked for; `error` is the kind of the refusal, "" when it was carried out."""

    command: str
    args: Mapping[str, Any]
    caller: Caller
    error: str = ""
    message: str = ""
    problem: str = ""  # what was wrong with a request that was carried out all the same


class Audit:
    """Writes down who asked for what.

    Args:
        write: takes one event.
        opening: while it is true a run is being opened, and what is asked for belongs into its record: it waits until
            the record is there.
    """

    def __init__(self, write: Write, opening: Callable[[], bool] = lambda: False) -> None:
        self._write, self._opening = write, opening
        self._events = Buckets(EVENTS_HZ, EVENTS_BURST, peers=1)
        self._held: list[tuple[str, str, dict[str, Any]]] = []
        self._counted: Counter[str] = Counter()
        self._peers: set[str] = set()
        self._told_s = float("-inf")
        self._lock = threading.Lock()

    def asked(self, asked: Asked, now_s: float) -> None:
        """Write down one command; beyond 200 in a second it is only counted."""
        if self._events.take(b"", now_s) > 0.0:
            self.counted(asked.error or f"{asked.command} carried out", asked.caller)
            return
        outcome = f"refused ({asked.error})" if asked.error else "accepted"
        details: dict[str, Any] = {
            "cmd": asked.command[:_LONGEST_TEXT],
            "args": brief(asked.args),
            **asked.caller.document(),
            "ok": not asked.error,
            "error": asked.error or None,
            "t_asked_us": round(now_s * 1e6),
        }
        if asked.message:
            details["message"] = _cut(asked.message)
        if asked.problem:
            details["problem"] = _cut(asked.problem)
        what = f"{asked.caller} asked for {details['cmd']}: {outcome}"
        log.debug("%s %s", what, details)
        with self._lock:
            if len(self._held) < _MOST_HELD:
                self._held.append(("warning" if asked.error else "info", what, details))
        self.flush()

    def counted(self, what: str, caller: Caller) -> None:
        """Count what is not worth an event of its own."""
        with self._lock:
            self._counted[what] += 1
            if len(self._peers) < _MOST_PEERS:
                self._peers.add(str(caller))

    def flush(self) -> None:
        """Write what waited for a run's record."""
        if self._opening():
            return
        with self._lock:
            held, self._held = self._held, []
            for severity, what, details in held:
                self._write(severity, what, **details)

    def tick(self, now_s: float) -> None:
        """Write what is due: call it often."""
        self.flush()
        if now_s - self._told_s < COUNTED_S or self._opening():
            return
        with self._lock:
            counted, self._counted = self._counted, Counter()
            peers, self._peers = sorted(self._peers), set()
        if counted:
            self._told_s = now_s
            total = counted.total()
            what = f"{total} more requests since the last second, only counted: {', '.join(sorted(counted))}"
            self._write("warning", what, counted=dict(counted), peers=peers)


def brief(content: Any, depth: int = 0) -> Any:
    """Cut what is long, and leave out what may be a secret."""
    if isinstance(content, str):
        return _cut(content)
    if isinstance(content, Mapping):
        if depth == _MOST_DEPTH:
            return f"... ({len(content)} entries)"
        some = list(content.items())[:_MOST_ITEMS]
        return {
            _cut(str(key)): "***" if _secret(str(key)) else brief(value, depth + 1) for key, value in some
        }
    if isinstance(content, list | tuple):
        return (
            f"... ({len(content)} items)"
            if depth == _MOST_DEPTH
            else [brief(one, depth + 1) for one in content[:_MOST_ITEMS]]
        )
    if content is None or isinstance(content, bool | int | float):
        return content
    return _cut(str(content))


def _secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}... ({len(text)} characters)"
