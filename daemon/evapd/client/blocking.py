"""Carries scripts out on the calling thread."""

import time
from typing import Any, TypeVar

import zmq

from evapd.client.script import Ask, Script, Sleep, Step
from evapd.errors import EvapdError
from evapd.rpc import Requester

T = TypeVar("T")


def perform(script: Script[T], requester: Requester, context: "zmq.Context[zmq.Socket[bytes]]") -> T:
    """Carry a script out and give what it comes to.

    Args:
        script: What is to be done.
        requester: Asks acquire.
        context: For the way straight to the guard.
    """
    try:
        step = next(script)
        while True:
            try:
                result = _take(step, requester, context)
            except EvapdError as error:
                step = script.throw(error)
            else:
                step = script.send(result)
    except StopIteration as done:
        value: T = done.value
        return value
    finally:
        script.close()


def _take(step: Step, requester: Requester, context: "zmq.Context[zmq.Socket[bytes]]") -> dict[str, Any]:
    match step:
        case Sleep(seconds):
            time.sleep(seconds)
            return {}
        case Ask(command, args, request_id, timeout_s, None):
            return requester.request(command, args, timeout_s=timeout_s, request_id=request_id)
        case Ask(command, args, request_id, timeout_s, guard):
            with Requester(str(guard), timeout_s, client=requester.client, context=context) as straight:
                return straight.request(command, args, request_id=request_id)
