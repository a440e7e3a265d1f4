"""From the page to the control socket: what a viewer may ask is passed on as it is, judged there, and answered."""

import threading
from typing import Any

import zmq

from evapd.client.abort import abort
from evapd.errors import RequestError, StreamError
from evapd.rpc import Requester
from evapd.security.keys import ClientKeys
from evapd.security.roles import Role
from evapd.web.access import Viewer

TIMEOUT_S = 2.0
_READ = frozenset({"status", "describe", "history", "ping"})
_OPERATE = frozenset(
    {
        "start", "stop", "set", "inhibit", "hold", "pause", "align", "resume", "acknowledge", "attend", "note",
        "detector_on", "detector_off", "lease_take", "lease_renew", "lease_release",
    }
)  # fmt: skip


class Forbidden(Exception):
    """A viewer's role does not allow the command; the text is for the viewer."""


class Commands:
    """Passes commands on, each viewer under a name of its own, so that the record says who asked.

    Args:
        control: Address of the control socket.
        guard: The guard's own address, for an abort when acquire is gone.
        keys: Keys for a control socket that asks for them.
    """

    def __init__(self, control: str, guard: str | None, *, keys: ClientKeys | None = None) -> None:
        self._control, self._guard, self._keys = control, guard, keys
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._requesters: dict[str, Requester] = {}  # by viewer: as many as there are tokens
        self._lock = threading.Lock()

    def carry_out(self, viewer: Viewer, command: str, args: dict[str, Any]) -> dict[str, Any]:
        """Ask for a command and give its result; blocks for at most two seconds.

        Raises:
            Forbidden: when the viewer's role does not allow it, or the page has no use for such a command.
            RequestError: when the daemon refuses it.
            StreamError: when nobody answers.
        """
        if command == "abort":
            reason = str(args.get("reason") or f"aborted from the display by {viewer.name}")[:1000]
            outcome = abort(self._requester(viewer), self._guard, reason, context=self._context)
            return {"accepted": True, "via": outcome.via}
        if command not in _READ | _OPERATE:
            raise Forbidden(f"the display has no command {command!r}")
        if not viewer.role.allows(Role.READ if command in _READ else Role.OPERATE):
            raise Forbidden(
                f"{viewer.name} may look and abort, not {command}: ask who runs evapd for a token"
            )
        return self._requester(viewer).request(command, args, asked_by={"name": viewer.name[:64]})

    def _requester(self, viewer: Viewer) -> Requester:
        with self._lock:
            found = self._requesters.get(viewer.name)
            if found is None:
                found = Requester(self._control, TIMEOUT_S, context=self._context, keys=self._keys)
                found.client = f"display {viewer.name}"[:64]
                self._requesters[viewer.name] = found
            return found

    def close(self) -> None:
        """Close every socket."""
        for requester in self._requesters.values():
            requester.close()
        self._context.destroy(linger=0)


def refusal(error: Exception) -> tuple[int, dict[str, str]]:
    """Turn what went wrong into an HTTP status and words for the page."""
    if isinstance(error, Forbidden):
        return 403, {"kind": "Forbidden", "message": str(error)}
    if isinstance(error, RequestError):
        return 409, {"kind": error.kind, "message": str(error)}
    if isinstance(error, StreamError):
        return 504, {"kind": type(error).__name__, "message": str(error)}
    raise error
