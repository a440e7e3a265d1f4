"""One question from a terminal: asked under the terminal's own name, answered, or explained why not."""

import os
import socket
from typing import Any

from evapd.errors import RequestTimeout
from evapd.rpc.requester import Requester
from evapd.security.keys import keys_from_environment
from evapd.security.silence import explain_silence

ANSWER_S = 2.0
_START = "start one with `evapd run CONFIG`, or name its address with --control"


def terminal_name() -> str:
    """Give the name that every command typed into one terminal has in common, so that a lease is the terminal's."""
    return f"terminal-{os.getsid(0)}@{socket.gethostname()}"[:64]


def ask(
    control: str, command: str, args: dict[str, Any] | None = None, *, otherwise: str = _START
) -> dict[str, Any]:
    """Ask a daemon, with the keys of `EVAPD_KEYS` where it is set.

    Args:
        control: Address of the control socket.
        command: Name of the command.
        args: Its arguments.
        otherwise: What to do when nobody answers and nothing else is known.

    Raises:
        RequestTimeout: when nobody answers; the message says what to do.
        RequestError: when the daemon refuses.
    """
    keys = keys_from_environment()
    with Requester(control, ANSWER_S, keys=keys, client=terminal_name()) as requester:
        try:
            return requester.request(command, args or {})
        except RequestTimeout as silence:
            why = explain_silence(control, keyed=keys is not None) or otherwise
            raise RequestTimeout(
                f"no daemon answers at {control}; {why}", sent=silence.sent, request_id=silence.request_id
            ) from None
