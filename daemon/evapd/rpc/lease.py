"""Who commands: one holder at a time, for a limited time. Pure: the time is handed in, what happens is told by `news`."""

import threading
from typing import Any, NamedTuple

from evapd.errors import LeaseHeld, StateError

TTL_S = 30.0
LEAST_TTL_S = 1.0
MOST_TTL_S = 600.0


class Holder(NamedTuple):
    """A program of a peer: the name that its connection proved, and the name it gave itself."""

    peer: str
    client: str

    def __str__(self) -> str:
        return f"{self.peer} ({self.client})"


class Lease:
    """The right to command. While nobody holds it, everybody with the role may command.

    A holder is known by name, not by connection: after a reconnect it holds the lease still. Time that runs out is
    noticed at the next call of any method. Any thread may call.
    """

    def __init__(self) -> None:
        self._holder: Holder | None = None
        self._ttl_s = TTL_S
        self._until_s = 0.0
        self._news: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.RLock()

    def take(self, who: Holder, ttl_s: float, now_s: float, *, force: bool = False) -> dict[str, Any]:
        """Take it, or prolong it under new terms.

        Raises:
            LeaseHeld: when another one holds it and it is not taken by force.
            StateError: when the program gave no name: it could not be known again.
        """
        with self._lock:
            if not who.client:
                raise StateError(
                    "a lease is for a program with a name: give `client` in the envelope, the same in every request"
                )
            holder = self._at(now_s)
            if holder is not None and holder != who:
                if not force:
                    raise self.refusal(now_s)
                self._tell("taken over", f"{who} takes over from {holder}", who, before=holder)
            elif holder is None:
                self._tell("taken", f"{who} commands from now on", who)
            self._holder, self._ttl_s, self._until_s = who, ttl_s, now_s + ttl_s
            return self._terms(now_s)

    def renew(self, who: Holder, now_s: float) -> dict[str, Any]:
        """Begin its time anew.

        Raises:
            LeaseHeld: when another one holds it.
            StateError: when nobody does: its time was over, or it was never taken.
        """
        with self._lock:
            holder = self._at(now_s)
            if holder is None:
                raise StateError(
                    f"{who} holds no lease: its time is over, or the daemon was restarted; take it anew"
                )
            if holder != who:
                raise self.refusal(now_s)
            self.used(who, now_s)
            return self._terms(now_s)

    def release(self, who: Holder, now_s: float) -> bool:
        """Give it back; False when nobody held it any more. Raises LeaseHeld when another one holds it."""
        with self._lock:
            holder = self._at(now_s)
            if holder is None:
                return False
            if holder != who:
                raise self.refusal(now_s)
            self._holder = None
            self._tell("released", f"{who} commands no longer: everybody may", who)
            return True

    def admits(self, who: Holder, now_s: float) -> bool:
        """Whether this one may command now."""
        with self._lock:
            return self._at(now_s) in (None, who)

    def used(self, who: Holder, now_s: float) -> None:
        """Take note that a command of this one was accepted: the holder's time begins anew."""
        with self._lock:
            if self._at(now_s) == who:
                self._until_s = now_s + self._ttl_s

    def refusal(self, now_s: float) -> LeaseHeld:
        """Make the error that tells who holds it, and how long still."""
        with self._lock:
            holder = self._holder or Holder("", "")
            left_s = self._left_s(now_s)
            return LeaseHeld(
                "LeaseHeld",
                f"{holder} commands for another {left_s:.0f} s: wait, ask for it to be released, or take it over with force",
                {"holder": holder.peer, "client": holder.client, "remaining_s": left_s},
            )

    def document(self, now_s: float) -> dict[str, Any] | None:
        """Give it for `status`; None while nobody holds it."""
        with self._lock:
            holder = self._at(now_s)
            if holder is None:
                return None
            return {"holder": holder.peer, "client": holder.client, "remaining_s": self._left_s(now_s)}

    def news(self, now_s: float) -> list[tuple[str, dict[str, Any]]]:
        """Give what happened since the last call, in words and for programs."""
        with self._lock:
            self._at(now_s)
            news, self._news = self._news, []
            return news

    def _at(self, now_s: float) -> Holder | None:
        if self._holder is not None and now_s >= self._until_s:
            over, self._holder = self._holder, None
            self._tell("expired", f"the lease of {over} is over: everybody may command", over)
        return self._holder

    def _left_s(self, now_s: float) -> float:
        return round(max(0.0, self._until_s - now_s), 3)

    def _terms(self, now_s: float) -> dict[str, Any]:
        return {**(self.document(now_s) or {}), "ttl_s": self._ttl_s}

    def _tell(self, change: str, what: str, who: Holder, before: Holder | None = None) -> None:
        details: dict[str, Any] = {"change": change, "holder": who.peer, "client": who.client}
        if before is not None:
            details |= {"before": before.peer, "before_client": before.client}
        self._news.append((what, details))
