"""The way to safe for programs that only want to abort; it works also when half of the daemon is gone."""

from pathlib import Path

import zmq

from evapd.client.blocking import perform
from evapd.client.commands import ABORT_S, abort_script
from evapd.client.status import Outcome
from evapd.config.layout import Layout
from evapd.rpc import Requester
from evapd.security.keys import ClientKeys


def abort(
    control: Requester,
    guard: str | None,
    reason: str,
    *,
    context: "zmq.Context[zmq.Socket[bytes]]",
) -> Outcome:
    """Ask acquire to abort and, when that fails for any reason, the guard itself.

    Args:
        control: Asks acquire.
        guard: Address of the guard's own socket, where it is known.
        reason: For the record.
        context: ZeroMQ context for the way to the guard.

    Raises:
        StreamError: when neither confirmed; the message tells the operator to act by hand.
    """
    return perform(abort_script(guard, reason), control, context)


def abort_now(control: str, folder: Path, reason: str = "", *, keys: ClientKeys | None = None) -> str:
    """Abort from the command line; gives a line for the operator.

    Args:
        control: Address of the control socket.
        folder: The rig's folder, where the guard's own socket lies.
        reason: For the record.
        keys: For a daemon on another machine.

    Raises:
        StreamError: when nobody confirmed.
    """
    guard = Layout(folder).guard_ipc if Layout(folder).sockets.exists() else None
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        with Requester(control, ABORT_S, keys=keys, context=context) as requester:
            outcome = abort(requester, guard, reason or "aborted from the command line", context=context)
    finally:
        context.destroy(linger=0)
    return f"aborted through {outcome.via}: pulses off, voltage ramping down; watch it with `evapd watch`"
