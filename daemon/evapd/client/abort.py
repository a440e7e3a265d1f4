"""The way to safe that works also when half of the daemon is gone."""

import logging
from pathlib import Path

import zmq

from evapd.client.status import Outcome
from evapd.config.layout import Layout
from evapd.errors import StreamError
from evapd.rpc import Requester

CONTROL_S = 0.5  # acquire answers in milliseconds, or it is not worth waiting for
GUARD_S = 2.0

log = logging.getLogger(__name__)


def abort(
    control: Requester,
    guard: str | None,
    reason: str,
    *,
    context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
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
    try:
        return Outcome.read(control.request("abort", {"reason": reason}, timeout_s=CONTROL_S))
    except StreamError as error:
        first = error
    if guard is None:
        raise StreamError(
            f"abort was not confirmed: {first}. The guard's own address is not known here: run `evapd abort` "
            "on the machine of the daemon, or switch the high voltage off by hand"
        ) from first
    log.warning("abort through acquire failed (%s), going straight to the guard", first)
    with Requester(guard, GUARD_S, context=context) as straight:
        try:
            return Outcome.read(straight.request("abort", {"reason": reason}) | {"via": "guard"})
        except StreamError as second:
            raise StreamError(
                f"abort was confirmed neither by acquire ({first}) nor by the guard ({second}): "
                "switch the high voltage off by hand"
            ) from second


def abort_now(control: str, folder: Path, reason: str = "") -> str:
    """Abort from the command line; gives a line for the operator.

    Args:
        control: Address of the control socket.
        folder: The rig's folder, where the guard's own socket lies.
        reason: For the record.

    Raises:
        StreamError: when nobody confirmed.
    """
    guard = Layout(folder).guard_ipc if Layout(folder).sockets.exists() else None
    with Requester(control, CONTROL_S) as requester:
        outcome = abort(requester, guard, reason or "aborted from the command line")
    return f"aborted through {outcome.via}: pulses off, voltage ramping down; watch it with `evapd watch`"
