"""The commands of a lease: take, renew, release."""

import time
from collections.abc import Callable
from typing import Any

from evapd.rpc.arguments import LeaseTakeArgs
from evapd.rpc.caller import Caller, served
from evapd.rpc.command import Command, NoArgs
from evapd.rpc.lease import Holder, Lease
from evapd.rpc.replies import LeaseReleased, LeaseTerms


def lease_commands(lease: Lease, clock: Callable[[], float] = time.monotonic) -> list[Command]:
    """List the commands by which a program takes and gives back the right to command."""

    def take(args: dict[str, Any]) -> dict[str, Any]:
        return lease.take(_who(), args["ttl_s"], clock(), force=args["force"])

    return [
        Command(
            "lease_take",
            LeaseTakeArgs,
            take,
            doc="Command alone: others then may only read, abort and lower the energy. Ends `ttl_s` after the last command.",
            result=LeaseTerms,
            lease=False,
        ),
        Command(
            "lease_renew",
            NoArgs,
            lambda _: lease.renew(_who(), clock()),
            doc="Still there: the lease's time begins anew. Every other accepted command of the holder does the same.",
            result=LeaseTerms,
            lease=False,
            news=lambda _: False,
        ),
        Command(
            "lease_release",
            NoArgs,
            lambda _: {"released": lease.release(_who(), clock())},
            doc="Command no longer: everybody may again.",
            result=LeaseReleased,
            lease=False,
        ),
    ]


def _who() -> Holder:
    caller = served() or Caller()
    return Holder(caller.peer.name, caller.client)
