"""JSON requests over ZeroMQ: one home for the control sockets of acquire and guard (docs/protocols/control.md).

Imports neither numpy nor asyncio, because the guard polls its own socket from its control loop.
"""

from evapd.errors import RequestError, RequestTimeout
from evapd.rpc.command import Args, Command, Handler, NoArgs, Result
from evapd.rpc.dispatch import Dispatcher
from evapd.rpc.request import MAX_REQUEST_BYTES
from evapd.rpc.requester import Requester
from evapd.rpc.service import Service

__all__ = [
    "MAX_REQUEST_BYTES",
    "Args",
    "Command",
    "Dispatcher",
    "Handler",
    "NoArgs",
    "RequestError",
    "RequestTimeout",
    "Requester",
    "Result",
    "Service",
]
